/** The page of `cxrloc bench`: boxes against experts' boxes, computed anew at every threshold. */
import { showCurves } from "./bench_curves.js";
import { NAMES, OVERLAP_NAMES, judge } from "./bench_judge.js";
import { showSummary } from "./bench_summary.js";
import { byId, chooser, decimals, element, heatmapSliders, slider, words } from "./dom.js";
import { OVERLAPS, accuracyIntervals, countBoxes, matchPairs } from "./scoring.js";
import { sortableTable } from "./table.js";

/**
 * What the page of a bench run shows and does.
 * @param {object} report its data, pairs and state
 */
export function benchKind(report) {
  const { data, state, pairs } = report;
  const { findings, resampling } = data;
  const columns = [...findings, "mean"];
  const table = sortableTable("Localization accuracy by finding, with controls");
  byId("summary").append(table.node);
  byId("curve-controls").append(
    chooser(
      "Finding",
      columns.map((f) => [f, f === "mean" ? "mean of findings" : words(f)]),
      "mean",
      (curveFinding) => report.set({ curveFinding }),
    ),
    chooser(
      "Show",
      [
        ["accuracy", "accuracy"],
        ["afp", "average false positives"],
      ],
      "accuracy",
      (metric) => report.set({ metric }),
    ),
  );
  const settings = thresholdSliders(report);

  /** Matches by criterion, made again when a heatmap threshold moves. */
  let matches = {};
  let matchesAt = "";
  function matched() {
    const version = state.thresholds.join();
    if (version !== matchesAt) {
      matches = {
        iou: matchPairs(pairs, state.thresholds, "iou"),
        iobb: matchPairs(pairs, state.thresholds, "iobb"),
      };
      matchesAt = version;
    }
    return matches;
  }

  function update() {
    settings.update();
    const rows = Object.fromEntries(
      Object.keys(NAMES).map((criterion) => {
        const t = state.t[criterion];
        const own = matched()[criterion];
        return [
          criterion,
          {
            counts: countBoxes(own, t, findings),
            intervals: accuracyIntervals(own, t, findings, resampling),
          },
        ];
      }),
    );
    showSummary(table, report, rows);
    showCurves(report, matched(), false);
    byId("panel-state").textContent = settings.words();
    report.whenAtRest(() => {
      showCurves(report, matched(), true);
      const means = Object.entries(rows).map(
        ([criterion, { counts }]) => `${NAMES[criterion]} ${decimals(counts.at(-1).accuracy, 3)}`,
      );
      byId("announcer").textContent = `Mean accuracy ${means.join(", ")}`;
    });
  }

  byId("check").textContent = checkCounts(report);
  byId("summary-note").textContent = data.note;
  return {
    settings: settings.nodes,
    choosers: [
      chooser("Judged by", Object.entries(NAMES), state.criterion, (criterion) =>
        report.set({ criterion }),
      ),
    ],
    outcomes: ["correct", "missed", "false positive"],
    roles: ["expert", "correct", "false_positive"],
    inGallery: (pair) => pair.scored || pair.truth.length > 0,
    galleryNote: () => `Correct: ${OVERLAP_NAMES[state.criterion]} > ${state.t[state.criterion]}.`,
    judge: (pair) => judge(pair, state),
    update,
  };
}

/** Sliders of the heatmap thresholds and of both T, with a way back to the run's own. */
function thresholdSliders(report) {
  const { data, state } = report;
  const own = { thresholds: [...state.thresholds], t: { ...state.t } };
  const heat = heatmapSliders(report);
  const overlap = Object.entries(NAMES).map(([criterion, name]) => {
    const ticks = data.rules
      .filter((rule) => rule.criterion === criterion)
      .map((rule) => rule.threshold);
    const say = (t) => String(t);
    return {
      criterion,
      ...slider(
        {
          label: name,
          min: 0,
          max: 0.99,
          step: 0.01,
          value: state.t[criterion],
          say,
          ticks,
          name: criterion,
        },
        (moved) => report.set({ t: { ...state.t, [criterion]: moved } }),
      ),
    };
  });
  const reset = () => report.set({ thresholds: [...own.thresholds], t: { ...own.t } });
  const nodes = [
    element("h3", {}, "Box rule"),
    ...heat.map(({ node }) => node),
    element("h3", {}, "Correct above"),
    ...overlap.map(({ node }) => node),
    element("button", { type: "button", class: "wide", onclick: reset }, "Reset thresholds"),
  ];
  return {
    nodes,
    update() {
      heat.forEach(({ set }, i) => set(state.thresholds[i]));
      for (const { criterion, set } of overlap) set(state.t[criterion]);
    },
    words: () =>
      [state.thresholds.join(" / "), `IoU ${state.t.iou}`, `IoBB ${state.t.iobb}`]
        .filter(Boolean)
        .join(" · "),
  };
}

/** This page's counts at the run's thresholds beside those that Python made of the same maps. */
function checkCounts({ data, state, pairs }) {
  let equal = 0;
  let cells = 0;
  data.rules.forEach((rule, at) => {
    if (!OVERLAPS[rule.criterion]) return;
    const counts = countBoxes(
      matchPairs(pairs, state.thresholds, rule.criterion),
      rule.threshold,
      data.findings,
    );
    counts.forEach((own, k) => {
      cells += 2;
      equal += own.hit === data.expected.hit[at][k] ? 1 : 0;
      equal += own.falsePositives === data.expected.falsePositives[at][k] ? 1 : 0;
    });
  });
  const verdict = equal === cells ? "✓" : "⚠ Do not trust this page:";
  return `${verdict} ${equal} of ${cells} counts computed in this page equal those of Python. ${data.quantisation}`;
}
