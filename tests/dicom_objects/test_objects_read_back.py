"""Regions that were written into an object are read back, also by highdicom's own readers."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import MultiFrameGrayscaleByteSecondaryCaptureImageStorage

from cxrloc.datasets.dicom_regions import read_regions
from cxrloc.dicom_objects import structured_report
from cxrloc.dicom_objects.objects import object_of
from cxrloc.dicom_objects.presentation_state import presentation_state
from cxrloc.dicom_objects.result import DicomResult, region_names
from cxrloc.dicom_objects.segmentation import fractional_segmentation, segmentation, surfaces_of
from cxrloc.dicom_objects.stamp import correct_references
from cxrloc.dicom_objects.structured_report import finding_report, region_report
from cxrloc.errors import CxrlocError


def written(dataset: Dataset | None, folder: Path) -> Path:
    assert dataset is not None
    path = folder / "object.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_boxes_findings_and_probabilities_of_a_report(result: DicomResult, tmp_path: Path) -> None:
    regions = read_regions(written(region_report(result), tmp_path))
    claimed = [(each, detection.box) for each, detection, _, _ in region_names(result)]
    assert [r.finding for r in regions] == [each.finding for each, _ in claimed]
    assert [r.probability for r in regions] == [each.probability for each, _ in claimed]
    assert {r.sop_instance_uid for r in regions} == {result.source.SOPInstanceUID}
    for region, (_, box) in zip(regions, claimed, strict=True):
        sides = (region.box.x_min, region.box.y_min, region.box.x_max, region.box.y_max)
        # Graphic Data (0070,0022) holds 32-bit floats.
        np.testing.assert_allclose(sides, (box.x_min, box.y_min, box.x_max, box.y_max), rtol=1e-6)


def test_every_group_of_a_report_is_as_highdicom_makes_it(
    result: DicomResult, tmp_path: Path
) -> None:
    """Groups of further boxes are copies; the image has frames, and names are not ASCII."""
    of_frames = deepcopy(result.source)
    of_frames.SOPClassUID = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    renamed = tuple(replace(each, finding=f"{each.finding} ß") for each in result.findings)
    foreign = replace(result, source=of_frames, findings=renamed)
    report = pydicom.dcmread(written(object_of("sr-regions", foreign, Image.Image), tmp_path))
    groups = report.ContentSequence[-1].ContentSequence
    for (each, box, *names), group in zip(region_names(foreign), groups, strict=True):
        (made,) = structured_report._region_group(foreign, each, box, (names[0], names[1]))
        correct_references(made, of_frames)
        assert structured_report._encoded(group) == structured_report._encoded(made)
    assert (
        groups[-1]
        .ContentSequence[-1]
        .ContentSequence[0]
        .ReferencedSOPSequence[0]
        .ReferencedFrameNumber
        == 1
    )


def test_highdicom_reads_the_same_report(result: DicomResult, tmp_path: Path) -> None:
    report = highdicom.sr.srread(written(region_report(result), tmp_path))
    groups = report.content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == [
        identifier for _, _, identifier, _ in region_names(result)
    ]
    assert groups[0].finding_type.meaning == "Pleural effusion"
    assert groups[0].method == codes.DCM.ClassActivation


def test_findings_on_the_image_with_their_probabilities(
    result: DicomResult, tmp_path: Path
) -> None:
    report = highdicom.sr.srread(written(finding_report(result), tmp_path))
    groups = report.content.get_image_measurement_groups()
    numbers = [group.get_measurements()[0].value for group in groups]
    assert numbers == [each.probability for each in result.findings]
    verdicts = [group.get_qualitative_evaluations()[-1].value for group in groups]
    assert verdicts == [codes.SCT.Present, codes.SCT.Absent, codes.SCT.Present]


def test_masks_of_a_segmentation_are_the_regions(result: DicomResult, tmp_path: Path) -> None:
    """Each segment's rectangle is its box, to the pixel that holds the box's side."""
    path = written(segmentation(result), tmp_path)
    named = region_names(result)
    segments = highdicom.seg.segread(path)
    assert [segments.get_segment_description(k + 1).tracking_id for k in range(len(named))] == [
        identifier for _, _, identifier, _ in named
    ]
    for region, (each, detection, _, _) in zip(read_regions(path), named, strict=True):
        assert region.finding == each.finding
        assert abs(region.box.x_min - detection.box.x_min) <= 1
        assert abs(region.box.y_max - detection.box.y_max) <= 1


def test_the_fractional_segmentation_holds_the_heatmaps(
    result: DicomResult, tmp_path: Path
) -> None:
    segments = highdicom.seg.segread(written(fractional_segmentation(result), tmp_path))
    (pixels,) = segments.get_pixels_by_source_instance([result.source.SOPInstanceUID])
    assert result.heatmaps is not None
    for k, surface in enumerate(surfaces_of(result.heatmaps).values()):
        np.testing.assert_allclose(pixels[..., k], surface / 255, atol=1 / 255)


def test_the_presentation_state_draws_each_box_and_no_window(result: DicomResult) -> None:
    state = presentation_state(result)
    assert state is not None
    graphics = state.GraphicAnnotationSequence[0].GraphicObjectSequence
    assert [g.TrackingUID for g in graphics] == [uid for _, _, _, uid in region_names(result)]
    assert "SoftcopyVOILUTSequence" not in state


def test_other_objects_hold_no_regions(tmp_path: Path, result: DicomResult) -> None:
    with pytest.raises(CxrlocError, match="holds no regions"):
        read_regions(written(presentation_state(result), tmp_path))
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(CxrlocError, match="cannot be read as DICOM"):
        read_regions(tmp_path / "text.dcm")


def test_a_region_without_a_finding_is_an_error(result: DicomResult, tmp_path: Path) -> None:
    report = pydicom.dcmread(written(region_report(result), tmp_path))
    group = next(
        item for item in report.ContentSequence[-1].ContentSequence if "ContentSequence" in item
    )
    del group.ContentSequence[
        next(
            index
            for index, item in enumerate(group.ContentSequence)
            if item.ConceptNameCodeSequence[0].CodeValue == "121071"
        )
    ]
    with pytest.raises(CxrlocError, match="names no finding"):
        read_regions(written(report, tmp_path))
