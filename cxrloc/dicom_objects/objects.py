"""The kinds of objects that a result can be written as."""

from collections.abc import Callable

from PIL.Image import Image
from pydicom import Dataset

from cxrloc.dicom_objects.presentation_state import presentation_state
from cxrloc.dicom_objects.result import ImageResult
from cxrloc.dicom_objects.secondary_capture import secondary_capture
from cxrloc.dicom_objects.segmentation import fractional_segmentation, segmentation
from cxrloc.dicom_objects.structured_report import finding_report, region_report

OBJECTS: dict[str, Callable[[ImageResult, Image], dict[str, Dataset | None]]] = {
    "sr": lambda result, _: {
        "sr-regions": region_report(result),
        "sr-findings": finding_report(result),
    },
    "gsps": lambda result, _: {"gsps": presentation_state(result)},
    "sc": lambda result, picture: {"sc": secondary_capture(result, picture)},
    "seg": lambda result, _: {"seg": segmentation(result)},
    "fractional-seg": lambda result, _: {"fractional-seg": fractional_segmentation(result)},
}
"""Kind of object, as `--write` names it -> the objects of a result and its picture, by the ending
of their file names; None where the result has nothing that such an object could hold."""
