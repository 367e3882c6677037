/**
 * The box rule on one map: `cxrloc/localization/regions.py` and `boxes.py` in the same float64
 * operations and the same order, so that both give the same boxes to the last bit.
 */

/** Thresholds are grey levels of 8-bit heatmaps. */
const FULL_SCALE = 255;

/** So many cells outside the grid lies no pixel of an image. */
const BEYOND_CELLS = 1e6;

/**
 * The values of a map on the scale from 0 to 255, by its own extremes.
 * @param {ArrayLike<number>} values row by row
 * @returns {Float64Array | null} null for a degenerate map: flat, or with a value that is not finite
 */
export function scaleMap(values) {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) return null;
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  if (!(low < high)) return null;
  return Float64Array.from(values, (value) => ((value - low) / (high - low)) * FULL_SCALE);
}

/**
 * Every isolated region of the bilinear surface above a threshold, in raster order.
 * @param {Float64Array} scaled a map from 0 to 255, row by row
 * @param {number} rows
 * @param {number} columns
 * @param {number} threshold 0 to 255, strict
 * @returns {{box: number[], peak: number}[]} the box is x_min, y_min, x_max, y_max in cells; the
 *   peak is a share of the map's range
 */
export function findRegions(scaled, rows, columns, threshold) {
  const excess = scaled.map((value) => value - threshold);
  const { labels, count } = labelRegions(excess, rows, columns);
  const regions = Array.from({ length: count }, () => ({
    box: [Infinity, Infinity, -Infinity, -Infinity],
    peak: 0,
  }));
  labels.forEach((label, cell) => {
    if (label >= 0) regions[label].peak = Math.max(regions[label].peak, scaled[cell]);
  });
  for (let row = 0; row < rows; row++) {
    stretch(regions, 0, excess, labels, { start: row * columns, step: 1, length: columns });
  }
  for (let column = 0; column < columns; column++) {
    stretch(regions, 1, excess, labels, { start: column, step: columns, length: rows });
  }
  for (const region of regions) region.peak /= FULL_SCALE;
  return regions;
}

/**
 * The region of every cell centre above 0, from 0 on in raster order; -1 elsewhere.
 *
 * Neighbours in a row or column that are both above 0 belong together. Across a diagonal a, d with
 * b, c on the other one, the saddle of the surface decides: a d > b c.
 * @param {Float64Array} excess map minus threshold
 * @param {number} rows
 * @param {number} columns
 * @returns {{labels: Int32Array, count: number}}
 */
export function labelRegions(excess, rows, columns) {
  const parent = new Int32Array(excess.length);
  for (let cell = 0; cell < parent.length; cell++) parent[cell] = cell;
  const root = (cell) => {
    while (parent[cell] !== cell) {
      parent[cell] = parent[parent[cell]];
      cell = parent[cell];
    }
    return cell;
  };
  const join = (one, other) => {
    const first = root(one);
    const second = root(other);
    parent[Math.max(first, second)] = Math.min(first, second);
  };
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const a = row * columns + column;
      const right = column + 1 < columns;
      const below = row + 1 < rows;
      if (right && excess[a] > 0 && excess[a + 1] > 0) join(a, a + 1);
      if (below && excess[a] > 0 && excess[a + columns] > 0) join(a, a + columns);
      if (!right || !below) continue;
      const b = a + 1;
      const c = a + columns;
      const d = c + 1;
      const falling = excess[a] * excess[d];
      const rising = excess[b] * excess[c];
      if (excess[a] > 0 && excess[d] > 0 && falling > rising) join(a, d);
      if (excess[b] > 0 && excess[c] > 0 && rising > falling) join(b, c);
    }
  }
  const labels = new Int32Array(excess.length).fill(-1);
  let count = 0;
  for (let cell = 0; cell < labels.length; cell++) {
    if (!(excess[cell] > 0)) continue;
    const first = root(cell); // no cell of a region comes before its root
    labels[cell] = first === cell ? count++ : labels[first];
  }
  return { labels, count };
}

/**
 * Let regions reach to where the surface falls through 0 along one row or column.
 * @param {{box: number[]}[]} regions changed in place
 * @param {0 | 1} axis 0 along x, 1 along y
 * @param {Float64Array} excess
 * @param {Int32Array} labels
 * @param {{start: number, step: number, length: number}} line the cells of the row or column
 */
function stretch(regions, axis, excess, labels, { start, step, length }) {
  for (let edge = 0; edge <= length; edge++) {
    const right = start + step * edge;
    const left = right - step;
    const labelBefore = edge > 0 ? labels[left] : -1;
    const labelAfter = edge < length ? labels[right] : -1;
    if (labelBefore >= 0 === labelAfter >= 0) continue;
    // Beyond the border the same height below 0: the region crosses half a cell outwards.
    const before = edge > 0 ? excess[left] : -Math.abs(excess[right]);
    const after = edge < length ? excess[right] : -Math.abs(excess[left]);
    const position = edge - 0.5 + before / (before - after);
    const { box } = regions[Math.max(labelBefore, labelAfter)];
    box[axis] = Math.min(box[axis], position);
    box[axis + 2] = Math.max(box[axis + 2], position);
  }
}

/**
 * A box on the grid in pixels of its image, cut at the border; null where nothing is left.
 *
 * A side on the grid's edge goes on to the border of the image, because the surface is constant
 * there; the box is cut at the border.
 * @param {number[]} box in cells
 * @param {{rows: number, columns: number, toImage: number[]}} map `toImage` is xx, xy, x0, yx, yy, y0
 * @param {{rows: number, columns: number}} image
 * @returns {number[] | null}
 */
export function boxInImage(box, map, image) {
  const [left, top] = [box[0] <= 0 ? -BEYOND_CELLS : box[0], box[1] <= 0 ? -BEYOND_CELLS : box[1]];
  const right = box[2] >= map.columns ? map.columns + BEYOND_CELLS : box[2];
  const bottom = box[3] >= map.rows ? map.rows + BEYOND_CELLS : box[3];
  const [xx, xy, x0, yx, yy, y0] = map.toImage;
  const corners = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  const xs = corners.map(([x, y]) => clip(xx * x + xy * y + x0, image.columns));
  const ys = corners.map(([x, y]) => clip(yx * x + yy * y + y0, image.rows));
  const moved = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  return moved[0] < moved[2] && moved[1] < moved[3] ? moved : null;
}

function clip(value, limit) {
  return Math.min(Math.max(value, 0), limit);
}
