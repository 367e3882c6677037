"""What a DICOM header says of its pixels, and whether that can be."""

from pathlib import Path

from pydicom import Dataset, uid

from cxrloc.images.stored_pixels import check_size
from cxrloc.types import CxrlocError

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
SAMPLES = {(1, name) for name in GREY} | {(3, name) for name in COLOUR}


def check_header(path: Path, dataset: Dataset, found: int) -> None:
    """Refuse a header that no radiograph can have, before memory is taken.

    DICOM PS3.3 C.7.6.3, Image Pixel Module.

    Args:
        path: names the file in errors.
        dataset: the header.
        found: bytes of Pixel Data (7FE0,0010) that there are.

    Raises:
        CxrlocError: names the tag and the rule it breaks.
    """
    rows, columns = (_number(path, dataset, keyword) for keyword in ("Rows", "Columns"))
    check_size(path, rows, columns)
    allocated = _allocated_bits(path, dataset)
    samples = _number(path, dataset, "SamplesPerPixel", 1)
    photometric = str(dataset.get("PhotometricInterpretation", "missing"))
    if (samples, photometric) not in SAMPLES:
        raise CxrlocError(
            f"{path}: PhotometricInterpretation (0028,0004) {photometric!r} with {samples} samples "
            "per pixel: radiographs are MONOCHROME1 or MONOCHROME2"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    if not isinstance(syntax, uid.UID) or not syntax.is_transfer_syntax:
        raise CxrlocError(f"{path}: TransferSyntaxUID (0002,0010) {syntax} is none")
    promised = rows * columns * samples * allocated // 8
    if found == 0:
        raise CxrlocError(f"{path}: no PixelData (7FE0,0010): the file holds no image")
    if not syntax.is_encapsulated and found < promised and photometric != "YBR_FULL_422":
        raise CxrlocError(
            f"{path}: PixelData (7FE0,0010) has {found} bytes, {rows} rows x {columns} columns x "
            f"{samples} samples of {allocated} bits need {promised}: the file is cut short or its "
            "header wrong"
        )


def _allocated_bits(path: Path, dataset: Dataset) -> int:
    """Bits per stored pixel, which hold those that are used."""
    allocated, bits = (_number(path, dataset, name) for name in ("BitsAllocated", "BitsStored"))
    if allocated not in (8, 16) or not 1 <= bits <= allocated:
        raise CxrlocError(
            f"{path}: BitsAllocated (0028,0100) {allocated} and BitsStored (0028,0101) {bits}: "
            "radiographs are stored in 8 or 16 bits, and no more of them used than allocated"
        )
    high = _number(path, dataset, "HighBit", bits - 1)
    if not bits - 1 <= high < allocated:
        raise CxrlocError(
            f"{path}: HighBit (0028,0102) {high} leaves no room for {bits} bits in {allocated}"
        )
    if _number(path, dataset, "PixelRepresentation", 0) not in (0, 1):
        raise CxrlocError(f"{path}: PixelRepresentation (0028,0103) is neither 0 nor 1")
    return allocated


def _number(path: Path, dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """A tag's whole number; where it is missing, the default."""
    value = dataset.get(keyword, default)
    if not isinstance(value, int):
        tag = Dataset()
        setattr(tag, keyword, None)
        raise CxrlocError(f"{path}: {keyword} {next(iter(tag)).tag} is missing or not one number")
    return value
