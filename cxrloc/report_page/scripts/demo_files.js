/** A file that was dropped on the page becomes grey levels; it is not sent anywhere. */
import { radiographOfDicom } from "./demo_dicom.js";

/** Channels of a grey picture differ by no more than this share of the range. */
const LARGEST_COLOUR = 8 / 255;

/**
 * @param {File} file DICOM, PNG or JPEG
 * @returns {Promise<{pixels: Float32Array, rows: number, columns: number}>} grey levels in [0, 1],
 *   larger is brighter
 * @throws {Error} with a reason for the reader
 */
export const readRadiograph = async (file) => {
  const content = new Uint8Array(await file.arrayBuffer());
  const starts = (...bytes) => bytes.every((byte, index) => content[index] === byte);
  if (starts(0x89, 0x50, 0x4e, 0x47) || starts(0xff, 0xd8, 0xff)) return radiographOfPicture(file);
  const magic = String.fromCharCode(...content.subarray(128, 132));
  if (magic === "DICM") return radiographOfDicom(content);
  throw new Error("neither a DICOM file nor a PNG or JPEG picture");
};

/** The browser decodes pictures with 8 bits; the green channel is nearest to luminance. */
async function radiographOfPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error("a damaged picture");
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const pixels = new Float32Array(bitmap.width * bitmap.height);
  for (let pixel = 0; pixel < pixels.length; pixel++) {
    const [red, green, blue] = data.subarray(4 * pixel, 4 * pixel + 3);
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > LARGEST_COLOUR * 255) {
      throw new Error("a picture in colour; radiographs are grey");
    }
    pixels[pixel] = green / 255;
  }
  return { pixels, rows: bitmap.height, columns: bitmap.width };
}
