"""Reads the regions of segmentations (PS3.3, A.51 and A.51.5)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from pydicom import Dataset
from pydicom.uid import UID, SegmentationStorage
from skimage.measure import label, regionprops

from cxrloc.datasets.reported_region import ReportedRegion, finding_of_item
from cxrloc.datasets.shapes import mask_of_pixels
from cxrloc.errors import CxrlocError
from cxrloc.findings import standard_finding
from cxrloc.images.dicom_values import tag_of
from cxrloc.types import Box

# Label Map Segmentation Storage is younger than the table of UIDs in pydicom.
SEGMENTATIONS = (SegmentationStorage, UID("1.2.840.10008.5.1.4.1.1.66.7"))

NEEDED = ("SegmentSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")

BACKGROUND = 0  # segment number in label maps (PS3.3, C.8.20.2.3)


def regions_of_segmentation(path: Path, dataset: Dataset) -> Iterator[ReportedRegion]:
    """Each connected region of each segment, with its mask over the whole image.

    Raises:
        CxrlocError: the segmentation is fractional, its pixels cannot be read, a frame does not
            name its image, a segment with a region does not name its finding, or the sequences that
            describe segments and frames are missing.
    """
    kind = dataset.get("SegmentationType")
    if kind not in ("BINARY", "LABELMAP"):
        raise CxrlocError(
            f"{path}: regions are read from binary segmentations and label maps, and not from "
            f"{kind or 'others'} ones (0062,0001)"
        )
    if missing := [keyword for keyword in NEEDED if not dataset.get(keyword)]:
        raise CxrlocError(f"{path}: the segmentation has no {tag_of(missing[0])}")
    try:
        frames = np.asarray(dataset.pixel_array)
    except Exception as error:  # whatever a decoder raises on broken pixels
        raise CxrlocError(f"{path}: its pixels cannot be read ({error})") from error
    frames = frames[None] if frames.ndim == 2 else frames
    segments = {int(item.SegmentNumber): item for item in dataset.SegmentSequence}
    for frame, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        image = _source_of_frame(path, dataset, groups)
        if kind == "LABELMAP":
            masks = {number: frame == number for number in segments if number != BACKGROUND}
        else:
            masks = {_segment_of_frame(dataset, groups): frame > 0}
        for number, mask in masks.items():
            for box, region in _regions_of_mask(mask):
                finding = _finding_of_segment(path, segments[number])
                yield ReportedRegion(image, finding, box, mask_of_pixels(region), where=str(path))


def _finding_of_segment(path: Path, segment: Dataset) -> str:
    """The finding of a segment: its property type's code, else its label."""
    for code in segment.get("SegmentedPropertyTypeCodeSequence") or ():
        if finding := finding_of_item(code):
            return finding
    if text := str(segment.get("SegmentLabel") or "").strip():
        return standard_finding(text)
    raise CxrlocError(
        f"{path}: segment {segment.SegmentNumber} has a region and names no finding: neither "
        f"{tag_of('SegmentedPropertyTypeCodeSequence')} nor {tag_of('SegmentLabel')}"
    )


def _segment_of_frame(dataset: Dataset, groups: Dataset) -> int:
    """The segment of a frame; a value that all frames share is stored once."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    holder = groups if "SegmentIdentificationSequence" in groups else shared
    return int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


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


def _regions_of_mask(
    mask: Bool[np.ndarray, "row col"],
) -> Iterator[tuple[Box, Bool[np.ndarray, "row col"]]]:
    """Each connected region of a mask, and the box around it."""
    regions = label(mask, connectivity=1)
    for region in regionprops(regions):
        y_min, x_min, y_max, x_max = region.bbox
        box = Box(float(x_min), float(y_min), float(x_max), float(y_max))
        yield box, regions == region.label
