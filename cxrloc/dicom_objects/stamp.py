"""What all objects share: manufacturer, series numbers, dates, references to the image."""

from copy import deepcopy
from typing import Any

from pydicom import Dataset, uid
from pydicom.dataelem import RawDataElement

from cxrloc.dicom_objects.result import Algorithm, DicomResult

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


# SOP classes of radiographs that may hold several frames. Only references to these name a frame.
_OF_SEVERAL_FRAMES = (
    uid.EnhancedXAImageStorage,
    uid.EnhancedXRFImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    uid.XRayAngiographicImageStorage,
    uid.XRayRadiofluoroscopicImageStorage,
)

# Sequences that refer to images with the Image SOP Instance Reference Macro (PS3.3, table 10-3),
# which may name a frame.
_IMAGE_REFERENCES = ("ReferencedSOPSequence", "ReferencedImageSequence", "SourceImageSequence")


def stamped(dataset: Dataset, result: DicomResult) -> Dataset:
    """The object with the names and references of the image, and with the result's date and time.

    The date and time replace those of the clock, so that a second run is equal. Times have whole
    seconds. Dates that are inherited from the study do not change.
    """
    source = result.source
    for keyword in _NAMES:
        setattr(dataset, keyword, source.get(keyword))
    correct_references(dataset, source)
    date, time = result.moment.strftime("%Y%m%d"), result.moment.strftime("%H%M%S")
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


_NAMES = ("PatientName", "ReferringPhysicianName")

STAND_IN_CLASS = uid.SecondaryCaptureImageStorage
"""The SOP class of all images for highdicom, which refuses references to a vendor's own class."""


def stand_in(source: Dataset) -> Dataset:
    """The header of an image as a secondary capture of nobody, which highdicom takes of any image.

    Of other SOP classes highdicom wants attributes that no result needs, such as the functional
    groups of an image of several frames, and it quotes names of one component in its warnings.
    `stamped` writes the class and the names of the image into the object.
    """
    copy = deepcopy(source)
    copy.SOPClassUID = STAND_IN_CLASS
    for keyword in _NAMES:
        setattr(copy, keyword, "")
    return copy


def correct_references(dataset: Dataset, source: Dataset, of_frames: bool = True) -> None:
    """Set the SOP class in all references to an image, and the first frame, which was read.

    Args:
        dataset: the object. Elements of it that are still encoded, as of a copied group, keep the
            references that they have.
        source: header of the image.
        of_frames: whether references of this data set may name a frame.
    """
    several = source.SOPClassUID in _OF_SEVERAL_FRAMES
    for element in dataset.elements():
        if isinstance(element, RawDataElement) or element.VR != "SQ":
            continue
        # The list of evidence names instances only (PS3.3, table C.17-3).
        frames = of_frames and element.keyword != "CurrentRequestedProcedureEvidenceSequence"
        for item in element.value:
            if item.get("ReferencedSOPInstanceUID") == source.SOPInstanceUID:
                item.ReferencedSOPClassUID = source.SOPClassUID
                if several and frames and element.keyword in _IMAGE_REFERENCES:
                    item.ReferencedFrameNumber = 1
            correct_references(item, source, frames)
