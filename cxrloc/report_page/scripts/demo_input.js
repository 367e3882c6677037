/**
 * What a network gets of a radiograph: `cxrloc/images/preprocessing.py` and `geometry.py` in the
 * same float32 operations and the same order, so that both give the same grey levels.
 */

/**
 * @param {{pixels: Float32Array, rows: number, columns: number}} radiograph grey levels in [0, 1]
 * @param {object} preprocessing the settings in the model's card, with a square `size`
 * @returns {{grey: Float32Array, scale: number[], shift: number[]}} grey levels of the input, and
 *   the map from original pixels to it: x' = scale[0] x + shift[0], y' = scale[1] y + shift[1]
 */
export function networkInput(radiograph, preprocessing) {
  const { size, fit, crop_from: cropFrom, source_size: side, bit_depth: bits } = preprocessing;
  let image = radiograph;
  let [across, down] = [1, 1];
  if (side && !(image.rows === image.columns && image.rows <= side)) {
    [across, down] = [side / image.columns, side / image.rows];
    image = resample(image, [across, down], [0, 0], side);
  }
  if (bits !== null) image = { ...image, pixels: rounded(image.pixels, 2 ** bits - 1) };
  const square = cropFrom || size;
  const own = FITS[fit](image.rows, image.columns, square);
  const margin = (square - size) / 2;
  const shift = own.shift.map((value) => value - margin);
  const input = resample(image, own.scale, shift, size);
  return { grey: input.pixels, scale: [own.scale[0] * across, own.scale[1] * down], shift };
}

const FITS = {
  squash: (rows, columns, side) => ({ scale: [side / columns, side / rows], shift: [0, 0] }),
  letterbox: (rows, columns, side) => centred(rows, columns, side, side / Math.max(rows, columns)),
  crop: (rows, columns, side) => centred(rows, columns, side, side / Math.min(rows, columns)),
};

function centred(rows, columns, side, scale) {
  return { scale: [scale, scale], shift: [(side - columns * scale) / 2, (side - rows * scale) / 2] };
}

/** Grey levels as a file of so many whole levels stores them; halves are rounded to even. */
function rounded(pixels, top) {
  return pixels.map((value) => {
    const level = Math.fround(value * top);
    const low = Math.floor(level);
    const up = level - low > 0.5 || (level - low === 0.5 && low % 2 === 1);
    return Math.fround((low + (up ? 1 : 0)) / top);
  });
}

/** Resized by a triangle as wide as an output pixel, and at least as an input pixel. */
function resample({ pixels, rows, columns }, [across, down], [x0, y0], side) {
  const downWeights = triangleWeights(rows, side, down, y0);
  const acrossWeights = triangleWeights(columns, side, across, x0);
  const out = new Float32Array(side * side);
  const low = new Float32Array(columns);
  for (let row = 0; row < side; row++) {
    low.fill(0);
    for (const [tap, weight] of downWeights[row]) {
      const start = tap * columns;
      for (let x = 0; x < columns; x++) low[x] += Math.fround(weight * pixels[start + x]);
    }
    for (let column = 0; column < side; column++) {
      let sum = 0;
      for (const [tap, weight] of acrossWeights[column]) {
        sum = Math.fround(sum + Math.fround(weight * low[tap]));
      }
      out[row * side + column] = sum;
    }
  }
  return { pixels: out, rows: side, columns: side };
}

/** For each output pixel along an axis, the inputs with their weights; none outside the input. */
function triangleWeights(size, outSize, scale, shift) {
  const reach = Math.max(1, 1 / Math.abs(scale));
  return Array.from({ length: outSize }, (_, out) => {
    const centre = (out + 0.5 - shift) / scale;
    if (centre < 0 || centre > size) return [];
    const first = Math.floor(centre - reach);
    const taps = [];
    for (let tap = first; tap <= first + Math.ceil(2 * reach); tap++) {
      const weight = Math.max(0, 1 - Math.abs(tap + 0.5 - centre) / reach);
      if (weight > 0 && tap >= 0 && tap < size) taps.push([tap, weight]);
    }
    const total = taps.reduce((sum, [, weight]) => sum + weight, 0);
    return taps.map(([tap, weight]) => [tap, Math.fround(weight / total)]);
  });
}
