"""What a DICOM header says of the radiograph, and what a reader should be warned of."""

import re

from pydicom import Dataset

from cxrloc.images.dicom_rendering import numbers
from cxrloc.types import Sex, View

HEADER_TAGS = (
    "SpecificCharacterSet",
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "ViewCodeSequence",
    "PatientOrientation",
    "ImageLaterality",
    "Laterality",
    "PatientAge",
    "PatientSex",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "BurnedInAnnotation",
)
"""Tags beside those of the pixels: nothing else is read, so no name and no id can get out."""

VIEW_POSITIONS = {
    "PA": View.PA,
    "AP": View.AP,
    "LL": View.LATERAL,
    "RL": View.LATERAL,
    "LAT": View.LATERAL,
    "LATERAL": View.LATERAL,
}
"""View Position (0018,5101); LL and RL are its defined terms for laterals."""

VIEW_CODES = {
    "272479007": View.PA,
    "R-10214": View.PA,
    "399348003": View.AP,
    "R-10206": View.AP,
    "399067008": View.LATERAL,
    "R-102CD": View.LATERAL,
    "399173006": View.LATERAL,
    "R-10236": View.LATERAL,
    "399198007": View.LATERAL,
    "R-10232": View.LATERAL,
}
"""View Code Sequence (0054,0220): PS3.16 context group 4010, SNOMED CT and the older SRT codes."""

CHEST_WORDS = ("CHEST", "THORAX")
RADIOGRAPH_MODALITIES = ("CR", "DX")
YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def view_of(dataset: Dataset) -> View | None:
    """The projection: View Position (0018,5101), else View Code Sequence (0054,0220)."""
    view = VIEW_POSITIONS.get(_text(dataset, "ViewPosition"))
    codes = (_text(item, "CodeValue") for item in dataset.get("ViewCodeSequence") or ())
    return view or next((VIEW_CODES[code] for code in codes if code in VIEW_CODES), None)


def spacing_mm_of(dataset: Dataset) -> tuple[float, float] | None:
    """Pixel Spacing (0028,0030), else Imager Pixel Spacing (0018,1164); 0 is none.

    PS3.3 10.7.1.3: Pixel Spacing is the calibrated one where both are given.
    """
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        spacing = numbers(dataset, keyword)
        if len(spacing) == 2 and min(spacing) > 0:
            return spacing[0], spacing[1]
    return None


def age_years_of(dataset: Dataset) -> float | None:
    """Patient's Age (0010,1010), such as 064Y or 018M; a number without unit is in years."""
    found = re.fullmatch(r"0*(\d{1,3})([YMWD]?)", _text(dataset, "PatientAge"))
    return int(found[1]) * YEARS_PER_UNIT[found[2] or "Y"] if found else None


def sex_of(dataset: Dataset) -> Sex | None:
    """Patient's Sex (0010,0040); O (other) is None."""
    value = _text(dataset, "PatientSex")
    return Sex(value) if value in tuple(Sex) else None


def laterality_of(dataset: Dataset) -> str:
    """Image Laterality (0020,0062), else Laterality (0020,0060): "L", "R" or empty."""
    values = (_text(dataset, "ImageLaterality"), _text(dataset, "Laterality"))
    return next((value for value in values if value in ("L", "R")), "")


def patient_orientation_of(dataset: Dataset) -> tuple[str, ...]:
    """Patient Orientation (0020,0020): directions along rows and down columns."""
    value = dataset.get("PatientOrientation") or ()
    return tuple(map(str, (value,) if isinstance(value, str) else value))


def header_warnings(dataset: Dataset) -> tuple[str, ...]:
    """What a reader of any result should know of the file, beside the pixels.

    >>> header = Dataset()
    >>> header.Modality, header.BodyPartExamined, header.BurnedInAnnotation = "CT", "CHEST", "NO"
    >>> header_warnings(header)
    ('Modality (0008,0060) is CT, not CR or DX',)
    """
    modality, part = _text(dataset, "Modality"), _text(dataset, "BodyPartExamined")
    frames = numbers(dataset, "NumberOfFrames")
    checks = (
        (
            modality not in RADIOGRAPH_MODALITIES,
            f"Modality (0008,0060) is {modality or 'missing'}, not CR or DX",
        ),
        (
            bool(part) and not any(word in part for word in CHEST_WORDS),
            f"BodyPartExamined (0018,0015) is {part}, not CHEST",
        ),
        (
            _text(dataset, "BurnedInAnnotation") == "YES",
            "BurnedInAnnotation (0028,0301) is YES: text in the pixels may name the patient",
        ),
        (
            bool(frames) and frames[0] > 1,
            "NumberOfFrames (0028,0008) is above 1: the first frame is read",
        ),
    )
    return tuple(warning for applies, warning in checks if applies)


def _text(dataset: Dataset, keyword: str) -> str:
    """A tag's text on one line in upper case, empty where missing."""
    return " ".join(str(dataset.get(keyword) or "").upper().split())
