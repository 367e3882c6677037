"""The thresholded regions as a binary segmentation, and the heatmaps as a fractional one."""

from collections.abc import Sequence

import highdicom
import numpy as np
import torch
from highdicom import seg
from jaxtyping import Bool, Float
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from scipy import ndimage
from skimage.measure import label

from cxrloc.dicom_objects.codes import coded_finding
from cxrloc.dicom_objects.result import (
    NOT_FOR_DIAGNOSIS,
    DicomResult,
    derived_uid,
    identity_of,
    region_names,
)
from cxrloc.dicom_objects.stamp import SERIES_NUMBERS, equipment_of, stand_in
from cxrloc.images.dicom_header import spacing_mm_of
from cxrloc.images.geometry import inverse
from cxrloc.localization.regions import FULL_SCALE, scale_maps
from cxrloc.localization.sampling import sample
from cxrloc.types import Box, Detection, Heatmaps

NOMINAL = "nominal plane orientation, no patient coordinates"
"""Part of the description: a radiograph has no position in the patient's space."""


def segmentation(result: DicomResult) -> Dataset | None:
    """A segmentation with one binary segment per box: the region of the map in the box.

    Segments have the same tracking identifiers as the boxes in the reports. None if the result has
    no box or no map.
    """
    if result.heatmaps is None:
        return None
    surfaces = surfaces_of(result.heatmaps)
    masks, descriptions = [], []
    for each, detection, identifier, uid in region_names(result):
        if each.finding not in surfaces or detection.threshold is None:
            continue
        mask = region_mask(surfaces[each.finding], detection)
        if mask.any():
            masks.append(mask)
            threshold = f"{each.finding}, map above {detection.threshold:g}"
            descriptions.append(
                _segment(result, len(masks), threshold, each.finding, identifier, uid)
            )
    if not masks:
        return None
    # A view of contiguous masks: highdicom reads one segment after another.
    return _object(result, "seg", np.moveaxis(np.stack(masks), 0, -1)[None], descriptions)


def fractional_segmentation(result: DicomResult) -> Dataset | None:
    """A segmentation with one fractional segment per finding: the map, scaled to its own range.

    The range is from the map's minimum to its maximum. None if the result has no map that varies.
    """
    if result.heatmaps is None:
        return None
    surfaces = surfaces_of(result.heatmaps)
    findings = [each.finding for each in result.findings if each.finding in surfaces]
    if not findings:
        return None
    descriptions = [
        _segment(
            result,
            number,
            f"{finding}, heatmap",
            finding,
            f"{finding} heatmap",
            derived_uid(result, "heatmap", finding),
        )
        for number, finding in enumerate(findings, 1)
    ]
    shares = np.stack([surfaces[finding] / FULL_SCALE for finding in findings], axis=-1)
    return _object(result, "fractional-seg", shares[None], descriptions)


def surfaces_of(heatmaps: Heatmaps) -> dict[str, Float[np.ndarray, "image_row image_col"]]:
    """Each finding's bilinear surface at the pixel centres of the source image, 0 to 255.

    A map without any variation is left out, as it has no region.
    """
    scaled, kept = scale_maps(heatmaps.scores)
    if not len(kept):
        return {}
    planes = torch.from_numpy(np.ascontiguousarray(scaled)).float()[None]  # 1 finding row col
    rows, columns = heatmaps.image_rows, heatmaps.image_columns
    dense = sample(planes, inverse(heatmaps.to_image), rows, columns).planes[0].numpy()
    return {heatmaps.findings[index]: dense[k] for k, index in enumerate(kept)}


def region_mask(
    surface: Float[np.ndarray, "row col"], detection: Detection
) -> Bool[np.ndarray, "row col"]:
    """The pixels of the region that a detection's box encloses.

    This is the connected region above the threshold that covers most of the box's sides. A region
    that is thinner than a pixel may contain no pixel centre; then the mask is empty.
    """
    mask = np.zeros(surface.shape, dtype=bool)
    window = _pixels_of(detection.box, *surface.shape)
    regions = label(surface[window] > (detection.threshold or 0.0), connectivity=1)
    if regions.max():
        mask[window] = regions == _widest(regions)
    return mask


def _pixels_of(box: Box, rows: int, columns: int) -> tuple[slice, slice]:
    top, left = max(0, int(np.floor(box.y_min))), max(0, int(np.floor(box.x_min)))
    bottom, right = min(rows, int(np.ceil(box.y_max))), min(columns, int(np.ceil(box.x_max)))
    return slice(top, bottom), slice(left, right)


def _widest(regions: np.ndarray) -> int:
    """The region whose own box is the largest, because the detection's box was drawn around it."""
    extents = [
        sum(side.stop - side.start for side in sides) for sides in ndimage.find_objects(regions)
    ]
    return 1 + int(np.argmax(extents))


def _segment(
    result: DicomResult, number: int, text: str, finding: str, identifier: str, uid: str
) -> seg.SegmentDescription:
    return seg.SegmentDescription(
        segment_number=number,
        segment_label=text[:64],
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=coded_finding(finding),
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=result.algorithm.name[:64],
            family=codes.DCM.ArtificialIntelligence,
            version=result.algorithm.version,
            parameters={"sha256": result.algorithm.sha256},
        ),
        tracking_uid=uid,
        tracking_id=identifier,
        anatomic_regions=[codes.SCT.Chest],
    )


def _object(
    result: DicomResult,
    kind: str,
    pixels: np.ndarray,
    descriptions: Sequence[seg.SegmentDescription],
) -> Dataset:
    """The segmentation object around masks of shape (1, row, column, segment).

    The source has no plane in the patient's space. A nominal orientation without a frame of
    reference is written nevertheless: without an orientation, GDCM ends the process that reads the
    segmentation, and OHIF hangs.
    """
    binary = kind == "seg"
    spacing = spacing_mm_of(result.source)
    identity = identity_of(result, kind)
    dataset = seg.Segmentation(
        source_images=[stand_in(result.source)],
        pixel_array=pixels if binary else pixels.astype(np.float32),
        segmentation_type="BINARY" if binary else "FRACTIONAL",
        segment_descriptions=list(descriptions),
        series_instance_uid=identity.series_instance_uid,
        series_number=SERIES_NUMBERS[kind],
        sop_instance_uid=identity.sop_instance_uid,
        instance_number=1,
        **equipment_of(result.algorithm),
        content_label="CXRLOC",
        content_description=f"{NOT_FOR_DIAGNOSIS}; {NOMINAL}"[:64],
        # highdicom cannot read the segmentation that it wrote if the slice thickness is missing.
        pixel_measures=highdicom.PixelMeasuresSequence(spacing or (1.0, 1.0), slice_thickness=1.0)
        if spacing
        else None,
        omit_empty_frames=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    if not binary:
        # GDCM's encoder would be tried first, but it ends the process on some image sizes.
        dataset.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    if "PlaneOrientationSequence" not in shared:
        shared.PlaneOrientationSequence = highdicom.PlaneOrientationSequence(
            "PATIENT", [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        )
    # highdicom draws this identifier at random, but a second run must write the same object.
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = derived_uid(result, kind, "dimensions")
    dataset.SeriesDescription = f"cxrloc: {'regions' if binary else 'heatmaps'} ({NOMINAL})"[:64]
    dataset.BodyPartExamined = "CHEST"
    return dataset
