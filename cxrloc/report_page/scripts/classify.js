/** The page of `cxrloc classify`: ROC curves, and decisions at thresholds that the reader moves. */
import { lineChart, whisker } from "./charts.js";
import { byId, chooser, decimals, element, heatmapSliders, slider, words } from "./dom.js";
import { boxesOf } from "./scoring.js";
import { sortableTable } from "./table.js";

const METRIC_NAMES = { auc: "AUC", pr_average_precision: "Average precision" };

/** What the page of a classification run shows and does. */
export function classifyKind(report) {
  const { data, state } = report;
  const table = sortableTable("Classification by finding");
  const groups = data.groups.map((group) => [group, group === "all" ? "all units" : group]);
  byId("summary").append(
    element(
      "div",
      { class: "toolbar" },
      chooser("Ranking of", groups, "all", (group) => report.set({ group })),
    ),
    table.node,
  );
  byId("summary-note").textContent = data.note;
  const own = { thresholds: [...state.thresholds], operating: { ...state.operating } };
  const curved = data.findings.filter((finding) => data.curves[finding]);
  if (!curved.includes(state.curveFinding)) state.curveFinding = curved[0] ?? "";
  byId("curve-controls").append(
    curved.length
      ? chooser(
          "Finding",
          curved.map((f) => [f, words(f)]),
          state.curveFinding,
          (curveFinding) => report.set({ curveFinding }),
        )
      : element("p", { class: "note" }, "No finding is both present and absent: no ROC curve."),
  );
  const decision = element("div", {});
  const settings = [
    ...(curved.length ? [element("h3", {}, "Decision threshold"), decision] : []),
    ...boxSliders(report),
  ];
  const reset = () =>
    report.set({ thresholds: [...own.thresholds], operating: { ...own.operating } });
  if (settings.length)
    settings.push(
      element("button", { type: "button", class: "wide", onclick: reset }, "Reset thresholds"),
    );

  function update() {
    showDecision(decision, report);
    showSummary(table, report);
    showCurve(report, curved);
    const threshold = state.operating[state.curveFinding];
    byId("panel-state").textContent =
      threshold === undefined ? "" : `${words(state.curveFinding)} ≥ ${decimals(threshold, 3)}`;
  }

  return {
    settings,
    choosers: [],
    outcomes: ["correct", "missed", "false positive", "correctly not called"],
    roles: ["expert", "detection", "doubtful"],
    inGallery: (pair) =>
      pair.present !== null &&
      (pair.present || called(pair, state) || state.outcome === "correctly not called"),
    galleryNote: () =>
      "Each image by its own probability and label. Called: probability at or above the finding's threshold.",
    judge: (pair) => judge(pair, state),
    update,
  };
}

function called(pair, { operating }) {
  const threshold = operating[pair.finding];
  return threshold !== undefined && pair.probability >= threshold;
}

function judge(pair, state) {
  const yes = called(pair, state);
  const key = `${pair.present}-${yes}`;
  const [outcome, style, text] = {
    "true-true": ["correct", "good", "✓ correct"],
    "true-false": ["missed", "bad", "✗ missed"],
    "false-true": ["false positive", "extra", "+ false positive"],
    "false-false": ["correctly not called", "plain", "not called"],
  }[key] ?? ["", "plain", "label uncertain"];
  const role = yes ? "detection" : "doubtful";
  const marks = [
    ...pair.truth.map((box) => ({ box, role: "expert", text: "Expert's box" })),
    ...boxesOf({ ...pair, probability: pair.raw }, state.thresholds).map((claim) => ({
      box: claim.box,
      role,
      text: `Box, threshold ${claim.threshold}, raw score ${decimals(claim.score, 2)}`,
    })),
  ];
  return {
    outcomes: [outcome],
    chips: [[style, `${text} (${decimals(pair.probability, 2)})`]],
    marks,
  };
}

/** The heatmap thresholds, where there are maps. */
function boxSliders(report) {
  const { state } = report;
  if (!state.thresholds.length) return [];
  return [element("h3", {}, "Boxes"), ...heatmapSliders(report).map(({ node }) => node)];
}

/** A slider over the points of the chosen finding's curve. */
function showDecision(place, report) {
  const { data, state } = report;
  const finding = state.curveFinding;
  const curve = data.curves[finding];
  if (!curve) return;
  const at = pointAt(curve, state.operating[finding]);
  // Between two scores every threshold calls the same units positive.
  const say = (i) => {
    const now = state.operating[finding];
    return decimals(i === pointAt(curve, now) ? now : curve.thresholds[i], 3);
  };
  if (place.dataset.finding !== finding) {
    const { node, set } = slider(
      {
        label: words(finding),
        min: 1,
        max: curve.thresholds.length - 1,
        step: 1,
        value: Math.max(at, 1),
        say,
        name: "decision",
      },
      (i) =>
        report.set({
          operating: { ...state.operating, [state.curveFinding]: curve.thresholds[i] },
        }),
    );
    place.replaceChildren(node, element("p", { class: "note counts" }));
    place.dataset.finding = finding;
    place.set = set;
  }
  place.set(Math.max(at, 1));
  const { truePositives, falseNegatives, falsePositives, trueNegatives } = confusionAt(curve, at);
  place.querySelector(".counts").textContent =
    `Positives: ${truePositives} true, ${falsePositives} false. ` +
    `Negatives: ${trueNegatives} true, ${falseNegatives} false.`;
}

/** The last point of a curve whose threshold is not below the given one: what it calls positive. */
export function pointAt(curve, threshold) {
  if (threshold === undefined) return 0;
  const below = curve.thresholds.findIndex((own) => own !== null && own < threshold);
  return (below < 0 ? curve.thresholds.length : below) - 1;
}

/** Counts of the two-class matrix at a point of the curve. */
export function confusionAt(curve, at) {
  const truePositives = Math.round(curve.sensitivity[at] * curve.positives);
  const falsePositives = Math.round(curve.falsePositiveRate[at] * curve.negatives);
  return {
    truePositives,
    falsePositives,
    falseNegatives: curve.positives - truePositives,
    trueNegatives: curve.negatives - falsePositives,
  };
}

function showSummary(table, report) {
  const { data, state } = report;
  const columns = [
    { label: "Finding" },
    { label: "n" },
    { label: "Positives" },
    ...data.metrics.map((metric) => ({ label: METRIC_NAMES[metric], title: "with its interval" })),
    { label: "Threshold", group: "Decisions, all units" },
    { label: "Sensitivity", group: "Decisions, all units" },
    { label: "Specificity", group: "Decisions, all units" },
  ];
  const line = (finding) => {
    const own = data.measurements.filter(
      (row) => row.finding === finding && row.group === state.group,
    );
    const [first] = own;
    return [
      { value: finding, content: [finding === "mean" ? "mean of findings" : words(finding)] },
      { value: first?.n ?? null, content: [first?.n ?? ""] },
      {
        value: first?.positives ?? null,
        content: [finding === "mean" ? "" : (first?.positives ?? "")],
      },
      ...data.metrics.map((metric) => metricCell(own.find((row) => row.metric === metric))),
      ...decisionCells(finding, report),
    ];
  };
  table.show(columns, data.findings.map(line), [line("mean")]);
}

function metricCell(row) {
  if (!row || row.value === null)
    return { value: null, content: [element("span", { title: row?.note ?? "not defined" }, "–")] };
  const interval = row.low === null ? null : [row.low, row.high];
  const said = interval ? `${decimals(row.low, 2)}–${decimals(row.high, 2)}` : "";
  return {
    value: row.value,
    content: [
      element("span", { class: "score" }, decimals(row.value, 3)),
      " ",
      element("span", { class: "interval" }, said),
      whisker(row.value, interval),
    ],
  };
}

function decisionCells(finding, { data, state }) {
  const curve = data.curves[finding];
  const threshold = state.operating[finding];
  const number = (value, digits) => ({ value, content: [decimals(value, digits)] });
  if (!curve || threshold === undefined) return [number(null), number(null), number(null)];
  const { truePositives, trueNegatives } = confusionAt(curve, pointAt(curve, threshold));
  return [
    number(threshold, 3),
    number(truePositives / curve.positives, 3),
    number(trueNegatives / curve.negatives, 3),
  ];
}

function showCurve(report, curved) {
  const { data, state } = report;
  const points = (curve) => curve.falsePositiveRate.map((rate, i) => [rate, curve.sensitivity[i]]);
  const chosen = data.curves[state.curveFinding];
  if (!chosen) return;
  const others = curved.filter((finding) => finding !== state.curveFinding);
  const at = pointAt(chosen, state.operating[state.curveFinding]);
  const chart = lineChart({
    title: `ROC curve, ${words(state.curveFinding)}: ${chosen.positives} of ${chosen.positives + chosen.negatives} positive`,
    xLabel: "False positive rate (1 − specificity)",
    yLabel: "Sensitivity",
    yMax: 1,
    series: [
      ...others.map((finding) => ({
        name: "",
        style: "ghost",
        points: points(data.curves[finding]),
      })),
      {
        name: `${words(state.curveFinding)}, threshold as a ring; other findings in grey`,
        style: "model",
        points: points(chosen),
        band: chosen.band,
      },
    ],
    spot: [chosen.falsePositiveRate[at], chosen.sensitivity[at]],
    diagonal: true,
  });
  byId("curves").replaceChildren(chart);
}
