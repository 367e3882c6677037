"""The size of an image without reading its pixels."""

from mmap import ACCESS_READ, mmap
from pathlib import Path

from cxrloc.errors import CxrlocError
from cxrloc.images.bitmaps import png_header
from cxrloc.images.codestreams import jpeg_frame
from cxrloc.images.dicom import recorded_warnings
from cxrloc.images.dicom_file import PARSING_ERRORS, read_dicom_header
from cxrloc.images.formats import HEAD, file_format_of, open_regular
from cxrloc.images.orientation import TURNS, exif_of_jpeg, exif_of_png


def image_size(path: Path) -> tuple[int, int]:
    """Rows and columns of the image in a DICOM, PNG or JPEG file, as `read_radiograph` gives it.

    Raises:
        CxrlocError: the file has another format, or does not state its size.
    """
    try:
        with open_regular(path) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            match file_format_of(data[:HEAD]):
                case "DICOM":
                    with recorded_warnings():
                        header = read_dicom_header(path, data, ["Rows", "Columns"])
                        return int(header.Rows), int(header.Columns)
                case "PNG":
                    columns, rows = png_header(path, data[:HEAD])[:2]
                    orientation = exif_of_png(data[:]).orientation
                case "JPEG" if frame := jpeg_frame(data[:]):
                    rows, columns = frame.rows, frame.columns
                    orientation = exif_of_jpeg(data[:]).orientation
                case _:
                    raise ValueError
    except PARSING_ERRORS as error:
        raise CxrlocError(
            f"{path}: no image whose size can be told ({type(error).__name__})"
        ) from error
    transposed = TURNS[orientation][0]
    return (columns, rows) if transposed else (rows, columns)
