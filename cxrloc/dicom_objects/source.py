"""The header of a source image, corrected for objects that inherit patient and study from it."""

import re
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.errors import InvalidDicomError

from cxrloc.types import CxrlocError

# Attributes of type 2 of the Patient, General Study, General Series and General Image modules
# (PS3.3, C.7.1.1, C.7.2.1, C.7.3.1, C.7.6.1): they must be there, and may be empty.
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
    "SeriesNumber",
    "InstanceNumber",
)

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")

_MOMENTS = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)


def read_source(path: Path) -> Dataset:
    """The header of a DICOM image without pixels, corrected so that results can inherit from it.

    Absent attributes of type 2 become empty; values that are no age, date, time or sex (PS3.5,
    section 6.2) and spacings that are not positive are dropped; text becomes UTF-8. No value is
    invented. Names and identifiers stay as they are, because a result must match its study.

    Raises:
        CxrlocError: the file is no DICOM file, or lacks an identifier to which results refer.
    """
    try:
        # pydicom need not warn: values that violate the standard are dropped below.
        with pydicom.config.disable_value_validation():
            source = prepared(pydicom.dcmread(path, stop_before_pixels=True, force=True))
    except (OSError, InvalidDicomError, ValueError, KeyError) as error:
        raise CxrlocError(f"{path}: cannot be read as DICOM ({error})") from error
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not source.get(keyword):
            raise CxrlocError(
                f"{path}: {keyword} is missing, so no DICOM result can refer to this image"
            )
    return source


def prepared(source: Dataset) -> Dataset:
    """A copy of a header, corrected so that results can inherit from it; see `read_source`."""
    copy = deepcopy(source)  # setting a value would otherwise change the caller's element
    _to_utf8(copy)
    for element in [each for each in copy if each.VR in _VALID]:
        if element.value and not _VALID[element.VR](str(element.value)):
            del copy[element.tag]
    if copy.get("PatientSex") not in ("M", "F", "O", "", None):
        del copy.PatientSex
    for keyword in _TYPE_2:
        if keyword not in copy:
            setattr(copy, keyword, None if dictionary_VR(keyword) == "IS" else "")
    for keyword in _SPACINGS:
        if keyword in copy and not _is_spacing(copy.get(keyword)):
            del copy[keyword]
    return copy


def _is_date(text: str) -> bool:
    try:
        return len(text) == 8 and bool(datetime.strptime(text, "%Y%m%d"))
    except ValueError:
        return False


_VALID: dict[str, Callable[[str], object]] = {
    "AS": re.compile(r"\d{3}[DWMY]").fullmatch,
    "DA": _is_date,
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?").fullmatch,
}
"""Checks of an age, a date and a time, by value representation (PS3.5, section 6.2)."""


def _to_utf8(copy: Dataset) -> None:
    """Decode all text and set the character set to UTF-8 (ISO_IR 192; PS3.3, C.12.1.1.2).

    highdicom refuses the Japanese sets with code extensions, such as ISO 2022 IR 87.
    """
    copy.decode()
    copy.SpecificCharacterSet = "ISO_IR 192"


def _is_spacing(value: object) -> bool:
    try:
        spacing = [float(each) for each in value]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return False
    return len(spacing) == 2 and min(spacing) > 0


def moment_of(source: Dataset) -> datetime | None:
    """The time of acquisition, or the closest other time in the header; None if it has no time."""
    for date_keyword, time_keyword in _MOMENTS:
        date = re.fullmatch(r"(\d{4})(\d{2})(\d{2})", str(source.get(date_keyword) or ""))
        time = re.match(r"(\d{2})(\d{2})(\d{2})", str(source.get(time_keyword) or ""))
        try:
            if date:
                return datetime(*map(int, date.groups() + (time.groups() if time else ())))  # type: ignore[arg-type]
        except ValueError:
            continue
    return None


def spacing_of(source: Dataset) -> tuple[float, float] | None:
    """Pixel spacing in mm, (row, column); None if the header has none."""
    for keyword in _SPACINGS[:2]:
        if value := source.get(keyword):
            return float(value[0]), float(value[1])
    return None
