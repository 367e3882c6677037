"""Reads boxes from structured reports and segmentations of this package or of other tools."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Bool, Float
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    SegmentationStorage,
)
from skimage.measure import label, regionprops

from cxrloc.findings import CODES, standard_finding
from cxrloc.images.study import read_study
from cxrloc.types import Box, CxrlocError, Detection, Record

REPORTS = (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage)

# Concept names of content items (PS3.16, annex D), as (value, scheme).
_FINDING = ("121071", "DCM")
_MEASUREMENT_GROUP = ("125007", "DCM")
_PROBABILITY = ("122157", "DCM")

_FINDING_OF_CODE = {
    (code.value, code.scheme): finding for finding, codes in CODES.items() for code in codes
}


@dataclass(frozen=True, slots=True)
class ReportedRegion:
    """One region of an image that a report or a segmentation claims for a finding.

    Attributes:
        sop_instance_uid: of the image (Referenced SOP Instance UID, 0008,1155).
        finding: the finding's standard name, or the meaning of its code where it has none.
        box: the rectangle around the region, in pixels of the image.
        probability: None if the report gives no probability.
    """

    sop_instance_uid: str
    finding: str
    box: Box
    probability: float | None


def holds_objects(path: Path) -> bool:
    """Whether a path is a folder, or a file that begins as DICOM files do (PS3.10, section 7.1)."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def detections_in_objects(path: Path, records: Sequence[Record]) -> list[Detection]:
    """The boxes of a report or segmentation, or of all those below a folder, as detections.

    An object names its image by a SOP Instance UID, which the records' DICOM files tell. In a
    folder the segmentations count only if no report has a region, because one tool often writes the
    same regions in both ways; objects of other kinds are passed over there.

    Args:
        path: a DICOM object, or a folder.
        records: the images; a region of another image keeps its UID as `image_id`.

    Raises:
        CxrlocError: a file is no such object, or the folder holds none with a region.
    """
    images = {
        read_study(record.path).image_uid: record.image_id
        for record in records
        if record.path is not None
    }
    regions = _regions_below(path) if path.is_dir() else read_regions(path)
    return [
        Detection(
            image_id=images.get(region.sop_instance_uid, region.sop_instance_uid),
            finding=region.finding,
            box=region.box,
            threshold=None,
            score=region.probability,
        )
        for region in regions
    ]


def _regions_below(folder: Path) -> list[ReportedRegion]:
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.dcm")):
        files.setdefault(_sop_class(path), []).append(path)
    for kinds in (REPORTS, (SegmentationStorage,)):
        paths = [path for kind in kinds for path in files.get(kind, ())]
        if found := [region for path in paths for region in read_regions(path)]:
            return found
    raise CxrlocError(f"{folder}: no structured report (SR) or segmentation (SEG) with a region")


def _sop_class(path: Path) -> str:
    """SOP Class UID (0008,0016); empty for a file that is no DICOM object."""
    try:
        header = pydicom.dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    except (OSError, InvalidDicomError):
        return ""
    return str(header.get("SOPClassUID", ""))


def read_regions(path: Path) -> list[ReportedRegion]:
    """The image regions of a TID 1500 report, or of a segmentation, in the order of the file.

    In a report, each measurement group with spatial coordinates, in the group itself or in one of
    its numbers, is a region; the rectangle around the coordinates is the box. In a segmentation,
    each connected region of each segment is a region.

    Raises:
        CxrlocError: the file is neither a report nor a segmentation, or a group does not name a
            finding or an image.
    """
    try:
        dataset = pydicom.dcmread(path)
    except (OSError, InvalidDicomError) as error:
        raise CxrlocError(f"{path}: cannot be read as DICOM ({error})") from error
    if dataset.get("SOPClassUID") in REPORTS:
        return list(_regions_of_report(path, dataset))
    if dataset.get("SOPClassUID") == SegmentationStorage:
        return list(_regions_of_segmentation(path, dataset))
    raise CxrlocError(
        f"{path}: a {dataset.get('Modality') or 'DICOM'} object holds no regions: give a "
        "structured report (SR) or a segmentation (SEG)"
    )


def _regions_of_report(path: Path, dataset: Dataset) -> Iterator[ReportedRegion]:
    for group in _groups(dataset):
        coordinates = [item for item in _items(group) if item.get("ValueType") == "SCOORD"]
        if not coordinates:
            continue
        finding = next(
            (i for i in group.get("ContentSequence", ()) if _concept(i) == _FINDING), None
        )
        if finding is None or not finding.get("ConceptCodeSequence"):
            raise CxrlocError(
                f"{path}: a measurement group with a region names no finding (121071, DCM)"
            )
        # The same box may be stored in the group and in its number; it counts as one region.
        yield from dict.fromkeys(
            ReportedRegion(
                sop_instance_uid=_image_of(path, item),
                finding=_finding_of(finding.ConceptCodeSequence[0]),
                box=_box_around(path, item),
                probability=_probability_of(group),
            )
            for item in coordinates
        )


def _groups(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        if _concept(child) == _MEASUREMENT_GROUP:
            yield child
        else:
            yield from _groups(child)


def _items(item: Dataset) -> Iterator[Dataset]:
    """Every content item below an item."""
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _items(child)


def _concept(item: Dataset) -> tuple[str, str] | None:
    names = item.get("ConceptNameCodeSequence")
    return _code(names[0]) if names else None


def _code(item: Dataset) -> tuple[str, str]:
    return str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", ""))


def _finding_of(code: Dataset) -> str:
    known = _FINDING_OF_CODE.get(_code(code))
    return known or standard_finding(str(code.get("CodeMeaning", "")))


def _image_of(path: Path, coordinates: Dataset) -> str:
    """The image that coordinates were selected from (PS3.3, C.18.6)."""
    for child in coordinates.get("ContentSequence", ()):
        if child.get("ReferencedSOPSequence"):
            return str(child.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    raise CxrlocError(f"{path}: spatial coordinates name no image (0008,1199)")


def _box_around(path: Path, coordinates: Dataset) -> Box:
    """The rectangle around a graphic of any type (PS3.3, C.18.6.1.2)."""
    data = coordinates.get("GraphicData")
    if not data or len(data) < 4 or len(data) % 2:
        raise CxrlocError(f"{path}: a region needs at least two points in GraphicData (0070,0022)")
    points = np.asarray(data, dtype=float).reshape(-1, 2)
    if coordinates.get("GraphicType") == "CIRCLE":
        points = _circle_extremes(points)
    low, high = points.min(axis=0), points.max(axis=0)
    try:
        return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    except ValueError as error:
        raise CxrlocError(f"{path}: {error}") from error


def _circle_extremes(points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
    """Two corners around a circle that is given by its centre and a point on it."""
    radius = float(np.hypot(*(points[1] - points[0])))
    return np.stack([points[0] - radius, points[0] + radius])


def _probability_of(group: Dataset) -> float | None:
    """The number that is derived as a probability (122157, DCM), or named so; None without one."""
    for item in group.get("ContentSequence", ()):
        if item.get("ValueType") != "NUM" or not item.get("MeasuredValueSequence"):
            continue
        derived = (child.get("ConceptCodeSequence", [Dataset()])[0] for child in _items(item))
        if _concept(item) == _PROBABILITY or any(_code(code) == _PROBABILITY for code in derived):
            return float(item.MeasuredValueSequence[0].NumericValue)
    return None


def _regions_of_segmentation(path: Path, dataset: Dataset) -> Iterator[ReportedRegion]:
    if dataset.get("SegmentationType") != "BINARY":
        raise CxrlocError(f"{path}: regions are read from binary segmentations only (0062,0001)")
    frames = np.asarray(dataset.pixel_array)
    frames = frames[None] if frames.ndim == 2 else frames
    segments = {int(item.SegmentNumber): item for item in dataset.SegmentSequence}
    for mask, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        identification = groups.SegmentIdentificationSequence[0]
        segment = segments[int(identification.ReferencedSegmentNumber)]
        finding = _finding_of(segment.SegmentedPropertyTypeCodeSequence[0])
        image = _source_of_frame(path, dataset, groups)
        for box in _boxes_of_mask(mask > 0):
            yield ReportedRegion(image, finding, box, None)


def _source_of_frame(path: Path, dataset: Dataset, groups: Dataset) -> str:
    """The source image of a frame, from the frame's derivation, else the object's only image."""
    for each in (groups, dataset.SharedFunctionalGroupsSequence[0]):
        for derivation in each.get("DerivationImageSequence", ()):
            for image in derivation.get("SourceImageSequence", ()):
                return str(image.ReferencedSOPInstanceUID)
    images = [
        item.ReferencedSOPInstanceUID
        for series in dataset.get("ReferencedSeriesSequence", ())
        for item in series.get("ReferencedInstanceSequence", ())
    ]
    if len(images) != 1:
        raise CxrlocError(f"{path}: a frame of the segmentation names no source image (0008,2112)")
    return str(images[0])


def _boxes_of_mask(mask: Bool[np.ndarray, "row col"]) -> Iterator[Box]:
    for region in regionprops(label(mask, connectivity=1)):
        y_min, x_min, y_max, x_max = region.bbox
        yield Box(float(x_min), float(y_min), float(x_max), float(y_max))
