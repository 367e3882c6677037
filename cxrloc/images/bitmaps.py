"""PNG and JPEG radiographs, 8 to 16 bit."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from pydicom import uid

from cxrloc.errors import CxrlocError
from cxrloc.images.codestreams import (
    END_OF_IMAGE,
    EXTENDED,
    JPEG_LS,
    LOSSLESS,
    has_end,
    jpeg_frame,
)
from cxrloc.images.decoder_process import DecodingError, decode_apart
from cxrloc.images.decoding import jpeg_damage
from cxrloc.images.dicom import recorded_warnings
from cxrloc.images.dicom_header import UNEQUAL
from cxrloc.images.dicom_pixel_description import PixelDescription
from cxrloc.images.dicom_pixels import damage_warning, decoded_frame
from cxrloc.images.formats import PNG_START
from cxrloc.images.intensity import grey_levels, looks_inverted, unit_range, used_range
from cxrloc.images.orientation import ExifFacts, exif_of_jpeg, exif_of_png, upright
from cxrloc.images.png_chunks import (
    MOST_CHUNKS,
    PNG_ALPHA,
    PNG_GREY,
    PNG_GREY_ALPHA,
    PNG_KEPT,
    PNG_PALETTE,
    checksum_is_right,
    chunks,
    has_all_rows,
    side_ratio,
)
from cxrloc.images.stored_pixels import Words, check_size, single_channel
from cxrloc.types import Radiograph

JPEG_SYNTAXES = {EXTENDED: uid.JPEGExtended12Bit, LOSSLESS: uid.JPEGLossless}
"""DICOM's transfer syntaxes of the processes that have more than 8 bits."""

DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    DecodingError,
    struct.error,
    zlib.error,
)
"""Errors that decoders raise on damaged files."""


def read_png(path: Path, data: bytes, max_megapixels: float) -> Radiograph:
    """The radiograph in a PNG file, which is grey, or whose colours (and alpha) show only grey.

    Raises:
        CxrlocError: damaged, too large, or in colour.
    """
    columns, rows, depth, colour = png_header(path, data)
    check_size(path, rows, columns, max_megapixels)
    kinds = [kind for kind, _ in chunks(data)]
    if len(kinds) > MOST_CHUNKS:
        raise _damaged(path, "PNG", f"it has more than {MOST_CHUNKS:,} chunks")
    if kinds.count(b"IHDR") != 1:
        raise _damaged(path, "PNG", "it has not one header but several")
    if colour == PNG_PALETTE and b"PLTE" not in kinds:
        raise _damaged(path, "PNG", "it has no palette")
    exif = exif_of_png(data)
    warnings = _shape_warnings(side_ratio(data), exif)
    deep_colour = depth == 16 and colour != PNG_GREY
    try:
        words, about_palette = _png_words(path, data, deep_colour)
    except DAMAGE:
        pixels_only = PNG_START + b"".join(c for kind, c in chunks(data) if kind in PNG_KEPT)
        try:
            words, about_palette = _png_words(path, pixels_only, deep_colour)
        except DAMAGE as error:
            raise _damaged(path, "PNG", str(error)) from error
        warnings += ("text or colour profiles in the PNG are damaged or too large: left out",)
    # Pillow fills missing rows with zeros and raises no error. Zero may be any colour of a palette,
    # and the rows of an interlaced PNG are not stored from top to bottom.
    may_lack_rows = colour == PNG_PALETTE or data[28] or not words[-1].any()
    if may_lack_rows and not has_all_rows(data):
        raise _damaged(path, "PNG", "its pixels end early or are damaged: is it cut short?")
    if not all(checksum_is_right(chunk) for kind, chunk in chunks(data) if kind == b"IDAT"):
        warnings += ("a checksum of the PNG's pixels is wrong, so part of the image may be wrong",)
    if colour in (PNG_GREY_ALPHA, PNG_ALPHA) or b"tRNS" in kinds:
        warnings += ("transparency is ignored",)
    warnings += about_palette
    return _radiograph(words, max(depth, 8), "PNG", exif.orientation, warnings)


def read_jpeg(path: Path, data: bytes, max_megapixels: float) -> Radiograph:
    """The radiograph in a JPEG file; a grey one may have more than 8 bits.

    JPEG's extended and lossless processes store more than 8 bits.

    Raises:
        CxrlocError: damaged, too large, or in colour.
    """
    frame = jpeg_frame(data)
    if frame is None:
        raise _damaged(path, "JPEG", "it has no frame header")
    if frame.marker == JPEG_LS:
        raise CxrlocError(
            f"{path}: a JPEG-LS file; outside of DICOM it is not read: convert it to PNG"
        )
    check_size(path, frame.rows, frame.columns, max_megapixels)
    if frame.bits == 8 and frame.marker != LOSSLESS:
        return _jpeg_of_eight_bits(path, data)
    if frame.marker not in JPEG_SYNTAXES or frame.samples != 1:
        what = f"process {frame.marker:02X} with {frame.bits} bits"
        raise _damaged(path, "JPEG", f"{what} and {frame.samples} channels is not read")
    # The DICOM decoders read the lossless and 12-bit processes, which Pillow does not.
    stored = decoded_frame(
        path,
        PixelDescription(
            syntax=JPEG_SYNTAXES[frame.marker],
            rows=frame.rows,
            columns=frame.columns,
            samples=1,
            photometric="MONOCHROME2",
            bits_allocated=8 if frame.bits <= 8 else 16,
            bits_stored=frame.bits,
            high_bit=frame.bits - 1,
            signed=False,
            planar=False,
            frames=1,
        ),
        data,
    )
    exif = exif_of_jpeg(data)
    warnings = _shape_warnings((1, 1), exif) + stored.warnings
    return _radiograph(stored.words, frame.bits, "JPEG", exif.orientation, warnings)


def _jpeg_of_eight_bits(path: Path, data: bytes) -> Radiograph:
    """The radiograph in a JPEG that Pillow reads; one without an end marker must be whole."""
    warnings: tuple[str, ...] = ()
    damage = jpeg_damage(data)
    if damage and not has_end(data):
        data += END_OF_IMAGE
        if damage := jpeg_damage(data):
            raise _damaged(path, "JPEG", f"{damage}: is it cut short?")
        warnings = ("the file has no end marker; the image is complete",)
    elif damage:
        warnings = (damage_warning(damage),)
    try:
        with recorded_warnings(), JpegImageFile(BytesIO(data)) as image:
            density = image.info.get("jfif_density", (1, 1))
            words = _pillow_words(path, image)
    except DAMAGE as error:
        raise _damaged(path, "JPEG", str(error)) from error
    exif = exif_of_jpeg(data)
    warnings = _shape_warnings(density, exif) + warnings
    return _radiograph(words, 8, "JPEG", exif.orientation, warnings)


def png_header(path: Path, data: bytes) -> tuple[int, int, int, int]:
    """Columns, rows, bits per sample and colour type of a PNG (PNG specification, 11.2.2).

    Raises:
        CxrlocError: the file does not begin with a PNG header.
    """
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise _damaged(path, "PNG", "it does not begin with a header")
    columns, rows, depth, colour = struct.unpack(">IIBB", data[16:26])
    return columns, rows, depth, colour


def _shape_warnings(density: tuple[float, float], exif: ExifFacts) -> tuple[str, ...]:
    """A warning where pixels per length differ across and down; 0 means unknown.

    They stand in the file's own header (`density`), in EXIF data, or in both.
    """
    for across, down in (density, (exif.across, exif.down)):
        if across and down and abs(across / down - 1) > UNEQUAL:
            return (
                f"the file has {across:g} pixels per length across and {down:g} down: the pixels "
                "are not square, and the image is analysed as it is stored",
            )
    return ()


def _png_words(path: Path, data: bytes, deep_colour: bool) -> tuple[Words, tuple[str, ...]]:
    """The pixels of a PNG, and a warning if its palette lacks colours of them."""
    if not deep_colour:
        # `Image.open` is avoided, because its pixel limit is a setting of the whole process.
        with recorded_warnings(), PngImageFile(BytesIO(data)) as image:
            return _pillow_words(path, image), _palette_warnings(image)
    # Pillow would silently reduce 16-bit colour or alpha to 8 bits.
    columns, rows, _, _ = png_header(path, data)
    options = {"rows": rows, "columns": columns, "samples_per_pixel": 4}
    channels = decode_apart({"plugin": "opencv", "options": options}, data).pixels
    if channels.shape[:2] != (rows, columns) or channels.ndim != 3:
        raise ValueError("its pixels cannot be decoded")
    return single_channel(path, channels[:, :, :3]), ()  # without alpha, the fourth


def _pillow_words(path: Path, image: Image.Image) -> Words:
    if image.mode in ("L", "I;16"):
        return np.asarray(image)
    return single_channel(path, np.asarray(image.convert("RGB")))


def _palette_warnings(image: Image.Image) -> tuple[str, ...]:
    """A warning if pixels have an index beyond the palette (PNG specification, 11.2.2).

    Such an index is an error; Pillow makes it black.
    """
    if image.mode != "P":
        return ()
    lacking = int((np.asarray(image) >= len(image.getpalette("RGB") or ()) // 3).sum())
    if not lacking:
        return ()
    return (f"{lacking} pixels have colours that the palette lacks; they are shown black",)


def _radiograph(
    words: Words,
    bits: int,
    file_format: str,
    orientation: int,
    warnings: tuple[str, ...],
) -> Radiograph:
    """The radiograph, scaled by the full range of its depth.

    A range of more than 8 bits is stretched where the image uses little of it (`used_range`).
    """
    if orientation != 1:
        words = upright(words, orientation)
        warnings += (
            f"EXIF orientation {orientation}: the image is turned as it says, and boxes are in "
            "pixels of the turned image",
        )
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
