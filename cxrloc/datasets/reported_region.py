"""A region of an image that a DICOM object names a finding for."""

from dataclasses import dataclass, field

from pydicom import Dataset

from cxrloc.finding_codes import CODES
from cxrloc.findings import standard_finding
from cxrloc.types import Box, Mask, Outline

_FINDING_OF_CODE = {
    (code.value, code.scheme): finding for finding, codes in CODES.items() for code in codes
}


@dataclass(frozen=True, slots=True)
class ReportedRegion:
    """One region of an image, out of a structured report or a segmentation.

    Attributes:
        sop_instance_uid: of the image (Referenced SOP Instance UID, 0008,1155).
        finding: the finding's standard name, or the meaning of its code where it has none.
        box: the rectangle around the region, in pixels of the image.
        shape: the region itself; None if it is the rectangle.
        probability: as the object gives it, which may be above 1; a share where it is in percent;
            None if the object gives none.
        where: the file, for error messages.
    """

    sop_instance_uid: str
    finding: str
    box: Box
    shape: Outline | Mask | None = None
    probability: float | None = None
    where: str = field(default="", compare=False)


def code_of_item(item: Dataset) -> tuple[str, str]:
    """Value and scheme of an item of a code sequence (PS3.3, section 8.1 and 8.2)."""
    value = item.get("CodeValue") or item.get("LongCodeValue") or ""
    return str(value), str(item.get("CodingSchemeDesignator", ""))


def finding_of_item(item: Dataset) -> str:
    """The finding of a code: by its value if that is known, otherwise by its meaning."""
    return _FINDING_OF_CODE.get(code_of_item(item)) or standard_finding(
        str(item.get("CodeMeaning", ""))
    )
