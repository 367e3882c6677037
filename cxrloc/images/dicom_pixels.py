"""Reads the stored words of DICOM pixel data, compressed or not."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.pixels import get_decoder

from cxrloc.errors import CxrlocError
from cxrloc.images.codestreams import has_end
from cxrloc.images.decoder_process import DecodingError, decode_apart
from cxrloc.images.decoding import Decoded, decode
from cxrloc.images.dicom_bits import bits_warnings, in_range
from cxrloc.images.dicom_file import DicomFile
from cxrloc.images.dicom_frames import (
    DECODING_ERRORS,
    checked_frame,
    first_frame,
    refusal,
    repairs,
    undecoded,
)
from cxrloc.images.dicom_meta import syntax_not_read
from cxrloc.images.dicom_pixel_description import GREY, PixelDescription, check_length
from cxrloc.images.stored_pixels import Channels, Words


@dataclass(frozen=True, slots=True)
class Decoder:
    """A plug-in of pydicom, and what to install for it."""

    plugin: str
    packages: str


PILLOW = Decoder("pillow", "pillow")
GDCM = Decoder("gdcm", "python-gdcm")
PYJPEGLS = Decoder("pyjpegls", "pyjpegls")
OPENJPEG = Decoder("pylibjpeg", "pylibjpeg pylibjpeg-openjpeg")

DECODERS = {
    uid.JPEGBaseline8Bit: PILLOW,
    uid.JPEGExtended12Bit: GDCM,
    uid.JPEGLossless: GDCM,
    uid.JPEGLosslessSV1: GDCM,
    uid.JPEGLSLossless: PYJPEGLS,
    uid.JPEGLSNearLossless: PYJPEGLS,
    uid.JPEG2000Lossless: OPENJPEG,
    uid.JPEG2000: OPENJPEG,
    uid.HTJ2KLossless: OPENJPEG,
    uid.HTJ2KLosslessRPCL: OPENJPEG,
    uid.HTJ2K: OPENJPEG,
    uid.RLELossless: Decoder("pylibjpeg", "pylibjpeg pylibjpeg-rle"),
}
"""One decoder with a permissive licence per compressed transfer syntax.

All but Pillow's run in a separate process, since gdcm ends the process on some damaged streams.
"""


@dataclass(frozen=True, slots=True, eq=False)
class StoredPixels:
    """The first frame as it was stored.

    Attributes:
        words: one unsigned word per sample, its bits as they were stored; colour has 3 channels.
        photometric: Photometric Interpretation of the words, which decoders may have changed.
        warnings: what was put right or left out.
    """

    words: Words | Channels
    photometric: str
    warnings: tuple[str, ...] = ()


def stored_pixels(
    path: Path,
    description: PixelDescription,
    file: DicomFile,
    has_overlay: bool,
) -> StoredPixels:
    """The words of the first frame.

    Args:
        path: names the file in errors.
        description: of the pixels.
        file: header and pixel bytes.
        has_overlay: whether bits above the stored ones belong to an overlay.

    Raises:
        CxrlocError: pixel data that are missing, damaged, of another size or depth than the header
            says, or compressed in a way that is not read.
    """
    if not description.syntax.is_encapsulated:
        return _uncompressed(path, description, file, has_overlay)
    _plugin(path, description.syntax)  # a syntax that is not read is named first
    frame, about_table = first_frame(path, description, file)
    decoded = decoded_frame(path, description, frame, has_overlay)
    return replace(decoded, warnings=(*about_table, *decoded.warnings))


def decoded_frame(
    path: Path, description: PixelDescription, frame: bytes, has_overlay: bool = False
) -> StoredPixels:
    """The words of one compressed frame.

    Raises:
        CxrlocError: as `stored_pixels`.
    """
    syntax = description.syntax
    plugin = _plugin(path, syntax)
    stream = checked_frame(path, description, frame)
    bits_allocated = description.bits_allocated
    if stream is not None:  # decoders return the stream's depth
        bits_allocated = min(size for size in (8, 16, 32) if stream.bits <= size)
    options = _options(description, bits_allocated)
    if stream is not None:  # else gdcm masks what is more than the header says
        options["bits_stored"] = max(stream.bits, options["bits_stored"])
    request = {
        "syntax": str(syntax),
        "plugin": plugin,
        "extended": syntax == uid.JPEGExtended12Bit and description.bits_stored > 8,
        "options": options,
    }
    try:
        decoded, warnings = _decoded(request, frame, syntax)
    except DECODING_ERRORS as error:
        raise undecoded(path, syntax, refusal(error, frame, syntax)) from error
    pixels = decoded.pixels
    expected = (description.rows, description.columns) + (3,) * (description.samples == 3)
    if pixels.shape != expected:
        raise undecoded(path, syntax, f"{pixels.shape} samples came out of it, not {expected}")
    words = in_range(path, description, stream.bits if stream else None, pixels, has_overlay)
    if stream is None:  # RLE does not state its depth
        warnings += bits_warnings(words, description, has_overlay)
    elif stream.signed not in (None, description.signed):
        # Encoders that ignore the sign write two's complement as unsigned samples.
        warnings += (
            "PixelRepresentation (0028,0103) and the JPEG 2000 stream disagree about the sign of "
            "the pixels: the header is followed",
        )
    return StoredPixels(words, decoded.photometric, warnings)


def _decoded(
    request: dict[str, Any], frame: bytes, syntax: uid.UID
) -> tuple[Decoded, tuple[str, ...]]:
    """The pixels of a stream, after a repair if it needs one, and warnings.

    Raises:
        Exception: one of `DECODING_ERRORS`, that of the first attempt.
    """
    decoding = decode if request["plugin"] == PILLOW.plugin else decode_apart
    errors: list[Exception] = []
    for stream, about in repairs(frame, syntax):
        try:
            decoded = decoding(request, stream)
            if decoded.damage and not has_end(frame):
                raise DecodingError(decoded.damage)
        except DECODING_ERRORS as error:
            errors.append(error)
        else:
            damage = (damage_warning(decoded.damage),) if decoded.damage else ()
            return decoded, about + damage
    raise errors[0]


def damage_warning(damage: str) -> str:
    """A warning about a JPEG that was decoded as far as its damage allows."""
    return f"the JPEG data are damaged, so part of the image may be missing or wrong ({damage})"


def _uncompressed(
    path: Path, description: PixelDescription, file: DicomFile, has_overlay: bool
) -> StoredPixels:
    check_length(path, description, len(file.pixels))
    shape = description.rows, description.columns
    size = description.bits_allocated // 8
    little = description.syntax.is_little_endian
    if description.samples == 1 and (little or size > 1):
        order = "<" if little else ">"
        stored = np.frombuffer(file.pixels, f"{order}u{size}", count=shape[0] * shape[1])
        # Words in this machine's byte order are used from the file directly, without a copy.
        words = stored.reshape(shape).astype(f"u{size}", copy=False)
        return StoredPixels(
            words, description.photometric, bits_warnings(words, description, has_overlay)
        )
    # A label of half-rate chrominance is wrong where all samples are there.
    of_a_frame = len(file.pixels) // description.frames
    is_422 = description.photometric.endswith("_422")
    half_chroma = is_422 and of_a_frame < 3 * size * shape[0] * shape[1]
    options = _options(description, description.bits_allocated)
    if is_422:
        # pydicom expands only the full range, and the range changes nothing.
        options["photometric_interpretation"] = "YBR_FULL_422" if half_chroma else "YBR_FULL"
    if not little:
        options["pixel_vr"] = file.pixel_vr
    samples = 2 if half_chroma else description.samples
    length = shape[0] * shape[1] * samples * size
    first = bytes(file.pixels[: length + length % 2])  # words are swapped as a whole
    try:
        pixels, _ = get_decoder(description.syntax).as_array(first, index=0, raw=True, **options)
    except DECODING_ERRORS as error:
        raise undecoded(path, description.syntax, str(error)) from error
    words = pixels.astype(pixels.dtype.newbyteorder("="), copy=False).view(f"u{size}")
    return StoredPixels(
        words, description.photometric, bits_warnings(words, description, has_overlay)
    )


def _options(description: PixelDescription, bits_allocated: int) -> dict[str, Any]:
    """The options that describe one frame to pydicom's decoders."""
    in_colour = description.samples > 1
    mislabelled = in_colour and description.photometric in GREY
    options: dict[str, Any] = {
        "correct_unused_bits": False,
        "rows": description.rows,
        "columns": description.columns,
        "number_of_frames": 1,
        "samples_per_pixel": description.samples,
        "photometric_interpretation": "RGB" if mislabelled else description.photometric,
        "pixel_representation": int(description.signed),
        "bits_allocated": bits_allocated,
        "bits_stored": min(description.bits_stored, bits_allocated),
        "pixel_keyword": "PixelData",
    }
    if in_colour:
        options["planar_configuration"] = int(description.planar)
    return options


def _plugin(path: Path, syntax: uid.UID) -> str:
    """The plug-in of pydicom that decodes this syntax."""
    if syntax not in DECODERS:
        raise syntax_not_read(path, syntax)
    decoder = DECODERS[syntax]
    if decoder.plugin not in get_decoder(syntax).available_plugins:
        raise CxrlocError(
            f"{path}: transfer syntax {syntax.name} needs a decoder: pip install {decoder.packages}"
        )
    return decoder.plugin
