"""Annotations of other data sets, in files with their published columns."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco

from cxrloc.datasets import read_dataset
from cxrloc.datasets.chexlocalize import Point, read_chexlocalize_points
from cxrloc.datasets.records import TWICE, annotations_in_image
from cxrloc.datasets.shapes import mask_pixels
from cxrloc.types import Annotation, Box, CxrlocError, Label, Mask, Outline

VINDR = """image_id,rad_id,class_name,x_min,y_min,x_max,y_max
0a,R8,Pleural effusion,10.5,20,40,60
0a,R9,Pleural effusion,11,20,40,61
0b,R8,No finding,,,,
"""
RSNA = """patientId,x,y,width,height,Target
0a,264.0,152.0,213.0,379.0,1
0a,562.0,152.0,256.0,453.0,1
0b,,,,,0
"""
SIIM = """ImageId, EncodedPixels
1.2.3, 1025 2 1022 1
1.2.4,-1
"""
SQUARE = [[10, 20], [40, 20], [40, 60], [10, 60]]
CHESTX_DET = [
    {
        "file_name": "36199.png",
        "syms": ["Pleural Thickening"],
        "boxes": [[10, 20, 40, 60]],
        "polygons": [SQUARE],
    },
    {"file_name": "36200.png", "syms": [], "boxes": [], "polygons": []},
]
CHEXPERT_IMAGE = "patient64541_study1_view1_frontal"
POLYGONS = {CHEXPERT_IMAGE: {"img_size": [80, 100], "Airspace Opacity": [SQUARE, SQUARE[::-1]]}}
POINTS = {CHEXPERT_IMAGE: {"img_size": [80, 100], "Pleural Effusion": [[12.5, 30.0], [3, 4]]}}


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def coded(pixels: np.ndarray) -> dict[str, object]:
    code = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": code["size"], "counts": code["counts"].decode()}


def test_vindr_keeps_every_reader_s_box_and_images_without_one(tmp_path: Path) -> None:
    path = written(tmp_path / "annotations" / "annotations_train.csv", VINDR)
    image = touched(tmp_path / "train" / "0a.dicom")
    boxed, clear = read_dataset(path)
    assert [each.finding for each in boxed.annotations] == ["Effusion", "Effusion"]
    assert boxed.annotations[0].box == Box(10.5, 20.0, 40.0, 60.0)
    assert (boxed.path, clear.path) == (image, None)
    assert (clear.annotations, clear.labels) == ((), {})
    assert read_dataset(tmp_path) == [boxed, clear]


def test_rsna_boxes_are_extents_and_target_0_is_a_negative_label(tmp_path: Path) -> None:
    written(tmp_path / "stage_2_train_labels.csv", RSNA)
    image = touched(tmp_path / "stage_2_train_images" / "0a.dcm")
    boxed, clear = read_dataset(tmp_path)
    assert [each.box for each in boxed.annotations] == [
        Box(264.0, 152.0, 477.0, 531.0),
        Box(562.0, 152.0, 818.0, 605.0),
    ]
    assert boxed.labels == {"Pneumonia": Label.POSITIVE}
    assert clear.labels == {"Pneumonia": Label.NEGATIVE}
    assert (boxed.path, boxed.annotation_frame) == (image, (1024, 1024))


def test_siim_runs_go_down_the_columns_and_gaps_count_from_the_run_before(tmp_path: Path) -> None:
    written(tmp_path / "train-rle.csv", SIIM)
    image = touched(tmp_path / "dicom-images-train" / "study" / "series" / "1.2.3.dcm")
    boxed, clear = read_dataset(tmp_path)
    (truth,) = boxed.annotations
    assert isinstance(truth.shape, Mask)
    # 1025 pixels on: column 1, row 1; after rows 1 and 2 another 1022: column 2, row 1.
    assert np.argwhere(mask_pixels(truth.shape)).tolist() == [[1, 1], [1, 2], [2, 1]]
    assert truth.box == Box(1.0, 1.0, 3.0, 3.0)
    assert boxed.path == image
    assert clear.labels == {"Pneumothorax": Label.NEGATIVE}


def test_chestx_det_has_a_box_and_a_polygon_per_finding(tmp_path: Path) -> None:
    path = written(tmp_path / "ChestX_Det_train.json", CHESTX_DET)
    image = touched(tmp_path / "train" / "36199.png")
    boxed, clear = read_dataset(path)
    ring = tuple((float(x), float(y)) for x, y in SQUARE)
    assert boxed.annotations == (
        Annotation("36199", "Pleural_Thickening", Box(10.0, 20.0, 40.0, 60.0), Outline((ring,))),
    )
    assert (boxed.path, clear.annotations) == (image, ())


def test_chestx_det_entries_of_one_image_are_joined(tmp_path: Path) -> None:
    other = CHESTX_DET[0] | {"syms": ["Mass"]}
    path = written(tmp_path / "ChestX_Det_train.json", [*CHESTX_DET, other, CHESTX_DET[0]])
    first = read_dataset(path)[0]
    assert [each.finding for each in first.annotations] == ["Pleural_Thickening", "Mass"]
    assert first.warnings == (TWICE,)


def test_radiologists_may_disagree_on_whether_there_is_a_finding(tmp_path: Path) -> None:
    text = VINDR + "0b,R9,Pulmonary fibrosis,1,2,3,4\n"
    boxed = read_dataset(written(tmp_path / "annotations_train.csv", text))[1]
    assert boxed.labels == {"Fibrosis": Label.POSITIVE}


def test_chestx_det10_has_boxes_alone(tmp_path: Path) -> None:
    entry = {"file_name": "00000042_006.png", "syms": ["Mass"], "boxes": [[632, 721, 909, 969]]}
    ((truth,),) = (each.annotations for each in read_dataset(written(tmp_path / "t.json", [entry])))
    assert (truth.finding, truth.shape) == ("Mass", None)


def test_chexlocalize_polygons_of_a_finding_are_one_annotation(tmp_path: Path) -> None:
    path = written(tmp_path / "gt_annotations_val.json", POLYGONS)
    image = touched(tmp_path / "valid" / "patient64541" / "study1" / "view1_frontal.jpg")
    (record,) = read_dataset(path)
    assert (record.patient_id, record.path) == ("patient64541", image)
    (truth,) = record.annotations
    assert truth.box == Box(10.0, 20.0, 40.0, 60.0)
    assert isinstance(truth.shape, Outline)
    assert len(truth.shape.polygons) == 2


def test_chexlocalize_masks_are_coco_s_and_empty_ones_are_no_truth(tmp_path: Path) -> None:
    pixels = np.zeros((80, 100), dtype=bool)
    pixels[20:60, 10:40] = True
    content = {CHEXPERT_IMAGE: {"Edema": coded(pixels), "Consolidation": coded(~pixels & pixels)}}
    (record,) = read_dataset(written(tmp_path / "gt_segmentations_val.json", content))
    (truth,) = record.annotations
    assert (truth.finding, truth.box) == ("Edema", Box(10.0, 20.0, 40.0, 60.0))
    assert isinstance(truth.shape, Mask)
    np.testing.assert_array_equal(mask_pixels(truth.shape), pixels)


def test_chexlocalize_points_are_claims_of_a_reader(tmp_path: Path) -> None:
    points = read_chexlocalize_points(written(tmp_path / "points.json", POINTS))
    assert points == [
        Point(CHEXPERT_IMAGE, "Effusion", 12.5, 30.0),
        Point(CHEXPERT_IMAGE, "Effusion", 3.0, 4.0),
    ]


def test_outlines_move_with_their_boxes(tmp_path: Path) -> None:
    (record,) = read_dataset(written(tmp_path / "gt_annotations_val.json", POLYGONS))
    (truth,) = annotations_in_image(record, rows=40, columns=200).annotations
    assert truth.box == Box(20.0, 10.0, 80.0, 30.0)
    assert isinstance(truth.shape, Outline)
    assert truth.shape.polygons[0][2] == (80.0, 30.0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("annotations_test.csv", VINDR.replace("10.5", "x"), "row 2: x_min is 'x'"),
        ("stage_2_train_labels.csv", RSNA.replace(",0\n", ",2\n"), "row 4: Target is '2'"),
        ("stage_2_train_labels.csv", RSNA.replace("213.0", "-1"), "row 2: a box needs"),
        ("train-rle.csv", SIIM.replace("1025", "x"), "row 2: EncodedPixels holds 'x 2 1022 1'"),
        ("train-rle.csv", SIIM.replace("1022 1", "1022"), "pairs of gap and length"),
        ("train-rle.csv", SIIM.replace("1025", "1048576"), "beyond the image"),
        ("train-rle.csv", SIIM.replace("1025 2 1022 1", "5 0"), "mask is empty"),
        ("ChestX_Det_train.json", [{"file_name": "a.png"}], "it has no 'syms'"),
        ("ChestX_Det_train.json", [CHESTX_DET[0] | {"syms": []}], "not of one length"),
        ("gt_annotations_val.json", {CHEXPERT_IMAGE: {"img_size": [8]}}, "not one of CheX"),
        ("gt_val.json", {"a": {"Edema": {"size": [1, 1], "counts": "99"}}}, "leave its 1 x 1"),
        ("gt_val.json", {"a": {"img_size": [1, 1], "E": {"size": [2, 1]}}}, "2 sizes"),
        ("gt_val.json", {"../a": {"Edema": {"size": [1, 1], "counts": "1"}}}, "cannot name"),
        ("gt_val.json", {"a": {"E": {"size": [90000, 90000], "counts": "1"}}}, "is that of no"),
        ("gt_val.json", {"a": {"E": {"size": [0.5, 1], "counts": "1"}}}, "no pair of whole"),
        ("stage_2_train_labels.csv", RSNA + "0b,1,2,3,4,1\n", "row 5: 0b has Target 1 here and 0"),
        ("train-rle.csv", SIIM + "1.2.4,1 2\n", "row 4: 1.2.4 has both -1 and a mask"),
        ("annotations_test.csv", VINDR + "0b,R8,Mass,1,2,3,4\n", "row 5: 0b has No finding and"),
        ("ChestX_Det_train.json", [CHESTX_DET[0] | {"syms": [1]}], "is not ChestX-Det"),
        ("stage_2_train_labels.csv", RSNA.replace("264.0", "1200"), "row 2: .* lies outside"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, name: str, content: object, message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        read_dataset(written(tmp_path / name, content))


def test_of_several_annotation_files_one_must_be_named(tmp_path: Path) -> None:
    written(tmp_path / "annotations_train.csv", VINDR)
    written(tmp_path / "annotations_test.csv", VINDR)
    with pytest.raises(CxrlocError, match="name the one to read"):
        read_dataset(tmp_path)
