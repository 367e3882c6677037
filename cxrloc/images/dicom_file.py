"""Reads the data set and the pixel bytes of a DICOM file, and repairs known kinds of damage.

pydicom reads the elements. This module repairs faults that pydicom refuses and other viewers
accept: file meta information that stands twice, an unusable character set, unknown value
representations, a deflated data set with a header of zlib, bytes behind the pixels, compressed
pixels without their closing delimiter. Each repair gives one warning.
"""

import re
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from mmap import mmap
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import Dataset, config, uid
from pydicom.dataset import FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom_meta import read_file_meta
from cxrloc.images.dicom_pixel_bytes import about_bytes_behind, pixel_bytes, pixel_element

# pydicom raises these errors on bytes that are not a DICOM file, and on damaged files.
PARSING_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = Tag("PixelData"), Tag(0x7FE00008), Tag(0x7FE00009)
PIXEL_TAGS = frozenset({PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS})
LAST_GROUP = 0x00FF
"""The data set of an image begins with a group up to this one; it has 0008, or 0028 at least."""

LONGEST_HEADER = 2**24
"""Bytes before the pixels in which an unusable character set is looked for."""

MOST_READS = 100_000
"""Reads of the header after which a file is refused; each element takes about two.

A file of a few megabytes can hold millions of empty items, which take minutes.
"""

DEFERRED_BYTES = 2**21
"""Larger values of the header are skipped, because no value that is needed is so large."""

CHARACTER_SET = re.compile(
    rb"(?:\x08\x00\x05\x00|\x00\x08\x00\x05)(?=[A-Z]{2}|..\x00\x00)", re.DOTALL
)
"""The tag of Specific Character Set (0008,0005) in either byte order.

A VR follows the tag, or in implicit VR a length with two bytes of 0.
"""

_READING = threading.Lock()
"""Held while a header is read, because all threads share a setting of pydicom that it needs."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """A data set up to its pixels, and the pixels as they lie in the file.

    Attributes:
        header: the elements that were asked for; `file_meta` names the transfer syntax.
        pixels: value of Pixel Data (7FE0,0010); for compressed pixels, the items with their closing
            delimiter; empty where the file has no pixels.
        pixel_tag: Pixel Data or one of its floating-point kin; None where the file has neither.
        pixel_vr: "OB" or "OW", which tells how 8-bit pixels lie in a big-endian file.
        warnings: one for each repair.
    """

    header: Dataset
    pixels: bytes | memoryview
    pixel_tag: BaseTag | None
    pixel_vr: str
    warnings: tuple[str, ...]


def read_dicom_file(
    path: Path, data: mmap, tags: Sequence[str | int], most_bytes: int
) -> DicomFile:
    """The data set in a DICOM file, with or without preamble and file meta information.

    Args:
        path: names the file in errors.
        data: the file.
        tags: elements to read.
        most_bytes: largest size of a deflated data set after inflation.

    Raises:
        CxrlocError: a deflated file that grows beyond `most_bytes`, or cut pixels.
        Exception: one of `PARSING_ERRORS` on other damage.
    """
    content, header, at, warnings = _opened(path, data, tags, most_bytes)
    implicit, little = header.original_encoding
    tag, value_at, length = pixel_element(content, at, bool(implicit), little is not False)
    if tag is None:
        return DicomFile(header, b"", None, "", warnings)
    rest = memoryview(content)[value_at:]
    pixels, end, about_end = pixel_bytes(path, rest, length, header.file_meta.TransferSyntaxUID)
    about_rest = about_bytes_behind(rest[end:], bool(implicit), little is not False)
    vr = "OB" if content[at + 4 : at + 6] == b"OB" else "OW"
    return DicomFile(header, pixels, tag, vr, (*warnings, *about_end, *about_rest))


def read_dicom_header(path: Path, data: mmap | bytes, tags: Sequence[str | int]) -> Dataset:
    """The elements of a DICOM file that were asked for, if they lie before its pixels.

    Raises:
        CxrlocError: as `read_dicom_file`.
        Exception: one of `PARSING_ERRORS`.
    """
    return _opened(path, data, tags, LONGEST_HEADER, whole=False)[1]


def _opened(
    path: Path, data: mmap | bytes, tags: Sequence[str | int], most_bytes: int, whole: bool = True
) -> tuple[mmap | bytes, Dataset, int, tuple[str, ...]]:
    """The bytes that hold the elements, the header, the offset of the pixels, and warnings."""
    syntax, start, warnings = read_file_meta(path, data)
    content = data
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        content, about_zlib = _inflated(path, data[start:], most_bytes, whole)
        start, warnings = 0, warnings + about_zlib
    first = content[start : start + 2]
    little = syntax is None or syntax.is_little_endian
    if syntax is not None and int.from_bytes(first, "little" if little else "big") > LAST_GROUP:
        raise CxrlocError(
            f"{path}: the data set does not begin as {syntax.name} of TransferSyntaxUID (0002,0010)"
            " must: the header is wrong, or the file damaged"
        )
    header, at, about_text = _header(content, start, syntax, tags)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax or _plain_syntax(*header.original_encoding)
    return content, header, at, warnings + about_text


def _inflated(
    path: Path, deflated: bytes, most_bytes: int, whole: bool
) -> tuple[bytes, tuple[str, ...]]:
    """The data set of a deflated file (PS3.5 A.5), if it is not larger than expected; warnings."""
    warnings: tuple[str, ...] = ()
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflating.decompress(deflated, most_bytes)
    except zlib.error:
        # PS3.5 A.5 wants the bare stream of RFC 1951; some writers put a header of zlib before it.
        warnings = ("the deflated data set has a header of zlib, which DICOM does not allow",)
        inflating = zlib.decompressobj(zlib.MAX_WBITS)
        try:
            content = inflating.decompress(deflated, most_bytes)
        except zlib.error as error:
            raise CxrlocError(
                f"{path}: its data set cannot be inflated: it is damaged, or not deflated as "
                "TransferSyntaxUID (0002,0010) says"
            ) from error
    if not whole:
        return content, warnings
    if inflating.unconsumed_tail:
        raise CxrlocError(
            f"{path}: a deflated DICOM file that grows to more than {most_bytes:,} bytes: damaged, "
            "or larger than --max-megapixels allows"
        )
    if not inflating.eof:
        raise CxrlocError(f"{path}: a deflated DICOM file that ends early: the file is cut short")
    return content, warnings


def _header(
    content: mmap | bytes, start: int, syntax: uid.UID | None, tags: Sequence[str | int]
) -> tuple[Dataset, int, tuple[str, ...]]:
    """The elements before the pixels, the place of the pixels, and warnings."""
    header: Dataset | None = None
    try:
        header, at = _elements(content, start, syntax, tags)
        if at < len(content):
            return header, at, ()
    except PARSING_ERRORS as error:
        first = error
    with suppress(*PARSING_ERRORS):
        other, at_pixels = _elements(content, start, syntax, tags, short_unknown=True)
        if at_pixels < len(content):
            return (
                other,
                at_pixels,
                ("elements of an unknown value representation (VR) are ignored",),
            )
    if header is not None:  # it has no pixels in either way
        return header, at, ()
    # The only text that is needed is ASCII, so a character set that cannot be used gets the tag
    # (0008,0004), which nothing reads.
    head = content[start : start + LONGEST_HEADER]
    without, found = CHARACTER_SET.subn(lambda tag: tag[0].replace(b"\5", b"\4"), head)
    if not found:
        raise first
    header, at = _elements(without, 0, syntax, tags)
    warning = "SpecificCharacterSet (0008,0005) cannot be used and is ignored"
    return header, start + at, (warning,)


@contextmanager
def _unknown_elements(short: bool) -> Iterator[None]:
    """Set how pydicom reads elements of an unknown value representation (VR).

    Only one thread at a time is in the block, because the setting is shared by all.

    Args:
        short: read them as explicit VR with a length of two bytes, as DCMTK does; otherwise as
            implicit VR with a length of four bytes.
    """
    with _READING:
        former = config.assume_implicit_vr_switch
        config.assume_implicit_vr_switch = not short
        try:
            yield
        finally:
            config.assume_implicit_vr_switch = former


def _elements(
    content: mmap | bytes,
    start: int,
    syntax: uid.UID | None,
    tags: Sequence[str | int],
    short_unknown: bool = False,
) -> tuple[Dataset, int]:
    implicit, little = _encoding(content[start : start + 6], syntax)
    file = _CountedReads(content if isinstance(content, mmap) else BytesIO(content))
    file.seek(start)
    with _unknown_elements(short_unknown):
        header = read_dataset(
            cast(BinaryIO, file),  # pydicom needs only the methods of `_CountedReads`
            implicit,
            little,
            stop_when=lambda tag, vr, length: tag in PIXEL_TAGS,
            defer_size=DEFERRED_BYTES,
            specific_tags=_tags(tuple(tags)),
        )
    return header, file.tell()


@cache
def _tags(names: tuple[str | int, ...]) -> list[BaseTag | int]:
    """The tags of keywords; equal lists of keywords are looked up once."""
    return [Tag(name) for name in names]


class _CountedReads:
    """A file from which only so many values can be read."""

    def __init__(self, file: mmap | BytesIO) -> None:
        self._read, self.seek, self.tell = file.read, file.seek, file.tell
        self._left = MOST_READS

    def read(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            ValueError: too many reads.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError("too many elements")
        return self._read(size)


def _encoding(first: bytes, syntax: uid.UID | None) -> tuple[bool, bool]:
    """Whether VRs are implicit and words little endian, by the syntax or the first element."""
    if syntax is not None:
        return syntax.is_implicit_VR, syntax.is_little_endian
    explicit = first[4:6].isalpha() and first[4:6].isupper()
    # Groups of a header are below 0x0100, so a low byte of 0 is the high byte of a big-endian one.
    return not explicit, not (explicit and first[:1] == b"\0")


def _plain_syntax(implicit: bool | None, little: bool | None) -> uid.UID:
    """The uncompressed transfer syntax of a file that names none."""
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRBigEndian if little is False else uid.ExplicitVRLittleEndian
