"""Reads the facts about a radiograph from its DICOM header, and warns of unusual ones."""

import re

from pydicom import Dataset
from pydicom.tag import Tag

from cxrloc.images.dicom_values import code_of, known_code, numbers, tag_of, texts
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
    "PresentationIntentType",
    "PixelAspectRatio",
    "NominalScannedPixelSpacing",
    "PerFrameFunctionalGroupsSequence",
    "SharedFunctionalGroupsSequence",
)
"""Tags that are read beside those of the pixels; no other tag, such as a name or id, is read."""

FUNCTIONAL_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
FRAME_VALUES = ("FrameVOILUTSequence", "PixelValueTransformationSequence", "PixelMeasuresSequence")
"""Where an enhanced object keeps windows, rescaling and spacing of its frames (PS3.3 C.7.6.16)."""

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

FOR_PROCESSING_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.1.3.1",
)
"""SOP classes of X-ray images For Processing (digital, mammography, intra-oral)."""

OTHER_MODALITIES = (
    "CT DG ECG ES IO IVOCT IVUS KO LS MG MR NM OCT OP OPT OT PR PT PX RF RG RTDOSE RTIMAGE RTPLAN "
    "RTSTRUCT SC SEG SM SR TG US XA XC"
)
OTHER_BODY_PARTS = (
    "ABDOMEN ANKLE ARM BREAST CLAVICLE CSPINE ELBOW EXTREMITY FEMUR FINGER FOOT FOREARM HAND HEAD "
    "HIP HUMERUS JAW KNEE LEG LSPINE NECK PELVIS RIB RIBCAGE RIBS SHOULDER SKULL SPINE SSPINE "
    "STERNUM TSPINE WHOLEBODY WRIST"
)
"""Values that are quoted in warnings; anything else may be misplaced text, such as a name."""

UNEQUAL = 0.01
"""Pixels are called square when their sides differ by no more than this share."""

CHEST_WORDS = ("CHEST", "THORAX")
RADIOGRAPH_MODALITIES = ("CR", "DX")

NO_MODALITY_OF_ITS_OWN = ("", "OT", "SC", "RG")
"""Modalities that a radiograph may have after a conversion or as a scanned film (PS3.3 C.7.3.1)."""

YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def take_first_frame(header: Dataset) -> tuple[str, ...]:
    """Give the header those values of the first frame that stand in functional groups.

    Values that the header has itself are kept. Groups that were skipped as too large give a warning
    (`cxrloc.images.dicom_file.DEFERRED_BYTES`).

    >>> header, groups, window = Dataset(), Dataset(), Dataset()
    >>> window.WindowCenter = 2000
    >>> groups.FrameVOILUTSequence = [window]
    >>> header.SharedFunctionalGroupsSequence = [groups]
    >>> take_first_frame(header)
    ()
    >>> float(header.WindowCenter)
    2000.0
    """
    # pydicom keeps a value that it skipped as None, and any use of it is an error.
    read = {element.tag for element in header.values() if element.value is not None}
    for group in filter(lambda name: Tag(name) in read, FUNCTIONAL_GROUPS):
        for frame in header[group].value[:1]:
            for values in (item for name in FRAME_VALUES for item in (frame.get(name) or ())[:1]):
                for tag in values.keys() - header.keys():
                    header[tag] = values.get_item(tag)
    skipped = [name for name in FUNCTIONAL_GROUPS if name in header and Tag(name) not in read]
    return tuple(f"{tag_of(name)} is too large, and is not read" for name in skipped)


def view_of(dataset: Dataset) -> View | None:
    """The projection: View Position (0018,5101), else View Code Sequence (0054,0220)."""
    view = VIEW_POSITIONS.get(code_of(dataset, "ViewPosition"))
    codes = (code_of(item, "CodeValue") for item in dataset.get("ViewCodeSequence") or ())
    return view or next((VIEW_CODES[code] for code in codes if code in VIEW_CODES), None)


def spacing_mm_of(dataset: Dataset) -> tuple[float, float] | None:
    """Pixel Spacing (0028,0030), else Imager Pixel Spacing (0018,1164); 0 is unknown.

    PS3.3 10.7.1.3: Pixel Spacing is the calibrated one where both are given.
    """
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        spacing = numbers(dataset, keyword)
        if len(spacing) == 2 and all(side > 0 for side in spacing):
            return spacing[0], spacing[1]
    return None


def age_years_of(dataset: Dataset) -> float | None:
    """Patient's Age (0010,1010), such as 064Y or 018M; a number without unit is in years."""
    found = re.fullmatch(r"0*(\d{1,3})([YMWD]?)", code_of(dataset, "PatientAge"))
    return int(found[1]) * YEARS_PER_UNIT[found[2] or "Y"] if found else None


def sex_of(dataset: Dataset) -> Sex | None:
    """Patient's Sex (0010,0040); O (other) is None."""
    value = code_of(dataset, "PatientSex")
    return Sex(value) if value in tuple(Sex) else None


def laterality_of(dataset: Dataset) -> str:
    """Image Laterality (0020,0062), else Laterality (0020,0060): "L", "R" or empty."""
    values = (code_of(dataset, "ImageLaterality"), code_of(dataset, "Laterality"))
    return next((value for value in values if value in ("L", "R")), "")


def patient_orientation_of(dataset: Dataset) -> tuple[str, ...]:
    """Patient Orientation (0020,0020): directions along rows and down columns.

    Empty where a value is no direction; it may be misplaced text, such as a name.
    """
    found = tuple(text.upper() for text in texts(dataset, "PatientOrientation"))
    return found if all(re.fullmatch("[LRAPHF]{1,3}", each) for each in found) else ()


def header_warnings(dataset: Dataset) -> tuple[str, ...]:
    """Warnings about a file's header that a reader of its results should know.

    >>> header = Dataset()
    >>> header.Modality, header.BodyPartExamined, header.BurnedInAnnotation = "CT", "CHEST", "NO"
    >>> header_warnings(header)
    ('Modality (0008,0060) is CT, not CR or DX',)
    """
    frames = numbers(dataset, "NumberOfFrames")
    checks = (
        (
            code_of(dataset, "BurnedInAnnotation") == "YES",
            "BurnedInAnnotation (0028,0301) is YES: text in the pixels may name the patient",
        ),
        (
            bool(frames) and frames[0] > 1,
            "NumberOfFrames (0028,0008) is above 1: the first frame is read",
        ),
        (
            code_of(dataset, "PresentationIntentType") == "FOR PROCESSING"
            or code_of(dataset, "SOPClassUID") in FOR_PROCESSING_CLASSES,
            "the image is FOR PROCESSING (0008,0068): raw values of the detector, which are not "
            "meant to be looked at",
        ),
    )
    applicable = tuple(warning for applies, warning in checks if applies)
    subject = (*_modality_warnings(dataset), *_body_part_warnings(dataset))
    return (*subject, *applicable, *_shape_warnings(dataset), *_orientation_warnings(dataset))


def not_a_chest(dataset: Dataset) -> tuple[str, ...]:
    """Those of `header_warnings` that contradict a chest radiograph: modality and body part.

    A modality that is missing, or that a converted radiograph may have, contradicts nothing.
    """
    known = code_of(dataset, "Modality") not in NO_MODALITY_OF_ITS_OWN
    return (*(_modality_warnings(dataset) if known else ()), *_body_part_warnings(dataset))


def _modality_warnings(dataset: Dataset) -> tuple[str, ...]:
    modality = code_of(dataset, "Modality")
    if modality in RADIOGRAPH_MODALITIES:
        return ()
    return (f"Modality (0008,0060) is {_quoted(modality, OTHER_MODALITIES)}, not CR or DX",)


def _body_part_warnings(dataset: Dataset) -> tuple[str, ...]:
    part = code_of(dataset, "BodyPartExamined")
    if not part or any(word in part for word in CHEST_WORDS):
        return ()
    return (f"BodyPartExamined (0018,0015) is {_quoted(part, OTHER_BODY_PARTS)}, not CHEST",)


def _quoted(code: str, known: str) -> str:
    """A code for a message: the code itself if it is known, else a phrase that says it is not."""
    return known_code(code, known.split())


def _shape_warnings(dataset: Dataset) -> tuple[str, ...]:
    """A warning where pixels are not square, so that the image looks squeezed.

    Pixel Aspect Ratio (PS3.3 C.7.6.3.1.7) and all spacings are (vertical, horizontal).
    """
    for keyword in (
        "PixelSpacing",
        "ImagerPixelSpacing",
        "NominalScannedPixelSpacing",
        "PixelAspectRatio",
    ):
        sides = numbers(dataset, keyword)
        if len(sides) == 2 and all(side > 0 for side in sides):
            if abs(sides[0] / sides[1] - 1) <= UNEQUAL:
                return ()
            return (
                f"{tag_of(keyword)} is {sides[0]:g} down and {sides[1]:g} across: the pixels are "
                "not square, and the image is analysed as it is stored",
            )
    return ()


def _orientation_warnings(dataset: Dataset) -> tuple[str, ...]:
    """A warning where an image does not stand upright, or is mirrored (PS3.3 C.7.6.1.1.1).

    Upright, rows run to the patient's left (front or back in a lateral) and columns to the feet.
    """
    directions = patient_orientation_of(dataset)
    if len(directions) != 2:
        return ()
    across, down = directions[0][0], directions[1][0]
    if down == "F" and across != "R":
        return ()
    how = {"F": "is mirrored", "H": "stands on its head"}.get(down, "lies on its side")
    named = "\\".join(directions)
    return (
        f"PatientOrientation (0020,0020) is {named}, so the image {how}: it is analysed as it is "
        "stored",
    )
