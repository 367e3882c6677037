/** A file that was dropped on the page becomes grey levels; it is not sent anywhere. */
import { radiographOfDicom } from "./demo_dicom.js";
import { deepGreyLevels, greyLevels, isDeepPng } from "./demo_pictures.js";

/**
 * @param {File} file DICOM, PNG or JPEG
 * @returns {Promise<{pixels: Float32Array, rows: number, columns: number, viewCodes: string[],
 *   warnings: string[]}>} grey levels in [0, 1], larger is brighter; the codes of the projection in
 *   a DICOM header; and what a reader should know about the file
 * @throws {Error} with a reason for the reader
 */
export const readRadiograph = async (file) => {
  const content = new Uint8Array(await file.arrayBuffer());
  const starts = (...bytes) => bytes.every((byte, index) => content[index] === byte);
  if (starts(0x89, 0x50, 0x4e, 0x47) || starts(0xff, 0xd8, 0xff)) {
    return { ...(await radiographOfPicture(file, content)), viewCodes: [], warnings: [] };
  }
  const magic = String.fromCharCode(...content.subarray(128, 132));
  if (magic === "DICM") return radiographOfDicom(content);
  throw new Error("neither a DICOM file nor a PNG or JPEG picture");
};

const radiographOfPicture = async (file, content) => {
  if (isDeepPng(content)) return deepGreyLevels(content);
  const { levels, rows, columns } = await greyLevels(file);
  return { pixels: Float32Array.from(levels, (level) => level / 255), rows, columns };
};
