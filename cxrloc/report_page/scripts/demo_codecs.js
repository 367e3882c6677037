/**
 * Pixels of compressed DICOM files, whose transfer syntaxes are in DICOM PS3.5, sections 8.2 and 10.
 * The constants `CharLSWASM`, `OpenJPEGWASM` and `losslessJpeg` are packages of npm.
 */
import { greyLevels } from "./demo_pictures.js";
import { unpacked } from "./demo_packed.js";

/* global CharLSWASM, OpenJPEGWASM, losslessJpeg */

/** JPEG, of which the browser decodes 8 bits. */
const jpeg = async (stream) => {
  const { levels, rows, columns } = await greyLevels(new Blob([stream], { type: "image/jpeg" }));
  return { words: levels, rows, columns };
};

/** Lossless JPEG (ISO/IEC 10918-1, process 14), whose colours are refused by their count. */
const jpegLossless = async (stream) => {
  const decoder = new losslessJpeg.Decoder();
  const decoded = decoder.decompress(stream.buffer, stream.byteOffset, stream.byteLength);
  const { dimX: columns, dimY: rows, precision } = decoder.frame;
  return { words: precision > 8 ? new Uint16Array(decoded) : new Uint8Array(decoded), rows, columns };
};

/** JPEG-LS by CharLS, and JPEG 2000 by OpenJPEG: two libraries with the same functions. */
const webAssembly = (start, id, name) => {
  let library;
  return async (stream) => {
    library ??= start({ wasmBinary: await unpacked(id), print() {} });
    const decoder = new (await library)[name]();
    try {
      decoder.getEncodedBuffer(stream.length).set(stream);
      decoder.decode();
      const { width: columns, height: rows, bitsPerSample } = decoder.getFrameInfo();
      const bytes = decoder.getDecodedBuffer().slice(); // the library's memory is used again
      const words = bitsPerSample > 8 ? new Uint16Array(bytes.buffer) : bytes;
      return { words, rows, columns };
    } finally {
      decoder.delete();
    }
  };
};

/** RLE (PS3.5, annex G): a segment per byte of a word, the high byte first. */
const runLengths = async (stream, rows, columns) => {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const segments = view.getUint32(0, true);
  const words = new Uint16Array(rows * columns);
  for (let segment = 0; segment < segments; segment++) {
    let at = view.getUint32(4 + 4 * segment, true);
    const shift = 8 * (segments - 1 - segment);
    for (let pixel = 0; pixel < words.length; ) {
      const control = view.getInt8(at++);
      if (control >= 0) {
        for (let left = control; left >= 0; left--) words[pixel++] |= view.getUint8(at++) << shift;
      } else if (control > -128) {
        const value = view.getUint8(at++) << shift;
        for (let left = control; left <= 0; left++) words[pixel++] |= value;
      }
    }
  }
  return { words, rows, columns };
};

const jpegLs = webAssembly((options) => CharLSWASM(options), "charls", "JpegLSDecoder");
const jpeg2000 = webAssembly((options) => OpenJPEGWASM(options), "openjpeg", "J2KDecoder");

/**
 * Transfer syntax UID -> a function of the compressed bytes, rows and columns, which gives the words
 * of the pixels, in 8 or 16 bits, and how many rows and columns they are.
 */
export const CODECS = {
  "1.2.840.10008.1.2.4.50": jpeg,
  "1.2.840.10008.1.2.4.51": jpeg,
  "1.2.840.10008.1.2.4.57": jpegLossless,
  "1.2.840.10008.1.2.4.70": jpegLossless,
  "1.2.840.10008.1.2.4.80": jpegLs,
  "1.2.840.10008.1.2.4.81": jpegLs,
  "1.2.840.10008.1.2.4.90": jpeg2000,
  "1.2.840.10008.1.2.4.91": jpeg2000,
  "1.2.840.10008.1.2.5": runLengths,
};
