"""Attributes that all objects share: manufacturer, series numbers, and dates not from the clock."""

from datetime import datetime
from typing import Any

from pydicom import Dataset

from cxrloc.dicom_objects.result import Algorithm

MANUFACTURER = "cxrloc"

SERIES_NUMBERS = {
    "sr-regions": 9901,
    "sr-findings": 9902,
    "gsps": 9903,
    "sc": 9904,
    "seg": 9905,
    "fractional-seg": 9906,
}
"""Series Number (0020,0011) by kind of object: far above those of a radiography device."""


def equipment_of(algorithm: Algorithm) -> dict[str, Any]:
    """The model as the device that made an object (PS3.3, C.7.5.2), as highdicom names its parts.

    Long Strings (LO) have at most 64 characters (PS3.5, section 6.2).
    """
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": algorithm.name[:64],
        "software_versions": algorithm.version,
        "device_serial_number": algorithm.sha256[:16],
    }


_DATES = ("InstanceCreationDate", "ContentDate", "PresentationCreationDate", "SeriesDate")
_TIMES = ("InstanceCreationTime", "ContentTime", "PresentationCreationTime", "SeriesTime")
_BOTH = ("DateOfSecondaryCapture", "TimeOfSecondaryCapture")


def stamped(dataset: Dataset, moment: datetime) -> Dataset:
    """The object with this date and time in place of the clock's, so that a second run is equal.

    Times have whole seconds. Dates that are inherited from the study do not change.
    """
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    for keyword in (*_DATES, _BOTH[0]):
        if keyword in dataset:
            setattr(dataset, keyword, date)
    for keyword in (*_TIMES, _BOTH[1]):
        if keyword in dataset:
            setattr(dataset, keyword, time)
    # Contributing equipment has a date and time of its own (PS3.3, C.12.1.1.5).
    for item in dataset.get("ContributingEquipmentSequence", ()):
        if "ContributionDateTime" in item:
            item.ContributionDateTime = f"{date}{time}"
    return dataset
