"""Names of images and patients: which names are allowed, and which mean the same patient."""

import re
import unicodedata
from collections.abc import Iterable

from cxrloc.errors import CxrlocError

CHESTXRAY14_NAME = re.compile(r"\d{8}_\d{3}")
"""Names of images of ChestX-ray14: patient, underscore, number of the visit."""

IMAGE_NAMES = {"ChestX-ray14": CHESTXRAY14_NAME}
"""The pattern of image names in a data set, by the data set's name."""

_LONGEST = 200  # bytes of an id; outputs add suffixes, and file systems allow 255
_NUMBER = re.compile(
    r"(?:patient|subject|subj|sub|pat|pt|p|s|id|no\.?|#)?[\s_-]*0*(\d+)(?:[.,]0+)?"
)
_POWER = re.compile(r"\d(?:\.(?P<decimals>\d+))?e\+(?P<exponent>\d{1,2})")


def checked_id(where: str, name: str, what: str = "an image") -> str:
    r"""The name itself, once it is checked that a file of results can have this name.

    Args:
        where: names the file or row in errors.
        name: of an image, a patient or a study.
        what: says which of these, in errors.

    Raises:
        CxrlocError: the name is empty or longer than 200 bytes, has a slash, backslash or control
            character, or is "." or "..".

    >>> checked_id("row 2", "1.2.840.113619")
    '1.2.840.113619'
    """
    bad = "/" in name or "\\" in name or not name.isprintable() or not name.strip(".")
    if bad or len(name.encode(errors="replace")) > _LONGEST:
        raise CxrlocError(
            f"{where}: {name[:60]!r} cannot name {what}: a name has 1 to {_LONGEST} bytes, no "
            "slash, no backslash and no control character, and is not '..'"
        )
    return name


def patient_key(patient_id: str) -> str:
    """A patient's id without differences of spelling, only for comparing and joining tables.

    Numbers lose their leading zeros, the `.0` that pandas appends, prefixes such as `p`, `s`,
    `sub-`, `subject` and `patient`, and the apostrophe that marks text in a spreadsheet. Other ids
    lose outer blanks.

    >>> [patient_key(text) for text in ("1", "1.0", "00000001", "1 ", "patient1", "p1", "A1")]
    ['1', '1', '1', '1', '1', '1', 'A1']
    """
    text = unicodedata.normalize("NFKC", patient_id).strip("\ufeff\u200b \t\n\r'")
    if match := _NUMBER.fullmatch(text.lower()):
        return match[1]
    if _POWER.fullmatch(text.lower()) and float(text).is_integer():
        return str(int(float(text)))
    return text


def patient_in(image_id: str) -> str | None:
    """The patient in an image name of ChestX-ray14, written as in its column `Patient ID`, or None.

    >>> patient_in("00000013_005")
    '13'
    """
    number = image_id.split("_")[0]
    return str(int(number)) if number.isascii() and number.isdecimal() else None


def may_be_seen(image_id: str, data_sets: Iterable[str]) -> bool:
    """Whether an image's name shows that a model may have been trained on the image.

    This is needed for published weights whose list of training images is lost. Only the data sets
    (`data_sets`) from which these images may have come are known.

    >>> may_be_seen("00000013_005", ["ChestX-ray14"]), may_be_seen("view1", ["ChestX-ray14"])
    (True, False)
    """
    patterns = (IMAGE_NAMES[name] for name in data_sets if name in IMAGE_NAMES)
    return any(pattern.fullmatch(image_id) for pattern in patterns)


def refuse_equal_patients(where: str, patient_ids: Iterable[str]) -> None:
    """Raise an error if two ids of one table are written differently and mean the same patient.

    A number that a spreadsheet rounded ("1.23457E+07") may stand for several patients and is an
    error too.

    Raises:
        CxrlocError: names the two, or the rounded one.
    """
    written: dict[str, str] = {}
    for patient_id in dict.fromkeys(patient_ids):
        power = _POWER.fullmatch(patient_id.strip().lower())
        # With fewer decimals than the exponent, digits can be lost. Spreadsheets, which write a
        # capital E, keep five decimals or, in a narrow column, fewer; R writes all digits.
        kept = 1 if "E" in patient_id else 5
        if power and kept <= len(power["decimals"] or "") < int(power["exponent"]):
            raise CxrlocError(
                f"{where}: the patient {patient_id!r} is a number that a spreadsheet rounded, so "
                "it may stand for several; save the column as text"
            )
        other = written.setdefault(patient_key(patient_id), patient_id)
        if other != patient_id:
            raise CxrlocError(
                f"{where}: the patients {other!r} and {patient_id!r} are one patient when numbers "
                "are compared; write every patient in one way"
            )
