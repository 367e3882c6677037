/** Lookup tables of a DICOM file, as `cxrloc/images/dicom_luts.py` reads them. */

const DESCRIPTOR = "x00283002";
const DATA = "x00283006";

/**
 * The first table of a Modality or VOI LUT Sequence that has descriptor and data.
 *
 * @param {object} header a data set of dicom-parser
 * @param {string} tag of the sequence
 * @param {number[]} inputs lowest and highest value that the table is applied to
 * @returns {{low: number, high: number, at: function(number): number} | undefined} its lowest and
 *   highest entry, and the entry of a value
 * @throws {Error} the data are shorter than the descriptor says
 */
export const lookupTable = (header, tag, inputs) => {
  const items = (header.elements[tag]?.items ?? []).map((item) => item.dataSet);
  const item = items.find((own) => own?.elements[DESCRIPTOR]?.length >= 6 && own.elements[DATA]?.length);
  if (!item) return undefined;
  const length = item.uint16(DESCRIPTOR, 0) || 2 ** 16; // PS3.3 C.11.1.1
  const entries = entriesOf(item, length, item.uint16(DESCRIPTOR, 2));
  const first = firstInput(item.uint16(DESCRIPTOR, 1), length, inputs);
  const [low, high] = entries.reduce(
    ([least, most], entry) => [Math.min(least, entry), Math.max(most, entry)],
    [Infinity, -Infinity],
  );
  const at = (value) => entries[Math.min(Math.max(toWhole(value) - first, 0), length - 1)];
  return { low, high, at };
};

/** The entries; 8-bit ones may be packed two in a word, the first in its low byte. */
function entriesOf(item, length, bits) {
  const { dataOffset, length: found } = item.elements[DATA];
  if (found >= 2 * length) return Array.from({ length }, (_, index) => item.uint16(DATA, index));
  if (found >= length && (bits <= 8 || found <= length + 1)) {
    return [...item.byteArray.subarray(dataOffset, dataOffset + length)];
  }
  throw new Error("a lookup table is shorter than its descriptor says");
}

/** The first input, signed where inputs can be negative, unless only the other sign meets them. */
function firstInput(unsigned, length, inputs) {
  const signed = unsigned >= 2 ** 15 ? unsigned - 2 ** 16 : unsigned;
  const [ruled, other] = inputs[0] < 0 ? [signed, unsigned] : [unsigned, signed];
  const meets = (first) => first <= inputs[1] && first + length > inputs[0];
  return meets(other) && !meets(ruled) ? other : ruled;
}

/** The nearest whole number; of two, the even one, as NumPy rounds. */
function toWhole(value) {
  const nearest = Math.round(value);
  return value % 1 !== 0 && value * 2 === Math.trunc(value * 2) && nearest % 2 ? nearest - 1 : nearest;
}
