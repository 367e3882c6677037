"""Truth and claims in reports and segmentations that highdicom made, as any other tool may do."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom import seg, sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from cxrloc.datasets.dicom_regions import (
    annotations_in_objects,
    detections_in_objects,
    read_regions,
)
from cxrloc.datasets.own_data import OwnData, read_own_data
from cxrloc.datasets.shapes import mask_pixels
from cxrloc.errors import CxrlocError
from cxrloc.phantom import write_phantoms
from cxrloc.types import Annotation, Box, Mask, Outline, Record

SIDE = 64
SQUARE = [[8, 16], [24, 16], [24, 40], [8, 40], [8, 16]]
NODULE = codes.SCT.Nodule
OTHER_TOOL = {
    "manufacturer": "Somebody",
    "manufacturer_model_name": "Viewer",
    "software_versions": "1",
    "device_serial_number": "1",
}


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two DICOM images."""
    folder = tmp_path_factory.mktemp("truth") / "chests"
    write_phantoms(folder, n=2, seed=0, size=SIDE, file_format="dicom")
    return folder / "images"


def header(chests: Path) -> Dataset:
    """The header of the first image, with what highdicom's own image library wants."""
    source = pydicom.dcmread(sorted(chests.iterdir())[0])
    source.PatientOrientation = ["L", "F"]
    return source


def group(source: Dataset, kind: str, points: list[Any], finding: Any = NODULE) -> Any:
    """A measurement group of one region, as highdicom writes it."""
    image = sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID)
    region = sr.ImageRegion(sr.GraphicTypeValues[kind], np.array(points, dtype=float), image)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(generate_uid(), "region"), region, finding_type=finding
    )


def report(source: Dataset, groups: list[Any]) -> Dataset:
    person = sr.PersonObserverIdentifyingAttributes(name="Reader^One")
    observer = sr.ObserverContext(codes.DCM.Person, person)
    content = sr.MeasurementReport(
        sr.ObservationContext(observer_person_context=observer), codes.SCT.ChestImaging, groups
    )
    return sr.Comprehensive3DSR(
        [source], content[0], generate_uid(), 1, generate_uid(), 1, manufacturer="Somebody"
    )


def segmentation(source: Dataset, masks: list[np.ndarray], kind: str) -> Dataset:
    """A segmentation of one segment for each mask: a nodule, then a pleural effusion."""
    descriptions = [
        seg.SegmentDescription(
            number,
            f"segment {number}",
            codes.SCT.MorphologicallyAbnormalStructure,
            finding,
            seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, finding in enumerate([NODULE, codes.SCT.PleuralEffusion][: len(masks)], 1)
    ]
    pixels = np.stack(masks, axis=-1)[None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a radiograph has no plane in space
        return seg.Segmentation(
            [source],
            pixels,
            kind,
            descriptions,
            generate_uid(),
            1,
            generate_uid(),
            1,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            pixel_measures=highdicom.PixelMeasuresSequence((1.0, 1.0), slice_thickness=1.0),
            **OTHER_TOOL,
        )


def saved(made: Dataset, path: Path) -> Path:
    made.save_as(path, enforce_file_format=True)
    return path


def rectangle(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ("kind", "points", "box", "is_rectangle"),
    [
        ("POLYLINE", SQUARE, Box(8, 16, 24, 40), True),
        ("POLYLINE", [[8, 16], [24, 28], [8, 40], [8, 16]], Box(8, 16, 24, 40), False),
        ("CIRCLE", [[30, 30], [33, 34]], Box(25, 25, 35, 35), False),
        # The axes lie along the diagonals; the extremes are no ends of the axes.
        ("ELLIPSE", [[20, 20], [40, 40], [27, 33], [33, 27]], None, False),
    ],
    ids=["rectangle", "triangle", "circle", "oblique ellipse"],
)
def test_a_region_becomes_a_box_and_its_outline(
    kind: str,
    points: list[Any],
    box: Box | None,
    is_rectangle: bool,
    chests: Path,
    tmp_path: Path,
) -> None:
    source = header(chests)
    path = saved(report(source, [group(source, kind, points)]), tmp_path / "a.dcm")
    (region,) = read_regions(path)
    if box is None:  # half width of an ellipse whose axes are u and v: sqrt(u_x^2 + v_x^2)
        half = np.hypot(10, 3)
        box = Box(30 - half, 30 - half, 30 + half, 30 + half)
    assert (region.finding, region.sop_instance_uid) == ("Nodule", source.SOPInstanceUID)
    sides = (region.box.x_min, region.box.y_min, region.box.x_max, region.box.y_max)
    assert sides == pytest.approx((box.x_min, box.y_min, box.x_max, box.y_max))
    assert (region.shape is None) == is_rectangle
    if isinstance(region.shape, Outline) and kind == "CIRCLE":
        xy = np.array(region.shape.polygons[0])
        assert np.hypot(*(xy - 30).T) == pytest.approx(5)


def test_annotations_out_of_a_viewer_are_the_truth_of_their_images(
    chests: Path, tmp_path: Path
) -> None:
    """Two readers' reports without suffix, beside the images; the other image shows nothing."""
    source = header(chests)
    for name, finding in (("reader1", NODULE), ("reader2", codes.SCT.PleuralEffusion)):
        saved(report(source, [group(source, "POLYLINE", SQUARE, finding)]), tmp_path / name)
    saved(source, tmp_path / "first.dcm")
    saved(pydicom.dcmread(sorted(chests.iterdir())[1]), tmp_path / "second.dcm")
    first, second = read_own_data(OwnData(tmp_path, boxes=tmp_path)).records
    assert first.annotations == (
        Annotation("first", "Nodule", Box(8, 16, 24, 40)),
        Annotation("first", "Effusion", Box(8, 16, 24, 40)),
    )
    assert (second.image_id, second.annotations) == ("second", ())


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_each_connected_part_of_a_segment_is_a_region(
    kind: str, chests: Path, tmp_path: Path
) -> None:
    nodules = rectangle(slice(2, 6), slice(10, 20)) | rectangle(slice(30, 40), slice(50, 64))
    effusion = rectangle(slice(50, 60), slice(0, 8))
    made = segmentation(header(chests), [nodules, effusion], kind)
    saved(made, tmp_path / "a.dcm")
    (drawn,) = annotations_in_objects(
        tmp_path / "a.dcm", {p.stem: p for p in chests.iterdir()}
    ).values()
    assert [(each.finding, each.box) for each in drawn.annotations] == [
        ("Nodule", Box(10, 2, 20, 6)),
        ("Nodule", Box(50, 30, 64, 40)),
        ("Effusion", Box(0, 50, 8, 60)),
    ]
    masks = [each.shape for each in drawn.annotations]
    assert all(isinstance(mask, Mask) for mask in masks)
    union = np.logical_or.reduce([mask_pixels(mask) for mask in masks if isinstance(mask, Mask)])
    np.testing.assert_array_equal(union, nodules | effusion)
    assert drawn.frame == (SIDE, SIDE)


def test_segmentations_count_where_no_report_has_a_region(chests: Path, tmp_path: Path) -> None:
    source = header(chests)
    images = {path.stem: path for path in chests.iterdir()}
    mask = rectangle(slice(2, 6), slice(10, 20))
    saved(segmentation(source, [mask], "BINARY"), tmp_path / "masks.dcm")
    saved(segmentation(source, [mask.astype(float)], "FRACTIONAL"), tmp_path / "shares.dcm")
    whole_image = sr.MeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(generate_uid(), "image"), finding_type=NODULE
    )
    saved(report(source, [whole_image]), tmp_path / "findings.dcm")
    (drawn,) = annotations_in_objects(tmp_path, images).values()
    assert [each.box for each in drawn.annotations] == [Box(10, 2, 20, 6)]
    saved(report(source, [group(source, "POLYLINE", SQUARE)]), tmp_path / "boxes.dcm")
    (drawn,) = annotations_in_objects(tmp_path, images).values()
    assert [each.box for each in drawn.annotations] == [Box(8, 16, 24, 40)]


def with_graphic(kind: str, points: list[float]) -> Callable[[Dataset], None]:
    def change(item: Dataset) -> None:
        item.GraphicType, item.GraphicData = kind, points

    return change


@pytest.mark.parametrize(
    "change",
    [
        with_graphic("POINT", [3, 4]),
        with_graphic("POLYLINE", [3, 4, 30, 40]),
        with_graphic("POLYLINE", [3, 4, 30, 40, 5, 50]),
    ],
    ids=["a point", "a length", "an angle"],
)
def test_measurements_without_an_area_are_no_regions(
    change: Callable[[Dataset], None], chests: Path, tmp_path: Path
) -> None:
    source = header(chests)
    measured, square = group(source, "POLYLINE", SQUARE), group(source, "POLYLINE", SQUARE)
    for item in measured[0].ContentSequence:
        if item.ValueType == "SCOORD":
            change(item)
    path = saved(report(source, [measured, square]), tmp_path / "a.dcm")
    assert [region.box for region in read_regions(path)] == [Box(8, 16, 24, 40)]


@pytest.mark.parametrize("kept_as", ["a finding site of free text", "a comment", "a finding"])
def test_a_label_that_a_reader_typed_names_the_finding(
    kept_as: str, chests: Path, tmp_path: Path
) -> None:
    """Two ways in which versions of OHIF keep a label, and one of other tools."""
    source = header(chests)
    made = report(source, [group(source, "POLYLINE", SQUARE)])
    made = pydicom.dcmread(saved(made, tmp_path / "a.dcm"))
    items = made.ContentSequence[-1].ContentSequence[0].ContentSequence
    (finding,) = (each for each in items if "ConceptCodeSequence" in each)
    name = finding.ConceptNameCodeSequence[0]
    if kept_as != "a finding site of free text":
        name.CodeValue = "121106" if kept_as == "a comment" else name.CodeValue
        finding.TextValue = "pleural effusion"
        del finding.ConceptCodeSequence
    else:
        name.CodeValue, name.CodingSchemeDesignator = "363698007", "SCT"
        label = sr.CodedConcept("CORNERSTONEFREETEXT", "CST4", "Pleural effusion")
        finding.ConceptCodeSequence = [label]
    (region,) = read_regions(saved(made, tmp_path / "a.dcm"))
    assert region.finding == "Effusion"


def items_of(made: Dataset, value_type: str) -> list[Dataset]:
    """The content items of a type in the only measurement group of a report."""
    group = made.ContentSequence[-1].ContentSequence[0]
    return [item for item in group.ContentSequence if item.ValueType == value_type]


def by_reference(made: Dataset) -> None:
    image = items_of(made, "SCOORD")[0].ContentSequence[0]
    made.ContentSequence[0].ContentSequence = [image]  # the first item of the root's first item
    reference = Dataset()
    reference.RelationshipType = "SELECTED FROM"
    reference.ReferencedContentItemIdentifier = [1, 1, 1]
    items_of(made, "SCOORD")[0].ContentSequence = [reference]


def by_its_group(made: Dataset) -> None:
    region = items_of(made, "SCOORD")[0]
    made.ContentSequence[-1].ContentSequence[0].ContentSequence.append(region.ContentSequence[0])
    region.ContentSequence = []


def as_the_only_one(made: Dataset) -> None:
    items_of(made, "SCOORD")[0].ContentSequence = []


@pytest.mark.parametrize("naming", [by_reference, by_its_group, as_the_only_one])
def test_a_region_finds_its_image_in_the_report(
    naming: Callable[[Dataset], None], chests: Path, tmp_path: Path
) -> None:
    source = header(chests)
    made = report(source, [group(source, "POLYLINE", SQUARE)])
    made = pydicom.dcmread(saved(made, tmp_path / "a.dcm"))
    naming(made)
    (region,) = read_regions(saved(made, tmp_path / "a.dcm"))
    assert region.sop_instance_uid == source.SOPInstanceUID
    series = made.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    other = Dataset()
    other.ReferencedSOPClassUID, other.ReferencedSOPInstanceUID = source.SOPClassUID, "1.2.3"
    series.ReferencedSOPSequence.append(other)
    saved(made, tmp_path / "a.dcm")
    if naming is as_the_only_one:
        with pytest.raises(CxrlocError, match="spatial coordinates name no image"):
            read_regions(tmp_path / "a.dcm")
    else:
        assert read_regions(tmp_path / "a.dcm") == [region]


@pytest.mark.parametrize(
    ("value", "unit", "share"),
    [
        (0.87, codes.UCUM.NoUnits, 0.87),
        (87, codes.UCUM.Percent, 0.87),
        (87, codes.UCUM.NoUnits, 87),
    ],
)
def test_a_probability_in_percent_is_a_share_and_another_number_a_score_that_is_said(
    value: float,
    unit: Any,
    share: float,
    chests: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = header(chests)
    region = group(source, "POLYLINE", SQUARE)
    number = sr.Measurement(codes.DCM.Probability, value, unit)
    region[0].ContentSequence.append(number[0])
    path = saved(report(source, [region]), tmp_path / "a.dcm")
    (drawn,) = annotations_in_objects(path, {}).values()  # truth has no use for the number
    assert (len(drawn.annotations), caplog.messages) == (1, [])
    (found,) = detections_in_objects(path, [])
    assert found.score == pytest.approx(share)
    message = (
        f"{path}: 1 of 1 probabilities (122157, DCM) lie outside 0 to 1, such as 87; they count"
    )
    assert [message in line for line in caplog.messages] == [True] * (share > 1)


def test_claims_of_a_mask_of_another_size_are_in_pixels_of_the_image(
    chests: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mask = rectangle(slice(4, 12), slice(20, 40))
    made = segmentation(header(chests), [mask], "BINARY")
    made = pydicom.dcmread(saved(made, tmp_path / "a.dcm"))
    made.Rows = SIDE // 2
    made.PixelData = np.packbits(mask[::2].ravel(), bitorder="little").tobytes()
    del made.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    made.SegmentSequence[0].SegmentLabel = "pleural effusion"
    records = [Record(path.stem, "1", "1", path) for path in sorted(chests.iterdir())]
    (found,) = detections_in_objects(saved(made, tmp_path / "a.dcm"), records)
    assert (found.image_id, found.finding) == (records[0].image_id, "Effusion")
    assert found.box == Box(20, 4, 40, 12)
    sizes: list[Path] = []

    def no_size(path: Path) -> tuple[int, int]:
        sizes.append(path)
        raise CxrlocError(f"{path}: no image whose size can be told")

    monkeypatch.setattr("cxrloc.datasets.dicom_regions.image_size", no_size)
    both = tmp_path / "both"
    both.mkdir()
    saved(made, both / "a.dcm"), saved(made, both / "b.dcm")
    found_twice = detections_in_objects(both, records)
    assert [each.box for each in found_twice] == [Box(20, 2, 40, 6)] * 2
    assert sizes == [records[0].path]  # read once per image
    assert ["stay in pixels of the masks" in line for line in caplog.messages] == [True]
    made.SegmentSequence[0].SegmentLabel = " "
    with pytest.raises(CxrlocError, match=r"a\.dcm: segment 1 has a region and names no finding"):
        read_regions(saved(made, tmp_path / "a.dcm"))
    made.SegmentSequence[0].SegmentLabel = "mass"
    del made.PerFrameFunctionalGroupsSequence
    with pytest.raises(CxrlocError, match="has no PerFrameFunctionalGroupsSequence"):
        read_regions(saved(made, tmp_path / "a.dcm"))


def test_what_is_wrong_is_named_with_its_file(chests: Path, tmp_path: Path) -> None:
    source = header(chests)
    flat = [[8, 16], [24, 16], [8, 16], [8, 16]]
    saved(report(source, [group(source, "POLYLINE", flat)]), tmp_path / "flat.dcm")
    with pytest.raises(CxrlocError, match=r"flat\.dcm"):
        read_regions(tmp_path / "flat.dcm")
    unnamed = report(source, [group(source, "POLYLINE", SQUARE)])
    (code,) = [i for i in items_of(unnamed, "CODE") if i.name.value == "121071"]
    code.ConceptCodeSequence[0].CodeValue, code.ConceptCodeSequence[0].CodeMeaning = "0", ""
    with pytest.raises(CxrlocError, match=r"unnamed\.dcm: .* names no finding"):
        read_regions(saved(unnamed, tmp_path / "unnamed.dcm"))
    shares = segmentation(source, [np.full((SIDE, SIDE), 0.5)], "FRACTIONAL")
    with pytest.raises(CxrlocError, match=r"shares\.dcm.*label maps"):
        read_regions(saved(shares, tmp_path / "shares.dcm"))
    with pytest.raises(CxrlocError, match="a DX object holds no regions"):
        read_own_data(OwnData(chests, boxes=sorted(chests.iterdir())[0]))
