"""Reads the description of the pixels from a DICOM header, and refuses impossible ones."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from pydicom import Dataset, uid

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom_values import code_of, known_code, numbers, tag_of
from cxrloc.images.stored_pixels import check_size

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
COLOUR = (
    "RGB",
    "YBR_FULL",
    "YBR_FULL_422",
    "YBR_PARTIAL_422",
    "YBR_PARTIAL_420",
    "YBR_ICT",
    "YBR_RCT",
)
SAMPLES = dict.fromkeys((*GREY, PALETTE), 1) | dict.fromkeys(COLOUR, 3)
OTHER_PHOTOMETRICS = ("ARGB", "CMYK", "HSV", "XYB")
"""Values of Photometric Interpretation (PS3.3 C.7.6.3.1.2) that no radiograph has."""

DESCRIPTION_TAGS = (
    "SOPClassUID",
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
)


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel Module (PS3.3 C.7.6.3) of a radiograph.

    Attributes:
        syntax: how the pixels are encoded.
        rows: height.
        columns: width.
        samples: 1, or 3 for colour.
        photometric: Photometric Interpretation (0028,0004), as DICOM spells it.
        bits_allocated: 8, 16 or 32.
        bits_stored: how many of the allocated bits are used.
        high_bit: place of the highest stored bit.
        signed: whether stored values are two's complement.
        planar: whether colour is stored plane by plane.
        frames: images in the pixel data.
        warnings: what is missing or wrong in the header, and which value was taken instead.
        values: value of each word, where words of more than 16 stored bits were narrowed to 16
            (`cxrloc.images.dicom_bits.narrowed`); else None.
    """

    syntax: uid.UID
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    frames: int
    warnings: tuple[str, ...] = ()
    values: Int64[np.ndarray, " word"] | None = field(default=None, compare=False)


def pixel_description(path: Path, header: Dataset, max_megapixels: float) -> PixelDescription:
    """The header's description of the pixels.

    Impossible headers are refused before memory is allocated.

    Args:
        path: names the file in errors.
        header: the data set.
        max_megapixels: larger images are refused.

    Raises:
        CxrlocError: the description is impossible; names the tag and the rule that it breaks.
    """
    warnings: list[str] = []
    rows, columns = (_whole(path, header, keyword) for keyword in ("Rows", "Columns"))
    check_size(path, rows, columns, max_megapixels)
    allocated, bits = (_whole(path, header, name) for name in ("BitsAllocated", "BitsStored"))
    if allocated not in (8, 16, 32) or not 1 <= bits <= allocated:
        raise CxrlocError(
            f"{path}: BitsAllocated (0028,0100) {allocated} and BitsStored (0028,0101) {bits}: "
            "radiographs are stored in 8, 16 or 32 bits, and no more of them used than allocated"
        )
    photometric, samples = _photometric(path, header, warnings)
    signed = _or_default(path, header, "PixelRepresentation", 0, warnings)
    if signed not in (0, 1):
        raise CxrlocError(f"{path}: PixelRepresentation (0028,0103) is neither 0 nor 1")
    high_bit = _or_default(path, header, "HighBit", bits - 1, warnings)
    if not bits - 1 <= high_bit < allocated:
        warnings.append(
            f"HighBit (0028,0102) {high_bit} leaves no room for {bits} bits in {allocated}: "
            f"{bits - 1} is taken"
        )
        high_bit = bits - 1
    planar = _or_default(path, header, "PlanarConfiguration", 0, warnings) if samples == 3 else 0
    return PixelDescription(
        syntax=header.file_meta.TransferSyntaxUID,
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=photometric,
        bits_allocated=allocated,
        bits_stored=bits,
        high_bit=high_bit,
        signed=signed == 1,
        planar=planar == 1,
        frames=_frames(header, warnings),
        warnings=tuple(warnings),
    )


def check_length(path: Path, description: PixelDescription, found: int) -> None:
    """Refuse uncompressed pixel data that are shorter than the header promises.

    Args:
        path: names the file in errors.
        description: of the pixels.
        found: number of bytes in Pixel Data (7FE0,0010).

    Raises:
        CxrlocError: there are too few.
    """
    rows, columns, samples = description.rows, description.columns, description.samples
    # PS3.3 C.7.6.3.1.2: chrominance at half the horizontal rate needs a third fewer bytes.
    stored = 2 if description.photometric.endswith("_422") else samples
    promised = rows * columns * stored * description.bits_allocated // 8
    if found < promised:
        raise CxrlocError(
            f"{path}: PixelData (7FE0,0010) has {found} bytes, {rows} rows x {columns} columns x "
            f"{samples} samples of {description.bits_allocated} bits need {promised}: the file is "
            "cut short or its header wrong"
        )


def _photometric(path: Path, header: Dataset, warnings: list[str]) -> tuple[str, int]:
    """Photometric interpretation and samples per pixel, which must fit each other."""
    written = code_of(header, "PhotometricInterpretation")
    # Some files have wrong case or separators; no two terms differ in these alone.
    letters = {name.replace("_", "").replace(" ", ""): name for name in SAMPLES}
    photometric = letters.get(written.replace("_", "").replace(" ", ""), written)
    default = SAMPLES.get(photometric, 1)
    samples = _or_default(path, header, "SamplesPerPixel", default, warnings)
    if photometric in GREY and samples == 3:
        # Programs that store grey secondary captures in three channels forget the label.
        warnings.append(
            f"PhotometricInterpretation (0028,0004) is {photometric}, but SamplesPerPixel "
            "(0028,0002) is 3: the image is read as grey if its three channels are equal"
        )
    elif SAMPLES.get(photometric) != samples:
        name = known_code(photometric, (*SAMPLES, *OTHER_PHOTOMETRICS))
        raise CxrlocError(
            f"{path}: PhotometricInterpretation (0028,0004) {name} with {samples} samples per "
            "pixel: radiographs are MONOCHROME1 or MONOCHROME2"
        )
    if str(header.PhotometricInterpretation) != photometric:
        warnings.append(
            f"PhotometricInterpretation (0028,0004) is misspelt and taken as {photometric}"
        )
    return photometric, samples


def _frames(header: Dataset, warnings: list[str]) -> int:
    """The number of frames; 1 where it is missing or cannot be read."""
    count = next(iter(numbers(header, "NumberOfFrames")), 1.0)
    if not count.is_integer():
        warnings.append(f"{tag_of('NumberOfFrames')} is no whole number: 1 is taken")
        return 1
    return max(1, int(count))


def _or_default(
    path: Path, header: Dataset, keyword: str, default: int, warnings: list[str]
) -> int:
    """A tag's whole number, or the default where it is missing; an empty tag adds a warning."""
    if keyword in header and not numbers(header, keyword):
        warnings.append(f"{tag_of(keyword)} is empty: {default} is taken")
    return _whole(path, header, keyword, default)


def _whole(path: Path, header: Dataset, keyword: str, default: int | None = None) -> int:
    """A tag's whole number; where it is missing or empty, the default."""
    values = numbers(header, keyword)
    if not values and default is not None:
        return default
    if len(values) != 1 or not values[0].is_integer():
        raise CxrlocError(f"{path}: {tag_of(keyword)} is missing or not one number")
    return int(values[0])
