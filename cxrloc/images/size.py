"""The size of an image without reading its pixels."""

from pathlib import Path

from PIL import Image
from pydicom import dcmread

from cxrloc.images.dicom import PARSING_ERRORS, recorded_warnings
from cxrloc.images.read import HEAD, file_format_of
from cxrloc.types import CxrlocError


def image_size(path: Path) -> tuple[int, int]:
    """Rows and columns of the image in a DICOM, PNG or JPEG file.

    Raises:
        CxrlocError: the file is none of these, or does not say.
    """
    try:
        with path.open("rb") as file:
            file_format = file_format_of(file.read(HEAD))
        if file_format == "DICOM":
            with recorded_warnings():
                tags = dcmread(
                    path, specific_tags=["Rows", "Columns"], stop_before_pixels=True, force=True
                )
                return int(tags.Rows), int(tags.Columns)
        with Image.open(path) as image:
            return image.height, image.width
    except (SyntaxError, *PARSING_ERRORS) as error:  # Pillow's on a damaged PNG
        raise CxrlocError(
            f"{path}: no image whose size can be told ({type(error).__name__})"
        ) from error
