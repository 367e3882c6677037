"""Recognises a file's format by its content, and opens regular files only."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from cxrloc.errors import CxrlocError
from cxrloc.images.codestreams import J2K_START, JP2_START

SUFFIXES = (".dcm", ".dicom", ".png", ".jpg", ".jpeg")
"""Suffixes that are cut from names; anything else after a dot belongs to the name."""

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"

# The preamble of 128 bytes and "DICM" (PS3.10 7.1); without them, a data set that starts with
# group 0002 or 0008, in either byte order.
DICOM_MARK = slice(128, 132)
BARE_DICOM_STARTS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
HEAD = 132

OTHER_FORMATS = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (JP2_START, "JPEG 2000"),
    (J2K_START, "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"\x93NUMPY", "NumPy"),
    (b"\x89HDF", "HDF5"),
    (b"\x5c\x01\0\0", "NIfTI"),
    (b"NRRD", "NRRD"),
    (b"ObjectType = Image", "MetaImage"),
)
"""First bytes of files that are given as radiographs and cannot be read, with their names."""


def file_format_of(head: bytes) -> str | None:
    """The format of a file by its first 132 bytes: "DICOM", "PNG" or "JPEG"; None for any other.

    >>> file_format_of(bytes(128) + b"DICM"), file_format_of(b"plain text"), file_format_of(b"")
    ('DICOM', None, None)
    """
    if head.startswith(PNG_START):
        return "PNG"
    if head.startswith(JPEG_START):
        return "JPEG"
    if head[DICOM_MARK] == b"DICM":
        return "DICOM"
    bare = len(head) == HEAD and head.startswith(BARE_DICOM_STARTS)
    return "DICOM" if bare and other_format_of(head) is None else None


def other_format_of(head: bytes) -> str | None:
    """The name of a format that is not read, by a file's first bytes; None where it is unknown.

    >>> other_format_of(b"RIFF....WEBPVP8 "), other_format_of(b"plain text")
    ('WebP', None)
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return "AVIF" if head[8:11] == b"avi" else "HEIF" if head[8:10] == b"he" else "MP4"
    return next((name for start, name in OTHER_FORMATS if head.startswith(start)), None)


def open_regular(path: Path) -> BinaryIO:
    """A regular file, opened for reading; pipes, sockets and devices would block, or never end.

    Raises:
        CxrlocError: the file cannot be opened, or is no regular file.
    """
    try:
        # With O_NONBLOCK, opening a named pipe returns at once, so that it can be refused.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise CxrlocError(f"{path}: {reason}") from error
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    what = "Is a directory" if stat.S_ISDIR(mode) else "a pipe, socket or device, no regular file"
    raise CxrlocError(f"{path}: {what}")
