"""Reads the data set and the pixel bytes of a DICOM file, and repairs known kinds of damage.

pydicom reads the elements. This module repairs faults that pydicom refuses and other viewers
accept: file meta information that stands twice, an unusable character set, bytes behind the pixels,
compressed pixels without their closing delimiter. Each repair gives one warning.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from mmap import mmap
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

from cxrloc.types import CxrlocError

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

LONG_VRS = (
    b"OB",
    b"OD",
    b"OF",
    b"OL",
    b"OV",
    b"OW",
    b"SQ",
    b"SV",
    b"UC",
    b"UN",
    b"UR",
    b"UT",
    b"UV",
)
"""VRs whose length has 4 bytes, after 2 reserved ones (PS3.5 7.1.2)."""

UNDEFINED = 0xFFFFFFFF
PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = Tag("PixelData"), Tag(0x7FE00008), Tag(0x7FE00009)
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
"""Item (FFFE,E000) and Sequence Delimitation Item (FFFE,E0DD), which closes compressed pixel data
(PS3.5 A.4)."""

LONGEST_HEADER = 2**24
"""Bytes before the pixels in which an unusable character set is looked for."""

DEFERRED_BYTES = 2**20
"""Larger values of the header are skipped, because no value that is needed is so large."""

# Specific Character Set (0008,0005) in explicit and implicit VR, either byte order.
CHARACTER_SET = re.compile(
    rb"(?:\x08\x00\x05\x00|\x00\x08\x00\x05)(?:CS(?P<short>..)|(?P<long>..)\x00\x00)", re.DOTALL
)


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
    tag, value_at, length = _pixel_element(content, at, bool(implicit), little is not False)
    if tag is None:
        return DicomFile(header, b"", None, "", warnings)
    rest = memoryview(content)[value_at:]
    if length == UNDEFINED or header.file_meta.TransferSyntaxUID.is_encapsulated:
        pixels, end, about_end = _closed_items(path, rest, header.file_meta.TransferSyntaxUID)
    else:
        pixels, end, about_end = rest[:length], length, ()
        if length > len(rest):
            about_end = (
                f"PixelData (7FE0,0010) ends after {len(rest)} of {length} bytes that it announces",
            )
    about_rest = _about_rest(rest[end:], bool(implicit), little is not False)
    vr = "OB" if content[at + 4 : at + 6] == b"OB" else "OW"
    return DicomFile(header, pixels, tag, vr, (*warnings, *about_end, *about_rest))


def read_dicom_header(path: Path, data: mmap, tags: Sequence[str | int]) -> Dataset:
    """The elements of a DICOM file that were asked for, if they lie before its pixels.

    Raises:
        CxrlocError: as `read_dicom_file`.
        Exception: one of `PARSING_ERRORS`.
    """
    return _opened(path, data, tags, LONGEST_HEADER, whole=False)[1]


def _opened(
    path: Path, data: mmap, tags: Sequence[str | int], most_bytes: int, whole: bool = True
) -> tuple[mmap | bytes, Dataset, int, tuple[str, ...]]:
    """The bytes that hold the elements, the header, the offset of the pixels, and warnings."""
    syntax, start, warnings = _file_meta(data)
    if syntax is not None and not syntax.is_transfer_syntax:
        # A value that is not a UID may be misplaced text, such as a name, so it is not quoted.
        named = syntax if syntax.is_valid else "is no UID, so it"
        raise CxrlocError(
            f"{path}: TransferSyntaxUID (0002,0010) {named} names no transfer syntax of the DICOM "
            "standard (a vendor's own one?): convert the file to Explicit VR Little Endian"
        )
    content: mmap | bytes = data
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        content, start = _inflated(path, data[start:], most_bytes, whole), 0
    header, at, about_text = _header(content, start, syntax, tags)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax or _plain_syntax(*header.original_encoding)
    return content, header, at, warnings + about_text


def _file_meta(data: mmap) -> tuple[uid.UID | None, int, tuple[str, ...]]:
    """The transfer syntax (0002,0010), the place of the data set, and warnings.

    PS3.10 7.1: group 0002 is in explicit VR little endian. Its length (0002,0000) is wrong in some
    files, so the group is followed to its end.
    """
    at = 132 if data[128:132] == b"DICM" else 0
    found: dict[bytes, bytes] = {}
    twice = False
    while data[at : at + 2] == b"\x02\x00":
        element, vr = data[at + 2 : at + 4], data[at + 4 : at + 6]
        if vr in LONG_VRS:
            value_at, length = at + 12, int.from_bytes(data[at + 8 : at + 12], "little")
        elif vr.isalpha() and vr.isupper():
            value_at, length = at + 8, int.from_bytes(data[at + 6 : at + 8], "little")
        else:  # implicit VR, which some writers use here too
            value_at, length = at + 8, int.from_bytes(data[at + 4 : at + 8], "little")
        if value_at + length > len(data):
            raise EOFError
        twice |= element in found
        found.setdefault(element, data[value_at : value_at + min(length, 64)])
        at = value_at + length
    named = found.get(b"\x10\x00", b"").replace(b"\0", b" ").strip().decode("latin-1")
    said = ("file meta information (group 0002) stands twice: the first is taken",) * twice
    return uid.UID(named) if named else None, at, said


def _inflated(path: Path, deflated: bytes, most_bytes: int, whole: bool) -> bytes:
    """The data set of a deflated file (PS3.5 A.5), if it is not larger than expected."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflating.decompress(deflated, most_bytes)
    if not whole:
        return content
    if inflating.unconsumed_tail:
        raise CxrlocError(
            f"{path}: a deflated DICOM file that grows to more than {most_bytes:,} bytes: damaged, "
            "or larger than --max-megapixels allows"
        )
    if not inflating.eof:
        raise CxrlocError(f"{path}: a deflated DICOM file that ends early: the file is cut short")
    return content


def _header(
    content: mmap | bytes, start: int, syntax: uid.UID | None, tags: Sequence[str | int]
) -> tuple[Dataset, int, tuple[str, ...]]:
    """The elements before the pixels, the place of the pixels, and warnings."""
    try:
        header, at = _elements(content, start, syntax, tags)
    except PARSING_ERRORS:
        # The only text that is needed is ASCII, so a character set that cannot be used is blanked.
        head = bytearray(content[start : start + LONGEST_HEADER])
        for match in list(CHARACTER_SET.finditer(head)):
            size = match["short"] or match["long"]
            order = "little" if match[0].startswith(b"\x08") else "big"
            length = int.from_bytes(size, order)  # type: ignore[arg-type]
            head[match.end() : match.end() + length] = b" " * length
        if head == content[start : start + LONGEST_HEADER]:
            raise
        header, at = _elements(bytes(head), 0, syntax, tags)
        said = "SpecificCharacterSet (0008,0005) cannot be used and is ignored"
        return header, start + at, (said,)
    return header, at, ()


def _elements(
    content: mmap | bytes, start: int, syntax: uid.UID | None, tags: Sequence[str | int]
) -> tuple[Dataset, int]:
    implicit, little = _encoding(content[start : start + 6], syntax)
    file = content if isinstance(content, mmap) else BytesIO(content)
    file.seek(start)
    header = read_dataset(
        cast(BinaryIO, file),  # of which pydicom needs what a map has
        implicit,
        little,
        stop_when=lambda tag, vr, length: tag in (PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS),
        defer_size=DEFERRED_BYTES,
        specific_tags=[Tag(tag) for tag in tags],
    )
    return header, file.tell()


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


def _pixel_element(
    content: mmap | bytes, at: int, implicit: bool, little: bool
) -> tuple[BaseTag | None, int, int]:
    """Tag, place of the value and length of the element at `at`; no tag at the file's end."""
    order = "<" if little else ">"
    head = content[at : at + 12]
    if len(head) < 8:
        return None, at, 0
    group, element = struct.unpack(f"{order}HH", head[:4])
    if implicit or head[4:6] not in LONG_VRS or len(head) < 12:
        length_at = 4 if implicit else 6
        length = struct.unpack(f"{order}{'I' if implicit else 'H'}", head[length_at:8])[0]
        return Tag(group, element), at + 8, length
    return Tag(group, element), at + 12, struct.unpack(f"{order}I", head[8:12])[0]


def _closed_items(
    path: Path, rest: memoryview, syntax: uid.UID
) -> tuple[bytes | memoryview, int, tuple[str, ...]]:
    """Compressed pixels up to and with their delimiter, the place behind it, and warnings."""
    at = 0
    while rest[at : at + 4] == ITEM and at + 8 <= len(rest):
        length = int.from_bytes(rest[at + 4 : at + 8], "little")
        if at + 8 + length > len(rest):
            raise CxrlocError(
                f"{path}: PixelData (7FE0,0010), {syntax.name}, ends after {len(rest)} bytes "
                "without the delimiter (FFFE,E0DD) that closes compressed pixel data: the file is "
                "cut short"
            )
        at += 8 + length
    if rest[at : at + 4] == DELIMITER and at + 8 <= len(rest):
        return bytes(rest[:at]) + DELIMITER + bytes(4), at + 8, ()
    said = "compressed PixelData (7FE0,0010) has no whole closing delimiter (FFFE,E0DD)"
    # Zeros instead of the delimiter are part of the same fault, and not bytes behind the pixels.
    rest_of_it = bytes(rest[at : at + 8])
    end = at + len(rest_of_it) if not any(rest_of_it) or rest_of_it[:4] == DELIMITER else at
    return bytes(rest[:at]) + DELIMITER + bytes(4), end, (said,)


def _about_rest(rest: memoryview, implicit: bool, little: bool) -> tuple[str, ...]:
    """A warning where the bytes behind the pixels are not another element.

    The tags of elements ascend (PS3.5 7.1), so that a lower tag is no element.
    """
    if len(rest) == 0:
        return ()
    head = bytes(rest[:8])
    tag = struct.unpack(f"{'<' if little else '>'}HH", head[:4]) if len(head) == 8 else (0, 0)
    has_vr = head[4:6].isalpha() and head[4:6].isupper()
    if tag > (0x7FE0, 0x0010) and (implicit or has_vr or tag[0] == 0xFFFE):
        return ()
    return (f"{len(rest)} bytes after PixelData (7FE0,0010) are no DICOM element and are ignored",)
