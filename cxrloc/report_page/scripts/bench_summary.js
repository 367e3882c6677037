/** The table of a bench run: findings, their mean, and the controls. */
import { NAMES } from "./bench_judge.js";
import { whisker } from "./charts.js";
import { decimals, element, words } from "./dom.js";

const COLUMNS = [
  ["accuracy", "Accuracy", "annotated boxes hit / annotated boxes, with its 95 % interval"],
  ["falsePositives", "FP", "false positives: boxes that are not correct"],
  ["afp", "AFP", "false positives / annotated boxes of all findings"],
];

/**
 * @param {object} table of `sortableTable`
 * @param {object} report
 * @param {Object<string, {counts: object[], intervals: [number, number][] | null}>} rows by criterion
 */
export function showSummary(table, report, rows) {
  const { data, state } = report;
  const heads = Object.keys(NAMES).flatMap((criterion) =>
    COLUMNS.map(([, label, title]) => ({
      label,
      title,
      group: `${NAMES[criterion]} > ${state.t[criterion]}`,
    })),
  );
  const columns = [
    { label: "Finding" },
    { label: "Boxes", title: "annotated boxes" },
    { label: "Detected", title: "boxes on scored pairs" },
    ...heads,
  ];
  const line = (name, k) => {
    const { annotated, detections } = rows.iou.counts[k];
    const cells = Object.values(rows).flatMap(({ counts, intervals }) =>
      scoreCells(counts[k], intervals?.[k] ?? null),
    );
    return [
      { value: name, content: [words(name)] },
      ...[annotated, detections].map(plain),
      ...cells,
    ];
  };
  const body = data.findings.map(line);
  const mean = line("mean of findings", data.findings.length);
  table.show(columns, body, [
    mean,
    ...Object.keys(data.controls).map((name) => controlLine(name, report)),
  ]);
}

function plain(value) {
  return { value, content: [value] };
}

function scoreCells({ accuracy, falsePositives, afp }, interval) {
  return [
    accuracyCell(accuracy, interval),
    plain(falsePositives),
    { value: afp, content: [decimals(afp, 3)] },
  ];
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
    const at = data.rules.findIndex(
      (rule) => rule.criterion === criterion && rule.threshold === state.t[criterion],
    );
    if (at < 0)
      return Array.from(COLUMNS, () => ({
        value: null,
        content: [element("span", { title: "The run scored its controls at its own T only" }, "–")],
      }));
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
  return [
    { value: label, content: [label] },
    { value: null, content: [""] },
    { value: detections, content: [decimals(detections, 0)] },
    ...cells,
  ];
}
