/** Curves of a bench run: accuracy, or average false positives, against both T. */
import { NAMES } from "./bench_judge.js";
import { lineChart } from "./charts.js";
import { byId, words } from "./dom.js";
import { accuracyIntervals, countBoxes } from "./scoring.js";

const STEPS = 40;
const BAND_STEPS = 20;

/**
 * @param {object} report
 * @param {Object<string, object[]>} matches of `matchPairs`, by criterion
 * @param {boolean} withBands also the intervals, which take their time
 */
export function showCurves(report, matches, withBands) {
  const { data, state } = report;
  const column = [...data.findings, "mean"].indexOf(state.curveFinding);
  const grid = Array.from({ length: STEPS }, (_, i) => i / STEPS);
  const charts = Object.entries(matches).map(([criterion, own]) => {
    const points = grid.map((t) => [t, countBoxes(own, t, data.findings)[column][state.metric]]);
    const banded = withBands && state.metric === "accuracy";
    const band = banded ? bandOf(own, column, data) : [];
    const controls = Object.entries(data.controls).map(([name, control], i) => ({
      name: words(name),
      style: `control c${i}`,
      dots: true,
      points: data.rules.flatMap((rule, at) =>
        rule.criterion === criterion ? [[rule.threshold, control[state.metric][at][column]]] : [],
      ),
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
  return Array.from({ length: BAND_STEPS + 1 }, (_, i) => {
    const t = Math.min(i / BAND_STEPS, 1 - 1 / STEPS);
    return [t, ...accuracyIntervals(matches, t, findings, resampling)[column]];
  });
}

function niceAbove(value) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];
  return steps.find((step) => step >= value) ?? value;
}
