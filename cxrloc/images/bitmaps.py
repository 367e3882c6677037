"""PNG and JPEG radiographs, 8 to 16 bit."""

import struct
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

from cxrloc.images.dicom_pixels import stored_words
from cxrloc.images.intensity import grey_levels, looks_inverted, unit_range, used_range
from cxrloc.images.jpeg_frame import EXTENDED, LOSSLESS, jpeg_frame
from cxrloc.images.stored_pixels import check_size, single_channel
from cxrloc.types import CxrlocError, Radiograph

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
PNG_GREY, PNG_GREY_ALPHA, PNG_ALPHA = 0, 4, 6
"""Colour types of a PNG's IHDR chunk (PNG specification, 11.2.2)."""

JPEG_SYNTAXES = {EXTENDED: uid.JPEGExtended12Bit, LOSSLESS: uid.JPEGLossless}
"""DICOM's transfer syntaxes of the processes that have more than 8 bits."""


def read_png(path: Path, data: bytes) -> Radiograph:
    """Grey levels of a PNG: grey, or colours and alpha that show grey.

    Raises:
        CxrlocError: damaged, too large, or in colour.
    """
    if len(data) < 26:
        raise _damaged(path, "PNG", "its header is cut short")
    columns, rows, depth, colour = struct.unpack(">IIBB", data[16:26])
    check_size(path, rows, columns)
    if depth == 16 and colour != PNG_GREY:
        words = _deep_colour_png(path, data)
    else:
        words = _pillow_words(path, "PNG", data)
    alpha = ("transparency is ignored",) if colour in (PNG_GREY_ALPHA, PNG_ALPHA) else ()
    return _radiograph(words, max(depth, 8), "PNG", alpha)


def read_jpeg(path: Path, data: bytes) -> Radiograph:
    """Grey levels of a JPEG; of more than 8 bits where it is grey (extended or lossless process).

    Raises:
        CxrlocError: damaged, too large, or in colour.
    """
    frame = jpeg_frame(data)
    if frame is None:
        raise _damaged(path, "JPEG", "it has no frame header")
    check_size(path, frame.rows, frame.columns)
    if frame.bits == 8 and frame.marker != LOSSLESS:
        return _radiograph(_pillow_words(path, "JPEG", data), 8, "JPEG", ())
    if frame.marker not in JPEG_SYNTAXES or frame.samples != 1:
        what = f"process {frame.marker:02X} with {frame.bits} bits"
        raise _damaged(path, "JPEG", f"{what} and {frame.samples} channels is not read")
    # The decoders of DICOM know what those of pictures do not.
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEG_SYNTAXES[frame.marker]
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = frame.rows, frame.columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated = 8 if frame.bits <= 8 else 16
    dataset.BitsStored, dataset.HighBit = frame.bits, frame.bits - 1
    words = stored_words(path, dataset, encapsulate([data]))
    return _radiograph(words, frame.bits, "JPEG", ())


def _pillow_words(
    path: Path, file_format: str, data: bytes
) -> UInt8[np.ndarray, "row col"] | UInt16[np.ndarray, "row col"]:
    try:
        with Image.open(BytesIO(data), formats=[file_format]) as image:
            if image.mode in ("L", "I;16"):
                return np.asarray(image)
            return single_channel(path, np.asarray(image.convert("RGB")))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _damaged(path, file_format, str(error)) from error


def _deep_colour_png(path: Path, data: bytes) -> UInt16[np.ndarray, "row col"]:
    """16-bit colour or alpha, which Pillow would cut to 8 bits without a word."""
    channels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if channels is None:
        raise _damaged(path, "PNG", "its pixels cannot be decoded")
    return single_channel(path, channels[:, :, :3])  # without alpha, which is the fourth


def _radiograph(
    words: UInt8[np.ndarray, "row col"] | UInt16[np.ndarray, "row col"],
    bits: int,
    file_format: str,
    warnings: tuple[str, ...],
) -> Radiograph:
    """The full range of the depth; more than 8 bits, if hardly used, are stretched."""
    values = np.arange(2 ** (8 * words.itemsize), dtype=np.float64)
    nominal = 0.0, 2.0**bits - 1
    shown = nominal
    if bits > 8:
        shown = used_range(values, np.bincount(words.ravel(), minlength=len(values)), nominal)
    intensity = f"range {shown[0]:g} to {shown[1]:g}"
    if shown != nominal:
        warnings += (f"most of the {bits} bits are unused: a padded percentile {intensity}",)
    pixels = grey_levels(words, unit_range(values, *shown).astype(np.float32))
    if looks_inverted(pixels):
        warnings += (
            "the image looks inverted for a frontal chest (middle darker than lungs and air)",
        )
    return Radiograph(
        pixels=pixels,
        bits_stored=bits,
        intensity=intensity,
        file_format=file_format,
        warnings=warnings,
    )


def _damaged(path: Path, file_format: str, reason: str) -> CxrlocError:
    return CxrlocError(f"{path}: a damaged {file_format} ({' '.join(reason.split())[:200]})")
