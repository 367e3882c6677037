"""Stored words out of DICOM pixel data, whatever it is compressed with."""

import importlib
from mmap import mmap
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16
from pydicom import Dataset, uid
from pydicom.dataelem import RawDataElement
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.tag import Tag

from cxrloc.images.stored_pixels import check_size, single_channel
from cxrloc.types import CxrlocError

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
LITTLE_ENDIAN = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

PACKAGES = {
    uid.JPEGBaseline8Bit: "python-gdcm",
    uid.JPEGExtended12Bit: "python-gdcm",
    uid.JPEGLossless: "python-gdcm",
    uid.JPEGLosslessSV1: "python-gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg pylibjpeg-openjpeg",
    uid.JPEG2000: "pylibjpeg pylibjpeg-openjpeg",
    uid.HTJ2KLossless: "pylibjpeg pylibjpeg-openjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg pylibjpeg-openjpeg",
    uid.HTJ2K: "pylibjpeg pylibjpeg-openjpeg",
    uid.RLELossless: "pylibjpeg pylibjpeg-rle",
}
"""Packages with permissive licences that decode a transfer syntax."""

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
    _check_header(path, dataset, len(pixel_bytes))
    syntax = dataset.file_meta.TransferSyntaxUID
    if has_plain_words(dataset):
        shape = dataset.Rows, dataset.Columns
        size = dataset.BitsAllocated // 8
        return np.frombuffer(pixel_bytes, f"<u{size}", count=shape[0] * shape[1]).reshape(shape)
    if syntax == uid.JPEGExtended12Bit and dataset.BitsStored > 8:
        return _extended_jpeg(path, dataset, pixel_bytes)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise CxrlocError(
            f"{path}: transfer syntax {syntax.name} ({syntax}) is not read: convert the file, for "
            "example with `gdcmconv --raw`"
        ) from None
    if not decoder.is_available:
        raise _missing_decoder(path, syntax)
    dataset.PixelData = pixel_bytes
    try:
        # Unused bits and signs are left to the table of grey levels, where they cost nothing.
        pixels, _ = decoder.as_array(
            dataset,
            index=0,
            correct_unused_bits=False,  # type: ignore[arg-type]  # annotated as the options' dict
        )
    except DECODING_ERRORS as error:
        raise _undecoded(path, syntax, str(error)) from error
    if pixels.ndim == 3:
        return single_channel(path, pixels)
    # Some decoders return fewer bytes per pixel than were allocated.
    size = dataset.BitsAllocated // 8
    return pixels.astype(f"{pixels.dtype.kind}{size}", copy=False).view(f"u{size}")


def _check_header(path: Path, dataset: Dataset, found: int) -> None:
    """Everything that must hold before memory is taken."""
    rows, columns, allocated, bits = (
        _number(path, dataset, keyword)
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored")
    )
    check_size(path, rows, columns)
    if allocated not in (8, 16) or not 1 <= bits <= allocated:
        raise CxrlocError(
            f"{path}: BitsAllocated (0028,0100) {allocated} and BitsStored (0028,0101) {bits}: "
            "radiographs are stored in 8 or 16 bits, and no more of them used than allocated"
        )
    high = dataset.get("HighBit")
    if high is not None and not bits - 1 <= high < allocated:
        raise CxrlocError(
            f"{path}: HighBit (0028,0102) {high} leaves no room for {bits} bits in {allocated}"
        )
    photometric = str(dataset.get("PhotometricInterpretation", "missing"))
    samples = dataset.get("SamplesPerPixel", 1)
    if photometric not in (GREY if samples == 1 else COLOUR):
        raise CxrlocError(
            f"{path}: PhotometricInterpretation (0028,0004) {photometric} with {samples} samples "
            "per pixel: radiographs are MONOCHROME1 or MONOCHROME2"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    promised = rows * columns * samples * allocated // 8
    if found == 0:
        raise CxrlocError(f"{path}: no PixelData (7FE0,0010): the file holds no image")
    if not syntax.is_encapsulated and found < promised and photometric != "YBR_FULL_422":
        raise CxrlocError(
            f"{path}: PixelData (7FE0,0010) has {found} bytes, {rows} rows x {columns} columns "
            f"need {promised}: the file is cut short or its header wrong"
        )


def _number(path: Path, dataset: Dataset, keyword: str) -> int:
    value = dataset.get(keyword)
    if not isinstance(value, int):
        tag = Dataset()
        setattr(tag, keyword, None)
        raise CxrlocError(f"{path}: {keyword} {next(iter(tag)).tag} is missing or not one number")
    return value


def _extended_jpeg(
    path: Path, dataset: Dataset, pixel_bytes: bytes | memoryview
) -> UInt16[np.ndarray, "row col"]:
    """12-bit JPEG through gdcm itself, since pydicom's way to gdcm leaves out what it can do."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        gdcm = importlib.import_module("gdcm")
    except ImportError:
        raise _missing_decoder(path, syntax) from None
    try:
        frame = get_frame(
            bytes(pixel_bytes), 0, number_of_frames=dataset.get("NumberOfFrames") or 1
        )
    except DECODING_ERRORS as error:
        raise _undecoded(path, syntax, str(error)) from error
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
    data = image.GetBuffer().encode("utf-8", "surrogateescape")
    shape = dataset.Rows, dataset.Columns
    if len(data) != 2 * shape[0] * shape[1]:
        raise _undecoded(path, syntax, f"{len(data)} bytes came out of it")
    return np.frombuffer(data, dtype="<u2").reshape(shape)


def _missing_decoder(path: Path, syntax: uid.UID) -> CxrlocError:
    return CxrlocError(
        f"{path}: transfer syntax {syntax.name} needs a decoder: pip install {PACKAGES[syntax]}"
    )


def _undecoded(path: Path, syntax: uid.UID, reason: str) -> CxrlocError:
    why = " ".join(reason.split())
    return CxrlocError(
        f"{path}: PixelData (7FE0,0010), {syntax.name}, cannot be decoded: {why[:300]}"
    )
