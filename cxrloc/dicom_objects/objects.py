"""The kinds of DICOM objects as which a result can be written."""

from collections.abc import Callable

from PIL.Image import Image
from pydicom import Dataset

from cxrloc.dicom_objects.presentation_state import presentation_state
from cxrloc.dicom_objects.result import DicomResult
from cxrloc.dicom_objects.secondary_capture import secondary_capture
from cxrloc.dicom_objects.segmentation import fractional_segmentation, segmentation
from cxrloc.dicom_objects.stamp import stamped
from cxrloc.dicom_objects.structured_report import finding_report, region_report

Draw = Callable[[], Image]
"""A function that draws the picture of a result; it is called only if an object needs it."""

OBJECTS: dict[str, Callable[[DicomResult, Draw], Dataset | None]] = {
    "sr-findings": lambda result, _: finding_report(result),
    "sr-regions": lambda result, _: region_report(result),
    "gsps": lambda result, _: presentation_state(result),
    "sc": lambda result, draw: secondary_capture(result, draw()),
    "seg": lambda result, _: segmentation(result),
    "fractional-seg": lambda result, _: fractional_segmentation(result),
}
"""Writers by kind of object: they make the object of a result, or None if the result has no content
for it, for example no box for a presentation state."""


def object_of(kind: str, result: DicomResult, draw: Draw) -> Dataset | None:
    """The object of one kind, with names, dates and references; None if it would be empty."""
    encoded = OBJECTS[kind](result, draw)
    return None if encoded is None else stamped(encoded, result)
