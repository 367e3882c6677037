"""Stored words out of DICOM pixel data, whatever it is compressed with."""

import importlib
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16
from pydicom import Dataset, uid
from pydicom.dataelem import RawDataElement
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.tag import Tag

from cxrloc.images.dicom_pixel_description import GREY, check_header
from cxrloc.images.jpeg_frame import jpeg_frame
from cxrloc.images.stored_pixels import single_channel
from cxrloc.types import CxrlocError


@dataclass(frozen=True, slots=True)
class Decoder:
    """A plug-in of pydicom, and what to install for it."""

    plugin: str
    packages: str


PIXEL_TAGS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
)
PIXEL_DATA = Tag("PixelData")
PIXELS_END = b"\xfe\xff\xdd\xe0"
"""Sequence Delimitation Item (FFFE,E0DD), which closes compressed pixel data (PS3.5 A.4)."""

LITTLE_ENDIAN = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
GDCM = Decoder("gdcm", "python-gdcm")
PYJPEGLS = Decoder("pyjpegls", "pyjpegls")
OPENJPEG = Decoder("pylibjpeg", "pylibjpeg pylibjpeg-openjpeg")

DECODERS = {
    uid.JPEGBaseline8Bit: Decoder("pillow", "pillow"),
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

gdcm only where no other can, since it ends the whole process on some damaged streams.
"""

# What decoders raise on damaged or contradictory pixel data.
DECODING_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def has_plain_words(dataset: Dataset) -> bool:
    """Whether the pixels lie in the file as the words that they are."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    return syntax in LITTLE_ENDIAN and dataset.get("PhotometricInterpretation") in GREY


def pixel_data(dataset: Dataset, data: mmap) -> bytes | memoryview:
    """The value of Pixel Data (7FE0,0010), not copied where its reading was deferred; else empty.

    Args:
        dataset: the header.
        data: the file it was read from.
    """
    element = dict(dataset.items()).get(PIXEL_DATA)
    if isinstance(element, RawDataElement) and element.value is None:
        return memoryview(data)[element.value_tell :][: element.length]
    return dataset.get("PixelData") or b""


def check_whole(path: Path, dataset: Dataset, rest: bytes) -> None:
    """Raise where a file ends within its pixel data.

    Args:
        path: names the file in errors.
        dataset: the header.
        rest: the file from the element Pixel Data (7FE0,0010) on.

    Raises:
        CxrlocError: the header promises more than there is.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_deflated:
        return
    found = max(0, len(rest) - (8 if syntax.is_implicit_VR else 12))  # tag, VR, length: PS3.5 7.1
    check_header(path, dataset, found)
    if syntax.is_encapsulated and PIXELS_END not in rest:
        raise CxrlocError(
            f"{path}: PixelData (7FE0,0010), {syntax.name}, ends after {found} bytes without the "
            "delimiter (FFFE,E0DD) that closes compressed pixel data: the file is cut short"
        )


def stored_words(
    path: Path, dataset: Dataset, pixel_bytes: bytes | memoryview
) -> UInt8[np.ndarray, "row col"] | UInt16[np.ndarray, "row col"]:
    """The first frame, one unsigned word per pixel, its bits as they were stored.

    Args:
        path: names the file in errors.
        dataset: the header.
        pixel_bytes: the value of Pixel Data (7FE0,0010).

    Raises:
        CxrlocError: a header that cannot be, no decoder, or damaged pixel data.
    """
    check_header(path, dataset, len(pixel_bytes))
    syntax = dataset.file_meta.TransferSyntaxUID
    if has_plain_words(dataset):
        shape = dataset.Rows, dataset.Columns
        size = dataset.BitsAllocated // 8
        return np.frombuffer(pixel_bytes, f"<u{size}", count=shape[0] * shape[1]).reshape(shape)
    plugin = _plugin(path, syntax)
    if syntax in uid.JPEGTransferSyntaxes:
        _check_jpeg(path, dataset, pixel_bytes)
    if syntax == uid.JPEGExtended12Bit and dataset.BitsStored > 8:
        return _extended_jpeg(path, dataset, pixel_bytes)
    dataset.PixelData = pixel_bytes
    try:
        # Unused bits and signs are left to the table of grey levels, where they cost nothing.
        pixels, _ = get_decoder(syntax).as_array(
            dataset,
            index=0,
            decoding_plugin=plugin,
            correct_unused_bits=False,  # type: ignore[arg-type]  # annotated as the options' dict
        )
    except DECODING_ERRORS as error:
        raise _undecoded(path, syntax, str(error)) from error
    except BaseException as error:
        # What pylibjpeg-rle's Rust raises is no Exception, and cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise _undecoded(path, syntax, str(error)) from error
    if pixels.ndim == 3:
        return single_channel(path, pixels)
    # Some decoders return fewer bytes per pixel than were allocated.
    size = dataset.BitsAllocated // 8
    return pixels.astype(f"{pixels.dtype.kind}{size}", copy=False).view(f"u{size}")


def _plugin(path: Path, syntax: uid.UID) -> str:
    """The plug-in of pydicom that decodes this syntax; uncompressed ones have none."""
    try:
        available = get_decoder(syntax).available_plugins
    except NotImplementedError:
        raise CxrlocError(
            f"{path}: transfer syntax {syntax.name} ({syntax}) is not read: convert the file, for "
            "example with `gdcmconv --raw`"
        ) from None
    if syntax not in DECODERS:
        return ""
    decoder = DECODERS[syntax]
    if decoder.plugin not in available:
        raise CxrlocError(
            f"{path}: transfer syntax {syntax.name} needs a decoder: pip install {decoder.packages}"
        )
    return decoder.plugin


def _first_frame(path: Path, dataset: Dataset, pixel_bytes: bytes | memoryview) -> bytes:
    try:
        frames = dataset.get("NumberOfFrames") or 1
        return get_frame(bytes(pixel_bytes), 0, number_of_frames=frames)
    except DECODING_ERRORS as error:
        raise _undecoded(path, dataset.file_meta.TransferSyntaxUID, str(error)) from error


def _check_jpeg(path: Path, dataset: Dataset, pixel_bytes: bytes | memoryview) -> None:
    """The stream must hold the image that the header tells of: gdcm ends the process if not."""
    frame = jpeg_frame(_first_frame(path, dataset, pixel_bytes))
    syntax = dataset.file_meta.TransferSyntaxUID
    if frame is None:
        raise _undecoded(path, syntax, "the JPEG stream has no frame header")
    told = dataset.Rows, dataset.Columns, dataset.get("SamplesPerPixel", 1)
    if (frame.rows, frame.columns, frame.samples) != told or frame.bits > dataset.BitsAllocated:
        raise _undecoded(path, syntax, f"the header does not tell of its {frame}")


def _extended_jpeg(
    path: Path, dataset: Dataset, pixel_bytes: bytes | memoryview
) -> UInt16[np.ndarray, "row col"]:
    """12-bit JPEG through gdcm itself, since pydicom's way to gdcm leaves out what it can do."""
    syntax = dataset.file_meta.TransferSyntaxUID
    gdcm = importlib.import_module("gdcm")  # found by now, and slow to import
    frame = _first_frame(path, dataset, pixel_bytes)
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    bits, signed = dataset.BitsStored, dataset.get("PixelRepresentation", 0)
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, signed))
    # gdcm hands bytes over as text.
    data = (image.GetBuffer() or "").encode("utf-8", "surrogateescape")
    shape = dataset.Rows, dataset.Columns
    if len(data) != 2 * shape[0] * shape[1]:
        raise _undecoded(path, syntax, f"{len(data)} bytes came out of it")
    return np.frombuffer(data, dtype="<u2").reshape(shape)


def _undecoded(path: Path, syntax: uid.UID, reason: str) -> CxrlocError:
    why = " ".join(reason.split())
    return CxrlocError(
        f"{path}: PixelData (7FE0,0010), {syntax.name}, cannot be decoded: {why[:300]}"
    )
