/** Line charts in SVG, drawn at a fixed size and scaled to their place. */
import { decimals, element, shape } from "./dom.js";

const SIZE = { width: 420, height: 270, left: 58, right: 12, top: 10, bottom: 42 };

/**
 * @typedef {object} Series
 * @property {string} name in the key; without one the line is background
 * @property {string} style class of its colour and dashes
 * @property {[number, number][]} points
 * @property {[number, number, number][]} [band] x, low, high
 * @property {boolean} [dots] mark every point
 */

/**
 * A chart with its key, x from 0 to 1.
 * @param {{title: string, xLabel: string, yLabel: string, yMax: number, series: Series[],
 *   cursor?: number, spot?: [number, number], diagonal?: boolean}} chart `cursor` is an x to mark,
 *   `spot` a point
 * @returns {HTMLElement}
 */
export function lineChart({ title, xLabel, yLabel, yMax, series, cursor, spot, diagonal }) {
  const { width, height, left, right, top, bottom } = SIZE;
  const x = (value) => left + value * (width - left - right);
  const y = (value) => height - bottom - (value / yMax) * (height - top - bottom);
  const path = (points) =>
    points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
  const drawn = [...axes(x, y, yMax, xLabel, yLabel)];
  if (diagonal)
    drawn.push(
      shape("path", {
        d: path([
          [0, 0],
          [1, 1],
        ]),
        class: "chance",
      }),
    );
  for (const { style, points, band, dots } of series) {
    if (band?.length) {
      const edge = [
        ...band.map(([a, , b]) => [a, b]),
        ...band.toReversed().map(([a, b]) => [a, b]),
      ];
      drawn.push(shape("path", { d: `${path(edge)}Z`, class: `band ${style}` }));
    }
    drawn.push(shape("path", { d: path(points), class: `line ${style}` }));
    if (dots)
      for (const [a, b] of points)
        drawn.push(shape("circle", { cx: x(a), cy: y(b), r: 2.2, class: `dot ${style}` }));
  }
  if (cursor !== undefined) {
    drawn.push(shape("path", { d: `M${x(cursor)} ${y(0)}V${top}`, class: "cursor" }));
  }
  if (spot) drawn.push(shape("circle", { cx: x(spot[0]), cy: y(spot[1]), r: 5, class: "spot" }));
  const picture = shape(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": inWords(title, series) },
    ...drawn,
  );
  return element(
    "figure",
    { class: "chart" },
    element("figcaption", {}, title),
    picture,
    key(series),
  );
}

function axes(x, y, yMax, xLabel, yLabel) {
  const { width, height, left, right, bottom } = SIZE;
  const parts = [];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const level = y(share * yMax);
    parts.push(
      shape("path", { d: `M${left} ${level}H${width - right}`, class: "grid" }),
      shape("text", { x: left - 7, y: level + 4, class: "tick end" }, decimals(share * yMax, 2)),
      shape(
        "text",
        { x: x(share), y: height - bottom + 17, class: "tick middle" },
        decimals(share, 2),
      ),
    );
  }
  parts.push(
    shape("text", { x: x(0.5), y: height - 6, class: "label middle" }, xLabel),
    shape(
      "text",
      { transform: `translate(14 ${y(yMax / 2)}) rotate(-90)`, class: "label middle" },
      yLabel,
    ),
  );
  return parts;
}

function key(series) {
  const named = series.filter(({ name }) => name);
  return element(
    "div",
    { class: "key", "aria-hidden": "true" },
    ...named.map(({ name, style }) => {
      const line = shape("path", { d: "M0 8H26", class: `line ${style}` });
      return element("span", {}, shape("svg", { width: 26, height: 16 }, line), name);
    }),
  );
}

/** The chart for those who cannot see it: every named line at a few places. */
function inWords(title, series) {
  const lines = series
    .filter(({ name }) => name)
    .map(({ name, points }) => {
      const chosen = points.filter((_, i) => i % Math.ceil(points.length / 6) === 0);
      return `${name}: ${chosen.map(([a, b]) => `${decimals(b, 2)} at ${decimals(a, 2)}`).join(", ")}`;
    });
  return `${title}. ${lines.join("; ")}.`;
}

/**
 * A value with its interval on a line from 0 to 1.
 * @param {number} value
 * @param {[number, number] | null} interval
 */
export function whisker(value, interval) {
  const x = (share) => 3 + 64 * share;
  return shape(
    "svg",
    { class: "whisker", viewBox: "0 0 70 12", "aria-hidden": "true" },
    shape("path", { d: "M3 6H67", class: "grid" }),
    interval ? shape("path", { d: `M${x(interval[0])} 6H${x(interval[1])}`, class: "span" }) : null,
    shape("circle", { cx: x(value), cy: 6, r: 3, class: "value" }),
  );
}
