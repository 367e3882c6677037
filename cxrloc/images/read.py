"""Reads a file as a `Radiograph`; the file's content tells its format."""

from dataclasses import replace
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from pathlib import Path

from cxrloc.errors import CxrlocError
from cxrloc.images.bitmaps import read_jpeg, read_png
from cxrloc.images.dicom import read_dicom
from cxrloc.images.formats import HEAD, file_format_of, open_regular, other_format_of
from cxrloc.images.intensity import is_blank
from cxrloc.images.stored_pixels import MAX_MEGAPIXELS
from cxrloc.types import Radiograph

BLANK = "the image is blank: all pixels have one grey level, so no finding means anything"


def read_radiograph(
    path: Path | str | None, voi: int = 0, max_megapixels: float = MAX_MEGAPIXELS
) -> Radiograph:
    """The radiograph in a DICOM, PNG or JPEG file.

    Args:
        path: the file; its suffix is ignored. The path of a record without an image is None.
        voi: index of the view among a DICOM file's VOI LUTs and windows; 0 is the default.
        max_megapixels: larger images are refused before memory is taken.

    Raises:
        CxrlocError: a file that cannot be read, or is no radiograph: one line says why.
    """
    if path is None:
        raise CxrlocError(
            "no image to read: the path of this record is None, because its image "
            "is not on this disk"
        )
    path = Path(path)
    try:
        with open_regular(path) as file:
            if file.seek(0, SEEK_END) == 0:
                raise CxrlocError(f"{path}: an empty file")
            # The memory map lets arrays use the pixels in the system's file cache without a copy.
            # It is closed when the last array that refers to it is deleted.
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
    except OSError as error:
        raise CxrlocError(f"{path}: {error.strerror or 'cannot be read'}") from error
    try:
        radiograph = _decoded(path, data, voi, max_megapixels)
    except MemoryError as error:
        raise CxrlocError(f"{path}: there is not enough memory to read it") from error
    if is_blank(radiograph.pixels):
        return replace(radiograph, warnings=(*radiograph.warnings, BLANK))
    return radiograph


def _decoded(path: Path, data: mmap, voi: int, max_megapixels: float) -> Radiograph:
    head = data[:HEAD]
    match file_format_of(head):
        case "DICOM":
            return read_dicom(path, data, voi, max_megapixels)
        case "PNG":
            return read_png(path, data[:], max_megapixels)
        case "JPEG":
            return read_jpeg(path, data[:], max_megapixels)
        case _:
            if other := other_format_of(head):
                raise CxrlocError(
                    f"{path}: a {other} file by its content; radiographs are read from DICOM, PNG "
                    "and JPEG: convert it to one of them"
                )
            raise CxrlocError(f"{path}: neither DICOM nor PNG nor JPEG by its content")
