/** Radiographs with window and level, heatmaps over them, and boxes, as `panels/overlay.py` draws. */
import { element, shape } from "./dom.js";

/**
 * The decoded picture of an image, read once; null where the file holds none.
 * @param {{picture: string | null}} image
 * @returns {Promise<HTMLImageElement | null>}
 */
export function pictureOf(image) {
  image.decoded ??= image.picture ? decode(image.picture) : Promise.resolve(null);
  return image.decoded;
}

async function decode(uri) {
  const picture = new Image();
  picture.src = uri;
  await picture.decode();
  return picture;
}

/**
 * One radiograph in grey levels, with the heatmap of a pair, at the picture's own resolution.
 * @param {object} pair
 * @param {HTMLImageElement | null} picture
 * @param {object} display `window` and `level` as shares of the stored range, `opacity`, `heat`
 * @param {{colours: Uint8Array}} style 256 colours, red green blue
 * @param {number} longest side in pixels, at most
 * @returns {HTMLCanvasElement}
 */
export function composeView(pair, picture, display, style, longest) {
  const { rows, columns } = pair.image;
  const own = picture ? Math.max(picture.naturalWidth, picture.naturalHeight) : longest;
  const scale = Math.min(longest, own) / Math.max(rows, columns);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(columns * scale));
  canvas.height = Math.max(1, Math.round(rows * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (picture) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  applyWindow(pixels.data, display);
  if (display.heat && pair.map) blendMap(pixels, pair, display.opacity, style.colours);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function applyWindow(data, { window, level }) {
  const low = (level - window / 2) * 255;
  const shades = Uint8ClampedArray.from({ length: 256 }, (_, grey) => (grey - low) / window);
  for (let i = 0; i < data.length; i += 4) {
    data[i] = data[i + 1] = data[i + 2] = shades[data[i]];
    data[i + 3] = 255;
  }
}

/** The bilinear surface in colour, the more opaque the higher; around the grid it is constant. */
function blendMap(pixels, pair, opacity, colours) {
  const { values, rows, columns, toImage } = pair.map;
  const [xx, , x0, , yy, y0] = toImage; // maps neither turn nor shear
  const high = values.reduce((most, value) => Math.max(most, value), 0);
  if (!high) return; // a degenerate map
  const across = weights(pixels.width, pair.image.columns, xx, x0, columns);
  const down = weights(pixels.height, pair.image.rows, yy, y0, rows);
  for (let y = 0; y < pixels.height; y++) {
    const [top, bottom, v] = down[y];
    for (let x = 0; x < pixels.width; x++) {
      const [left, right, u] = across[x];
      const above = values[top * columns + left] * (1 - u) + values[top * columns + right] * u;
      const below =
        values[bottom * columns + left] * (1 - u) + values[bottom * columns + right] * u;
      const share = (above * (1 - v) + below * v) / high;
      const alpha = opacity * share;
      const colour = 3 * Math.floor(share * 255);
      const at = 4 * (y * pixels.width + x);
      for (let k = 0; k < 3; k++) {
        pixels.data[at + k] = pixels.data[at + k] * (1 - alpha) + colours[colour + k] * alpha;
      }
    }
  }
}

/** For each pixel along an axis its two cells and the share of the second. */
function weights(size, imageSize, scale, shift, cells) {
  return Array.from({ length: size }, (_, pixel) => {
    const place = (((pixel + 0.5) / size) * imageSize - shift) / scale;
    const centre = Math.min(Math.max(place - 0.5, 0), cells - 1);
    const low = Math.min(Math.floor(centre), Math.max(cells - 2, 0));
    return [low, Math.min(low + 1, cells - 1), centre - low];
  });
}

/**
 * Boxes over a dark halo, the expert's on top.
 * @param {CanvasRenderingContext2D} context in units of the screen
 * @param {{box: number[], role: string}[]} marks in original pixels
 * @param {Object<string, {colour: number[], dash: number[] | null}>} roles
 * @param {(x: number, y: number) => [number, number]} toScreen
 * @param {number} width of a line
 */
export function drawMarks(context, marks, roles, toScreen, width) {
  const last = marks.filter(({ role }) => role === "expert");
  for (const mark of [...marks.filter(({ role }) => role !== "expert"), ...last]) {
    const { colour, dash } = roles[mark.role];
    const [left, top] = toScreen(mark.box[0], mark.box[1]);
    const [right, bottom] = toScreen(mark.box[2], mark.box[3]);
    const inset = width / 2; // a box at the border stays visible
    const sides = [left + inset, top + inset, right - left - width, bottom - top - width];
    context.setLineDash((dash ?? []).map((length) => (length * width) / 2));
    context.lineWidth = 1.6 * width;
    context.strokeStyle = "rgb(0 0 0 / 0.55)";
    context.strokeRect(...sides);
    context.lineWidth = width;
    context.strokeStyle = `rgb(${colour.join(" ")})`;
    context.strokeRect(...sides);
  }
  context.setLineDash([]);
}

/**
 * What the lines and colours mean, as a list.
 * @param {string[]} shown roles
 * @param {Object<string, {words: string, colour: number[], dash: number[] | null}>} roles
 * @param {{colours: Uint8Array}} style
 */
export function drawKey(shown, roles, style) {
  const swatches = shown.map((role) => {
    const { colour, dash, words } = roles[role];
    const line = shape("rect", {
      x: 4,
      y: 4,
      width: 30,
      height: 14,
      fill: "none",
      stroke: `rgb(${colour.join(" ")})`,
      "stroke-width": 2,
      "stroke-dasharray": dash ? dash.join(" ") : null,
    });
    const ground = shape("rect", { width: 38, height: 22, rx: 3, fill: "#1c1c20" });
    return element(
      "span",
      {},
      shape("svg", { width: 38, height: 22, "aria-hidden": "true" }, ground, line),
      words,
    );
  });
  const bar = element("canvas", { width: 256, height: 1, class: "bar", "aria-hidden": "true" });
  const context = bar.getContext("2d");
  for (let i = 0; i < 256; i++) {
    context.fillStyle = `rgb(${style.colours.subarray(3 * i, 3 * i + 3).join(" ")})`;
    context.fillRect(i, 0, 1, 1);
  }
  return [element("span", {}, "heatmap: min ", bar, " max of each map"), ...swatches];
}
