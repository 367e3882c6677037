/**
 * Grey levels of a DICOM file: the pipeline of `cxrloc/images/dicom_rendering.py` for files that are
 * not compressed, or by one of `CODECS`. What this page cannot read is refused with advice.
 */
import { CODECS } from "./demo_codecs.js";
import { lookupTable } from "./demo_luts.js";

/* global dicomParser */

const NATIVE = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"];
const ADVICE = "the command `cxrloc heatmap` reads it";

/** X-ray angiography and radiofluoroscopy, whose Modality LUT is not for display (PS3.3 C.8.7). */
const NOT_FOR_DISPLAY = "1.2.840.10008.5.1.4.1.1.12.";

/**
 * @param {Uint8Array} content a DICOM file
 * @returns {Promise<{pixels: Float32Array, rows: number, columns: number, viewCodes: string[],
 *   warnings: string[]}>} as `readRadiograph` gives it
 * @throws {Error} with a reason for the reader
 */
export const radiographOfDicom = async (content) => {
  let header;
  try {
    header = dicomParser.parseDicom(content);
  } catch (error) {
    throw new Error(`a damaged DICOM file (${error.exception ?? error.message ?? error})`);
  }
  const syntax = header.string("x00020010") ?? NATIVE[0];
  const codec = CODECS[syntax];
  if (!NATIVE.includes(syntax) && !codec) {
    throw new Error(`transfer syntax ${syntax} is not read here: ${ADVICE}`);
  }
  const [rows, columns] = [header.uint16("x00280010"), header.uint16("x00280011")];
  const photometric = header.string("x00280004");
  const allocated = header.uint16("x00280100");
  const element = header.elements.x7fe00010;
  if (!element || !rows || !columns) throw new Error("it holds no image");
  if (!["MONOCHROME1", "MONOCHROME2"].includes(photometric) || ![8, 16].includes(allocated)) {
    throw new Error(`${photometric} with ${allocated} bits is not read here: ${ADVICE}`);
  }
  const count = rows * columns;
  if (!codec && element.length < (count * allocated) / 8) throw new Error("its pixels end early");
  const words = codec
    ? await decoded(codec, header, rows, columns)
    : wordsOf(content, element.dataOffset, count, allocated);
  const table = tableOf(header, words, allocated, photometric);
  const pixels = Float32Array.from(words, (word) => table[word]);
  return { pixels, rows, columns, viewCodes: viewCodesOf(header), warnings: warningsOf(header) };
};

/** Decoded words; several frames are refused, because their fragments are not told apart. */
const decoded = async (codec, header, rows, columns) => {
  if (Number(header.string("x00280008") ?? 1) > 1) {
    throw new Error(`several compressed frames are not read here: ${ADVICE}`);
  }
  const element = header.elements.x7fe00010;
  const { fragments } = element;
  if (!fragments?.length) throw new Error("its pixels are not compressed as its header says");
  const stream = dicomParser.readEncapsulatedPixelDataFromFragments(
    header,
    element,
    0,
    fragments.length,
  );
  let found;
  try {
    found = await codec(stream, rows, columns);
  } catch {
    throw new Error(`its compressed pixels are damaged, or of a kind not read here: ${ADVICE}`);
  }
  if (found.rows !== rows || found.columns !== columns || found.words.length !== rows * columns) {
    throw new Error("its pixels are not as many as its header says");
  }
  return found.words;
};

/** View Position (0018,5101) and the codes of View Code Sequence (0054,0220), if there are any. */
function viewCodesOf(header) {
  const items = header.elements.x00540220?.items ?? [];
  const codes = items.map((item) => item.dataSet.string("x00080100"));
  return [header.string("x00185101"), ...codes].filter(Boolean).map((code) => code.trim().toUpperCase());
}

/** What a reader should know about the rendering. */
function warningsOf(header) {
  const name = voiFunction(header);
  if (name in WINDOWS) return [];
  const known = Object.keys(WINDOWS).join(", ");
  return [`VOILUTFunction (0028,1056) is none of ${known}: LINEAR is taken`];
}

/** VOI LUT Function (0028,1056), LINEAR where it is missing. */
function voiFunction(header) {
  return header.string("x00281056")?.trim().toUpperCase().replaceAll(" ", "_") || "LINEAR";
}

/** Stored words, little-endian; the data need not begin at an even address. */
function wordsOf(content, offset, count, allocated) {
  const bytes = content.slice(offset, offset + (count * allocated) / 8);
  return allocated === 8 ? bytes : new Uint16Array(bytes.buffer);
}

/** The grey level of every word that a pixel can hold. */
function tableOf(header, words, allocated, photometric) {
  const stored = header.uint16("x00280101") ?? allocated;
  const high = header.uint16("x00280102") ?? stored - 1;
  const signed = header.uint16("x00280103") === 1;
  const values = Array.from({ length: 2 ** allocated }, (_, word) => {
    let value = (word >>> (high + 1 - stored)) & (2 ** stored - 1);
    if (signed && value >= 2 ** (stored - 1)) value -= 2 ** stored;
    return value;
  });
  const padded = paddingOf(header, signed, allocated, values);
  const modality = modalityOf(header, values);
  const centre = number(header, "x00281050", NaN);
  const width = number(header, "x00281051", NaN);
  const shape = header.string("x20500020");
  const inverse = ["INVERSE", "IDENTITY"].includes(shape)
    ? shape === "INVERSE"
    : photometric === "MONOCHROME1";
  const voi = voiFunction(header);
  const narrowest = voi === "LINEAR" ? 1 : Number.MIN_VALUE;
  const lut = lookupTable(header, "x00283010", endsOf(modality)); // tables come before windows
  const shade = lut
    ? (value) => (lut.high > lut.low ? (lut.at(value) - lut.low) / (lut.high - lut.low) : 0)
    : Number.isFinite(centre) && width >= narrowest
      ? (WINDOWS[voi] ?? WINDOWS.LINEAR)(centre, width)
      : rangeOf(modality, words, padded);
  return Float32Array.from(modality, (value, word) => {
    if (padded[word]) return 0;
    return inverse ? 1 - shade(value) : shade(value);
  });
}

/** Values behind the modality transform: Modality LUT, else slope and intercept (C.11.1.1). */
function modalityOf(header, values) {
  const displayed = !header.string("x00080016")?.startsWith(NOT_FOR_DISPLAY);
  const lut = displayed && lookupTable(header, "x00283000", endsOf(values));
  if (lut) return values.map(lut.at);
  const slope = number(header, "x00281053", 1) || 1;
  const intercept = number(header, "x00281052", 0);
  return values.map((value) => slope * value + intercept);
}

/** The lowest and the highest of many values. */
function endsOf(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [
    Infinity,
    -Infinity,
  ]);
}

const clipped = (share) => Math.min(Math.max(share, 0), 1);

/** VOI LUT Functions (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3). */
const WINDOWS = {
  LINEAR: (centre, width) => (value) =>
    width === 1
      ? Number(value > centre - 0.5)
      : clipped((value - (centre - 0.5)) / (width - 1) + 0.5),
  LINEAR_EXACT: (centre, width) => (value) => clipped((value - centre) / width + 0.5),
  SIGMOID: (centre, width) => (value) => 1 / (1 + Math.exp((-4 * (value - centre)) / width)),
};

/** The range that is shown without a window: `used_range` in `cxrloc/images/intensity.py`. */
function rangeOf(values, words, padded) {
  const counts = new Float64Array(values.length);
  for (const word of words) if (!padded[word]) counts[word] += 1;
  const total = Math.max(1, counts.reduce((sum, own) => sum + own, 0));
  const order = values.map((_, word) => word).sort((a, b) => values[a] - values[b]);
  const nominal = [values[order[0]], values[order[order.length - 1]]];
  const at = (share) => {
    let seen = 0;
    for (const word of order) {
      seen += counts[word];
      if (seen / total >= share) return values[word];
    }
    return nominal[1];
  };
  let [low, high] = [at(0.005), at(0.995)];
  if (high > low && high - low < 0.25 * (nominal[1] - nominal[0])) {
    const pad = 0.05 * (high - low);
    [low, high] = [Math.max(nominal[0], low - pad), Math.min(nominal[1], high + pad)];
  } else {
    [low, high] = nominal;
  }
  return (value) => (high > low ? clipped((value - low) / (high - low)) : 0);
}

/** Which words are padding (0028,0120) to (0028,0121), taken modulo the range of words. */
function paddingOf(header, signed, allocated, values) {
  const tags = ["x00280120", "x00280121"].filter((tag) => header.elements[tag]?.length === 2);
  if (!tags.includes("x00280120")) return values.map(() => false);
  const wrapped = (end) => (signed && end >= 2 ** (allocated - 1) ? end - 2 ** allocated : end);
  const ends = tags.map((tag) => wrapped(header.uint16(tag)));
  return values.map((value) => value >= Math.min(...ends) && value <= Math.max(...ends));
}

/** The first of a tag's numbers, or what is usual where it has none. */
function number(header, tag, usual) {
  const value = header.elements[tag] ? header.floatString(tag) : undefined;
  return Number.isFinite(value) ? value : usual;
}
