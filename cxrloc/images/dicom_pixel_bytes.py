"""Finds where the pixels of a DICOM file begin and end, and warns of what does not belong there."""

import struct
from mmap import mmap
from pathlib import Path

from pydicom import uid
from pydicom.tag import BaseTag, Tag

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom_meta import LONG_VRS

UNDEFINED = 0xFFFFFFFF
ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
"""Item (FFFE,E000) and Sequence Delimitation Item (FFFE,E0DD), which closes compressed pixel data
(PS3.5 A.4)."""


def pixel_element(
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


def pixel_bytes(
    path: Path, rest: memoryview, length: int, syntax: uid.UID
) -> tuple[bytes | memoryview, int, tuple[str, ...]]:
    """The value of Pixel Data (7FE0,0010), the place behind it, and warnings.

    Args:
        path: names the file in errors.
        rest: the file from the first byte of the value.
        length: of the value, as the element says.
        syntax: the transfer syntax.

    Raises:
        CxrlocError: compressed pixels that are cut, or whose transfer syntax is that of plain ones.
    """
    if syntax.is_encapsulated:
        return _closed_items(path, rest, syntax)
    if length == UNDEFINED and rest[:4] == ITEM:
        raise CxrlocError(
            f"{path}: PixelData (7FE0,0010) is compressed, but TransferSyntaxUID (0002,0010) is "
            f"{syntax.name}: the header is wrong"
        )
    warning = f"PixelData (7FE0,0010) ends after {len(rest)} of {length} bytes that it announces"
    if length == UNDEFINED:
        warning = (
            "PixelData (7FE0,0010) has an undefined length, which compressed pixels alone may have"
        )
    return rest[:length], length, (warning,) * (length > len(rest))


def about_bytes_behind(rest: memoryview, implicit: bool, little: bool) -> tuple[str, ...]:
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
    warning = "compressed PixelData (7FE0,0010) has no whole closing delimiter (FFFE,E0DD)"
    # Zeros instead of the delimiter are part of the same fault, and not bytes behind the pixels.
    rest_of_it = bytes(rest[at : at + 8])
    end = at + len(rest_of_it) if not any(rest_of_it) or rest_of_it[:4] == DELIMITER else at
    return bytes(rest[:at]) + DELIMITER + bytes(4), end, (warning,)
