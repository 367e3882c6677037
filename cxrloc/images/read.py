"""From a file to a `Radiograph`: what a file is, is told by its content."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from pathlib import Path

from cxrloc.images.bitmaps import JPEG_START, PNG_START, read_jpeg, read_png
from cxrloc.images.dicom import read_dicom
from cxrloc.images.intensity import is_blank
from cxrloc.types import CxrlocError, Radiograph

SUFFIXES = (".dcm", ".dicom", ".png", ".jpg", ".jpeg")
"""Suffixes that are cut from names; anything else after a dot belongs to the name."""

# The preamble of 128 bytes and "DICM" (PS3.10 7.1); without them, a data set that starts with
# group 0002 or 0008, in either byte order.
DICOM_MARK = slice(128, 132)
BARE_DICOM_STARTS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
HEAD = 132


def read_radiograph(path: Path, voi: int = 0) -> Radiograph:
    """The radiograph in a DICOM, PNG or JPEG file.

    Args:
        path: the file; its suffix says nothing.
        voi: which view a DICOM file's VOI LUTs and windows offer; 0 is its default.

    Raises:
        CxrlocError: a file that cannot be read, or is no radiograph: one line says why.
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, SEEK_END) == 0:
                raise CxrlocError(f"{path}: an empty file")
            # Pixels are used where the system has cached the file, without a copy; the map goes
            # when the last array that looks at it does.
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
    except OSError as error:
        raise CxrlocError(f"{path}: {error.strerror or 'cannot be read'}") from error
    radiograph = _decoded(path, data, voi)
    if is_blank(radiograph.pixels):
        blank = "the image is blank: all pixels have one grey level, so no finding means anything"
        return replace(radiograph, warnings=(*radiograph.warnings, blank))
    return radiograph


def _decoded(path: Path, data: mmap, voi: int) -> Radiograph:
    match file_format_of(data[:HEAD]):
        case "DICOM":
            return read_dicom(path, data, voi)
        case "PNG":
            return read_png(path, data[:])
        case "JPEG":
            return read_jpeg(path, data[:])
        case _:
            raise CxrlocError(f"{path}: neither DICOM nor PNG nor JPEG by its content")


def file_format_of(head: bytes) -> str | None:
    """What a file is by its first 132 bytes: "DICOM", "PNG" or "JPEG"; None for anything else.

    >>> file_format_of(bytes(128) + b"DICM"), file_format_of(b"plain text"), file_format_of(b"")
    ('DICOM', None, None)
    """
    if head.startswith(PNG_START):
        return "PNG"
    if head.startswith(JPEG_START):
        return "JPEG"
    bare = len(head) == HEAD and head.startswith(BARE_DICOM_STARTS)
    return "DICOM" if head[DICOM_MARK] == b"DICM" or bare else None


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths, and the images in the folders among them, sorted, each once.

    Folders are searched to the bottom. An image is what is one by its content, or claims to be one
    by its suffix: reading a broken one then fails by name, instead of its being passed over. Hidden
    files and DICOMDIR indexes are passed over. A path that is no folder is kept as it is.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(sorted(_images_below(path)) if path.is_dir() else [path]))
    return list(found)


def _images_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.name.startswith(".") or path.name == "DICOMDIR" or path.is_dir():
            continue
        if path.suffix.lower() in SUFFIXES or _is_image(path):
            yield path


def _is_image(path: Path) -> bool:
    """Whether a file is an image by its content; one that cannot be opened is for the reader."""
    try:
        with path.open("rb") as file:
            return file_format_of(file.read(HEAD)) is not None
    except OSError:
        return True


def output_stem(path: Path) -> str:
    """A file's name for its outputs: without a known suffix, but with all parts of a UID.

    >>> output_stem(Path("a/chest.v2.dcm")), output_stem(Path("1.2.840.113619.2"))
    ('chest.v2', '1.2.840.113619.2')
    """
    return path.stem if path.suffix.lower() in SUFFIXES else path.name
