"""The header of a source image, corrected for objects that inherit patient and study from it."""

import math
import re
from collections.abc import Callable
from datetime import datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.multival import MultiValue
from pydicom.uid import UID

from cxrloc.errors import CxrlocError
from cxrloc.images.dicom import recorded_warnings
from cxrloc.images.dicom_file import PARSING_ERRORS, read_dicom_header
from cxrloc.images.dicom_values import code_of, numbers, tag_of, texts
from cxrloc.images.formats import open_regular

_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

# Attributes of type 2 of the Patient and General Study modules (PS3.3, C.7.1.1 and C.7.2.1): they
# must be there, and may be empty.
_TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)

_OPTIONAL = ("IssuerOfPatientID", "PatientAge", "StudyDescription")

_MOMENTS = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing")
_RESCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")
_SIZES = ("Rows", "Columns", "SamplesPerPixel")
_CODES = ("Modality", "PhotometricInterpretation", "PatientOrientation", "SpecificCharacterSet")

_TAGS = (
    *(*_UIDS, *_TYPE_2, *_OPTIONAL, *_SPACINGS, *_RESCALE, *_SIZES, *_CODES),
    *(keyword for moment in _MOMENTS for keyword in moment),
)


class Source(NamedTuple):
    """The header that the objects of one image inherit from.

    Attributes:
        header: patient, study and description of the pixels, valid and in UTF-8.
        warnings: one sentence for each value that was not valid and is empty or absent now.
    """

    header: Dataset
    warnings: tuple[str, ...]


def read_source(path: Path) -> Source:
    """The attributes of a DICOM image that objects inherit; every value in them is valid.

    Objects inherit who the patient is, which study it is and how the pixels lie, and refer to the
    image for everything else. A value that violates its value representation (PS3.5, section 6.2)
    becomes empty where the standard wants the attribute (type 2), and is left out elsewhere. No
    value is shortened or invented: half an identifier would be another patient's.

    Raises:
        CxrlocError: the file is no DICOM file, or lacks an identifier to which objects refer.
    """
    try:
        with (
            recorded_warnings(),
            open_regular(path) as file,
            mmap(file.fileno(), 0, access=ACCESS_READ) as data,
        ):
            return corrected(read_dicom_header(path, data, _TAGS), str(path))
    except PARSING_ERRORS as error:
        raise CxrlocError(f"{path}: cannot be read as DICOM ({error})") from error


def corrected(found: Dataset, name: str) -> Source:
    """The valid part of a header; see `read_source`.

    Args:
        found: the header as it was read.
        name: of the image, for errors.

    Raises:
        CxrlocError: an identifier to which objects refer is missing or is no UID.
    """
    header, warnings = Dataset(), []
    header.SpecificCharacterSet = "ISO_IR 192"  # UTF-8 (PS3.3, C.12.1.1.2)
    for keyword in _UIDS:
        setattr(header, keyword, _uid(found, keyword, name))
    moments = (keyword for moment in _MOMENTS for keyword in moment)
    for keyword in dict.fromkeys((*_TYPE_2, *_OPTIONAL, *moments)):
        text = _text(found, keyword)
        if text and (why := _fault(keyword, text)):
            warnings.append(f"{tag_of(keyword)} {why}, so DICOM results leave it out")
            text = ""
        if text or keyword in _TYPE_2:
            setattr(header, keyword, text)
    _copy_pixel_description(found, header)
    return Source(header, tuple(warnings))


def _uid(found: Dataset, keyword: str, name: str) -> str:
    value = (texts(found, keyword) or [""])[0]
    # The first component is 0, 1 or 2 (PS3.5, section 9.1, after ISO/IEC 9834-1).
    if UID(value).is_valid and value.split(".")[0] in ("0", "1", "2"):
        return value
    raise CxrlocError(
        f"{name}: {tag_of(keyword)} is {'no UID' if value else 'missing'}, so no DICOM result can "
        "refer to this image"
    )


def _copy_pixel_description(found: Dataset, header: Dataset) -> None:
    for keyword in _SIZES:
        if (values := numbers(found, keyword)) and values[0] > 0:
            setattr(header, keyword, int(values[0]))
    for keyword in _SPACINGS:
        spacing = numbers(found, keyword)
        if len(spacing) == 2 and all(side > 0 for side in spacing):
            setattr(header, keyword, spacing)
    header.Modality = code_of(found, "Modality")[:16] or "OT"
    header.PhotometricInterpretation = code_of(found, "PhotometricInterpretation")
    orientation = [each.upper() for each in texts(found, "PatientOrientation")]
    known = len(orientation) == 2 and all(re.fullmatch("[LRAPHF]{1,3}", e) for e in orientation)
    header.PatientOrientation = orientation if known else ""
    slope, intercept = (numbers(found, keyword) for keyword in _RESCALE[:2])
    valid = all(map(math.isfinite, (*slope, *intercept))) and 0 not in slope
    if len(slope) == len(intercept) == 1 and valid:
        header.RescaleSlope, header.RescaleIntercept = slope[0], intercept[0]
        header.RescaleType = code_of(found, "RescaleType")[:16] or "US"


def _text(found: Dataset, keyword: str) -> str:
    r"""A value as text without the space around it; several values keep their backslashes."""
    element = found.get(keyword)
    values = [*element] if isinstance(element, MultiValue) else [element]
    text = "\\".join("" if each is None else str(each) for each in values)
    # pydicom leaves the escape sequences of ISO 2022 IR 58 (Chinese) in the text.
    return text.replace("\x1b$)A", "").strip(" \0\t\r\n")


def _fault(keyword: str, text: str) -> str:
    """Why a text is no value of an attribute; empty if it is one."""
    if "\N{REPLACEMENT CHARACTER}" in text:
        return "has bytes that its character set does not define"
    if "\\" in text:
        return "has several values"
    if re.search(r"[\x00-\x1f\x7f-\x9f]", text):
        return "has control characters"
    return _FAULTS[keyword if keyword == "PatientSex" else dictionary_VR(keyword)](text)


def _longer_than(limit: int) -> Callable[[str], str]:
    return lambda text: f"has more than {limit} characters" if len(text) > limit else ""


def _fault_of_name(text: str) -> str:
    """A person's name has up to three groups, each of up to five components."""
    groups = text.split("=")
    if len(groups) > 3 or any(group.count("^") > 4 for group in groups):
        return "has too many parts"
    return _longer_than(64)(max(groups, key=len))


def _fault_of_date(text: str) -> str:
    try:
        real = len(text) == 8 and 1800 <= datetime.strptime(text, "%Y%m%d").year < 2200
    except ValueError:
        real = False
    return "" if real else "is no date"


def _unless(pattern: str, why: str) -> Callable[[str], str]:
    return lambda text: "" if re.fullmatch(pattern, text, re.ASCII) else why


_FAULTS: dict[str, Callable[[str], str]] = {
    "AS": _unless(r"\d{3}[DWMY]", "is no age such as 064Y"),
    "DA": _fault_of_date,
    "LO": _longer_than(64),
    "PN": _fault_of_name,
    "PatientSex": _unless("[MFO]", "is none of M, F and O"),
    "SH": _longer_than(16),
    "TM": _unless(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", "is no time"),
}
"""Checks by value representation (PS3.5, section 6.2), and that of the patient's sex."""


def moment_of(source: Dataset) -> datetime | None:
    """The time of acquisition, or the closest other time in the header; None if it has no date.

    Minutes and seconds that a time leaves out are 0, and its fraction of a second is not used.
    """
    for date_keyword, time_keyword in _MOMENTS:
        if date := source.get(date_keyword):
            time = str(source.get(time_keyword) or "")[:6].ljust(6, "0")  # HHMMSS (PS3.5, 6.2)
            return datetime.strptime(f"{date}{time}", "%Y%m%d%H%M%S")
    return None
