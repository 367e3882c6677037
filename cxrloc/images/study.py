"""Reads from a DICOM header, without the pixels, which study an image belongs to."""

from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom import recorded_warnings
from cxrloc.images.dicom_file import PARSING_ERRORS, read_dicom_header
from cxrloc.images.dicom_header import view_of
from cxrloc.images.formats import HEAD, file_format_of, open_regular
from cxrloc.types import View

_TAGS = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "ViewPosition",
    "ViewCodeSequence",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "InstanceNumber",
)


class Study(NamedTuple):
    """The study of an image; images with the same `uid` (0020,000D) were taken together.

    Attributes:
        uid: Study Instance UID; empty where the file names none or is no DICOM file.
        view: projection, None where unknown.
        acquired: sorts images by Acquisition or else Content date and time, then Instance Number.
        image_uid: SOP Instance UID (0008,0018) of the image itself; empty as `uid` is.
    """

    uid: str
    view: View | None
    acquired: tuple[str, str, int]
    image_uid: str = ""


UNKNOWN = Study("", None, ("", "", 0))


def read_study(path: Path) -> Study:
    """The study of an image file; an unknown one where its header cannot be read.

    No error is raised here, because reading the pixels raises one with the reason.
    """
    try:
        with (
            recorded_warnings(),
            open_regular(path) as file,
            mmap(file.fileno(), 0, access=ACCESS_READ) as data,
        ):
            if file_format_of(data[:HEAD]) != "DICOM":
                return UNKNOWN
            header = read_dicom_header(path, data, [*_TAGS])
            date = header.get("AcquisitionDate") or header.get("ContentDate") or ""
            time = header.get("AcquisitionTime") or header.get("ContentTime") or ""
            number = int(header.get("InstanceNumber") or 0)
            uid = str(header.get("StudyInstanceUID") or "")
            instance_uid = str(header.get("SOPInstanceUID") or "")
            return Study(uid, view_of(header), (str(date), str(time), number), instance_uid)
    except (CxrlocError, *PARSING_ERRORS):
        return UNKNOWN
