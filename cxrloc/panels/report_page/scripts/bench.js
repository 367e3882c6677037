/** The page of `cxrloc bench`: boxes against experts' boxes, computed anew at every threshold. */
import { lineChart, whisker } from "./charts.js";
import { byId, chooser, counted, decimals, element, slider, words } from "./dom.js";
import { accuracyIntervals, boxesOf, countBoxes, matchPair, matchPairs, OVERLAPS } from "./scoring.js";
import { sortableTable } from "./table.js";

const NAMES = { iou: "T(IoU)", iobb: "T(IoBB)" };
const OVERLAP_NAMES = { iou: "IoU", iobb: "IoBB" };
const CURVE_STEPS = 40;

/** What the page of a bench run shows and does; `report` gets its state from `initial`. */
export function benchKind(report) {
  const { data, state, pairs } = report;
  const { findings, resampling } = data;
  const columns = [...findings, "mean"];
  const table = sortableTable("Localization accuracy by finding, with controls");
  byId("summary").append(table.node);
  byId("curve-controls").append(
    chooser("Finding", columns.map((f) => [f, f === "mean" ? "mean of findings" : words(f)]), "mean", (curveFinding) => report.set({ curveFinding })),
    chooser("Show", [["accuracy", "accuracy"], ["afp", "average false positives"]], "accuracy", (metric) => report.set({ metric })),
  );
  const settings = thresholdSliders(report);

  /** Matches by criterion, made again when a heatmap threshold moves. */
  let matches = {};
  let matchesAt = "";
  function matched() {
    const version = state.thresholds.join();
    if (version !== matchesAt) {
      matches = { iou: matchPairs(pairs, state.thresholds, "iou"), iobb: matchPairs(pairs, state.thresholds, "iobb") };
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
        return [criterion, { counts: countBoxes(own, t, findings), intervals: accuracyIntervals(own, t, findings, resampling) }];
      }),
    );
    showSummary(table, report, rows);
    showCurves(report, matched());
    byId("panel-state").textContent = settings.words();
    report.announce(`Mean accuracy ${NAMES.iou} ${decimals(rows.iou.counts.at(-1).accuracy, 3)}, ${NAMES.iobb} ${decimals(rows.iobb.counts.at(-1).accuracy, 3)}`);
  }

  byId("check").textContent = checkCounts(report);
  byId("summary-note").textContent = data.note;
  return {
    settings: settings.nodes,
    choosers: [
      chooser("Judged by", Object.entries(NAMES), state.criterion, (criterion) => report.set({ criterion })),
    ],
    outcomes: ["correct", "missed", "false positive"],
    roles: ["expert", "correct", "false_positive"],
    inGallery: (pair) => pair.scored || pair.truth.length > 0,
    galleryNote: () => `Correct: ${OVERLAP_NAMES[state.criterion]} > ${decimals(state.t[state.criterion], 2)}.`,
    judge: (pair) => judge(pair, state),
    update,
  };
}

function judge(pair, { thresholds, t, criterion }) {
  const version = [thresholds, t.iou, t.iobb, criterion].join();
  if (pair.judgedAt !== version) {
    pair.judged = pair.scored || pair.truth.length ? judgeScored(pair, thresholds, t, criterion) : judgeOther(pair, thresholds);
    pair.judgedAt = version;
  }
  return pair.judged;
}

function judgeScored(pair, thresholds, t, criterion) {
  const { claims, ofBox, ofTruth } = matchPair(pair, thresholds, criterion);
  const counts = pair.scored || !claims.length;
  const hits = ofTruth.filter((overlap) => counts && overlap > t[criterion]).length;
  const wrong = counts ? ofBox.filter((overlap) => !(overlap > t[criterion])).length : 0;
  const chips = [];
  const outcomes = [];
  const add = (outcome, style, text) => {
    outcomes.push(outcome);
    chips.push([style, text]);
  };
  const of = (n) => (pair.truth.length > 1 ? ` ${n} of ${pair.truth.length}` : "");
  if (hits) add("correct", "good", `✓ correct${of(hits)}`);
  if (hits < pair.truth.length) add("missed", "bad", `✗ missed${of(pair.truth.length - hits)}`);
  if (wrong) add("false positive", "extra", `+ ${counted(wrong, "false positive")}`);
  if (!pair.scored) chips.push(["plain", "gives no boxes here"]);
  const marks = [
    ...pair.truth.map((box, i) => {
      const hit = counts && ofTruth[i] > t[criterion] ? "hit" : "missed";
      return { box, role: "expert", text: `Expert's box, ${hit}` };
    }),
    ...claims.map((claim, i) => {
      const role = ofBox[i] > t[criterion] ? "correct" : "false_positive";
      return { box: claim.box, role: counts ? role : "detection", text: claimText(claim, pair, counts ? role : "detection") };
    }),
  ];
  return { outcomes, chips, marks };
}

/** A finding that is not scored on this image: its boxes, without a verdict. */
function judgeOther(pair, thresholds) {
  const marks = boxesOf(pair, thresholds).map((claim) => ({ box: claim.box, role: "detection", text: claimText(claim, pair, "detection") }));
  return { outcomes: [], chips: [["plain", "not scored"]], marks };
}

function claimText({ box, threshold, score }, pair, role) {
  const verdict = { correct: "Correct box", false_positive: "False positive", detection: "Box" }[role];
  const overlaps = Object.entries(OVERLAP_NAMES).map(([criterion, name]) => {
    const best = Math.max(0, ...pair.truth.map((annotated) => OVERLAPS[criterion](box, annotated)));
    return `${name} ${decimals(best, 2)}`;
  });
  const parts = [
    verdict,
    threshold === null ? null : `threshold ${threshold}`,
    ...(pair.truth.length ? overlaps : []),
    score === null ? null : `score ${decimals(score, 2)}`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** Sliders of the heatmap thresholds and of both T, with a way back to the run's own. */
function thresholdSliders(report) {
  const { data, state } = report;
  const own = { thresholds: [...state.thresholds], t: { ...state.t } };
  const heat = state.thresholds.map((value, i) =>
    slider({ label: `Heatmap threshold ${i + 1}`, min: 0, max: 254, step: 1, value, say: String, name: `threshold-${i}` }, (moved) =>
      report.set({ thresholds: state.thresholds.with(i, moved) }),
    ),
  );
  const overlap = Object.entries(NAMES).map(([criterion, name]) => {
    const ticks = data.rules.filter((rule) => rule.criterion === criterion).map((rule) => rule.threshold);
    const say = (t) => String(t);
    return {
      criterion,
      ...slider({ label: name, min: 0, max: 0.99, step: 0.01, value: state.t[criterion], say, ticks, name: criterion }, (moved) =>
        report.set({ t: { ...state.t, [criterion]: moved } }),
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
    words: () => [state.thresholds.join(" / "), `IoU ${state.t.iou}`, `IoBB ${state.t.iobb}`].filter(Boolean).join(" · "),
  };
}

const COLUMNS = [
  ["accuracy", "Accuracy", "annotated boxes hit / annotated boxes, with its 95 % interval"],
  ["falsePositives", "FP", "false positives: boxes that are not correct"],
  ["afp", "AFP", "false positives / annotated boxes of all findings"],
];

function showSummary(table, report, rows) {
  const { data, state } = report;
  const heads = Object.keys(NAMES).flatMap((criterion) =>
    COLUMNS.map(([, label, title]) => ({ label, title, group: `${NAMES[criterion]} > ${state.t[criterion]}` })),
  );
  const columns = [{ label: "Finding" }, { label: "Boxes", title: "annotated boxes" }, { label: "Detected", title: "boxes on scored pairs" }, ...heads];
  const line = (name, k) => {
    const { annotated, detections } = rows.iou.counts[k];
    const cells = Object.values(rows).flatMap(({ counts, intervals }) => scoreCells(counts[k], intervals?.[k] ?? null));
    return [{ value: name, content: [words(name)] }, ...[annotated, detections].map(plain), ...cells];
  };
  const body = data.findings.map(line);
  const mean = line("mean of findings", data.findings.length);
  table.show(columns, body, [mean, ...Object.keys(data.controls).map((name) => controlLine(name, report))]);
}

function plain(value) {
  return { value, content: [value] };
}

function scoreCells({ accuracy, falsePositives, afp }, interval) {
  return [accuracyCell(accuracy, interval), plain(falsePositives), { value: afp, content: [decimals(afp, 3)] }];
}

function accuracyCell(accuracy, interval) {
  const said = interval ? `${decimals(interval[0], 2)}–${decimals(interval[1], 2)}` : "";
  return {
    value: accuracy,
    content: [
      element("span", { class: "score" }, decimals(accuracy, 3)),
      " ",
      element("span", { class: "interval" }, said),
      whisker(accuracy, interval),
    ],
  };
}

/** The mean of a control where the run has scored it: at its own T. */
function controlLine(name, { data, state }) {
  const control = data.controls[name];
  const cells = Object.keys(NAMES).flatMap((criterion) => {
    const at = data.rules.findIndex((rule) => rule.criterion === criterion && rule.threshold === state.t[criterion]);
    if (at < 0) return Array.from(COLUMNS, () => ({ value: null, content: [element("span", { title: "The run scored its controls at its own T only" }, "–")] }));
    const low = control.low[at].at(-1);
    const interval = low === null ? null : [low, control.high[at].at(-1)];
    const afp = control.afp[at].at(-1);
    const falsePositives = control.falsePositives[at].at(-1);
    return [
      accuracyCell(control.accuracy[at].at(-1), interval),
      { value: falsePositives, content: [decimals(falsePositives, 0)] },
      { value: afp, content: [decimals(afp, 3)] },
    ];
  });
  const detections = control.detections.at(-1);
  const label = `control: ${words(name)}`;
  return [{ value: label, content: [label] }, { value: null, content: [""] }, { value: detections, content: [decimals(detections, 0)] }, ...cells];
}

function showCurves(report, matches) {
  const { data, state } = report;
  const column = [...data.findings, "mean"].indexOf(state.curveFinding);
  const grid = Array.from({ length: CURVE_STEPS }, (_, i) => i / CURVE_STEPS);
  const charts = Object.entries(matches).map(([criterion, own]) => {
    const points = grid.map((t) => [t, countBoxes(own, t, data.findings)[column][state.metric]]);
    const band = state.metric === "accuracy" ? bandOf(own, column, data) : [];
    const controls = Object.entries(data.controls).map(([name, control], i) => ({
      name: words(name),
      style: `control c${i}`,
      dots: true,
      points: data.rules.flatMap((rule, at) => (rule.criterion === criterion ? [[rule.threshold, control[state.metric][at][column]]] : [])),
    }));
    const series = [{ name: "model", style: "model", points, band }, ...controls];
    const most = Math.max(...series.flatMap(({ points: each }) => each.map(([, y]) => y)));
    return lineChart({
      title: `${state.metric === "accuracy" ? "Accuracy" : "Average false positives"} against ${NAMES[criterion]}, ${words(state.curveFinding)}`,
      xLabel: NAMES[criterion],
      yLabel: state.metric === "accuracy" ? "Accuracy" : "AFP",
      yMax: state.metric === "accuracy" ? 1 : niceAbove(most),
      series,
      cursor: state.t[criterion],
    });
  });
  byId("curves").replaceChildren(...charts);
}

function bandOf(matches, column, { findings, resampling }) {
  if (!resampling) return [];
  return Array.from({ length: CURVE_STEPS }, (_, i) => {
    const t = i / CURVE_STEPS;
    return [t, ...accuracyIntervals(matches, t, findings, resampling)[column]];
  });
}

function niceAbove(value) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];
  return steps.find((step) => step >= value) ?? value;
}

/** This page's counts at the run's thresholds beside those that Python made of the same maps. */
function checkCounts({ data, state, pairs }) {
  let equal = 0;
  let cells = 0;
  data.rules.forEach((rule, at) => {
    if (!OVERLAPS[rule.criterion]) return;
    const counts = countBoxes(matchPairs(pairs, state.thresholds, rule.criterion), rule.threshold, data.findings);
    counts.forEach((own, k) => {
      cells += 2;
      equal += own.hit === data.expected.hit[at][k] ? 1 : 0;
      equal += own.falsePositives === data.expected.falsePositives[at][k] ? 1 : 0;
    });
  });
  const verdict = equal === cells ? "✓" : "⚠ Do not trust this page:";
  return `${verdict} ${equal} of ${cells} counts computed in this page equal those of Python. ${data.quantisation}`;
}
