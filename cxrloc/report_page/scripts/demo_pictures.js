/** Grey levels of pictures: PNG with 16 bits by this file, everything else by the browser. */

/** Channels of a grey picture differ by no more than this share of the range. */
const LARGEST_COLOUR = 8 / 255;

/**
 * @param {Blob} picture PNG or JPEG
 * @returns {Promise<{levels: Uint8Array, rows: number, columns: number}>} grey levels of 8 bits:
 *   browsers decode no more; the green channel is nearest to luminance
 * @throws {Error} with a reason for the reader
 */
export const greyLevels = async (picture) => {
  let bitmap;
  try {
    bitmap = await createImageBitmap(picture, { colorSpaceConversion: "none" });
  } catch {
    throw new Error("a damaged picture");
  }
  const { width: columns, height: rows } = bitmap;
  const context = new OffscreenCanvas(columns, rows).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, columns, rows);
  const levels = new Uint8Array(columns * rows);
  for (let pixel = 0; pixel < levels.length; pixel++) {
    const [red, green, blue] = [data[4 * pixel], data[4 * pixel + 1], data[4 * pixel + 2]];
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > LARGEST_COLOUR * 255) {
      throw new Error("a picture in colour; radiographs are grey");
    }
    levels[pixel] = green;
  }
  return { levels, rows, columns };
};

/** Whether a file is a PNG with more bits than a browser keeps. */
export function isDeepPng(content) {
  return content[0] === 0x89 && content[24] === 16;
}

/**
 * All bits of a grey PNG of 16 bits (PNG specification, sections 7.2 and 9).
 * @param {Uint8Array} content the file
 * @returns {Promise<{pixels: Float32Array, rows: number, columns: number}>} in [0, 1]
 * @throws {Error} it is in colour, interlaced, turned by EXIF, or damaged
 */
export const deepGreyLevels = async (content) => {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const [columns, rows] = [view.getUint32(16), view.getUint32(20)];
  const [colour, interlaced] = [content[25], content[28]];
  const parts = [];
  for (let at = 8; at + 12 <= content.length; at += 12 + view.getUint32(at)) {
    const kind = String.fromCharCode(...content.subarray(at + 4, at + 8));
    if (kind === "eXIf" || colour !== 0 || interlaced) {
      throw new Error("a PNG of 16 bits that is in colour, interlaced or turned by EXIF");
    }
    if (kind === "IDAT") parts.push(content.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  let bytes;
  try {
    bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new Error("a damaged picture");
  }
  const width = 2 * columns;
  if (bytes.length !== rows * (width + 1)) throw new Error("a damaged picture");
  const lines = unfiltered(bytes, rows, width);
  const pixels = new Float32Array(rows * columns);
  for (let pixel = 0; pixel < pixels.length; pixel++) {
    pixels[pixel] = (256 * lines[2 * pixel] + lines[2 * pixel + 1]) / 65535;
  }
  return { pixels, rows, columns };
};

/** The bytes of all lines; each line is predicted as its first byte says, 2 bytes to a pixel. */
function unfiltered(bytes, rows, width) {
  const lines = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const predict = PREDICTORS[bytes[row * (width + 1)]];
    if (!predict) throw new Error("a damaged picture");
    for (let x = 0; x < width; x++) {
      const at = row * width + x;
      const left = x < 2 ? 0 : lines[at - 2];
      const above = row === 0 ? 0 : lines[at - width];
      const corner = x < 2 || row === 0 ? 0 : lines[at - width - 2];
      lines[at] = bytes[row * (width + 1) + 1 + x] + predict(left, above, corner);
    }
  }
  return lines;
}

/** Filter types 0 to 4: none, sub, up, average and Paeth. */
const PREDICTORS = [
  () => 0,
  (left) => left,
  (left, above) => above,
  (left, above) => (left + above) >> 1,
  nearest,
];

/** Paeth's predictor: which of three neighbours is nearest to left + above - corner. */
function nearest(left, above, corner) {
  const guess = left + above - corner;
  const a = Math.abs(guess - left);
  const b = Math.abs(guess - above);
  const c = Math.abs(guess - corner);
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}
