from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco

from cxrloc.datasets import read_dataset
from cxrloc.datasets.chexlocalize import Point, read_chexlocalize_points
from cxrloc.datasets.records import annotations_in_image
from cxrloc.datasets.shapes import mask_pixels
from cxrloc.errors import CxrlocError
from cxrloc.types import Box, Mask, Outline
from tests.datasets.layout_files import touched, written

SQUARE = [[10, 20], [40, 20], [40, 60], [10, 60]]
CHEXPERT_IMAGE = "patient64541_study1_view1_frontal"
POLYGONS = {CHEXPERT_IMAGE: {"img_size": [80, 100], "Airspace Opacity": [SQUARE, SQUARE[::-1]]}}
POINTS = {CHEXPERT_IMAGE: {"img_size": [80, 100], "Pleural Effusion": [[12.5, 30.0], [3, 4]]}}


def coded(pixels: np.ndarray) -> dict[str, object]:
    code = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": code["size"], "counts": code["counts"].decode()}


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
    ("content", "message"),
    [
        ({CHEXPERT_IMAGE: {"img_size": [8]}}, "not one of CheX"),
        ({"a": {"Edema": {"size": [1, 1], "counts": "99"}}}, "leave its 1 x 1"),
        ({"a": {"img_size": [1, 1], "E": {"size": [2, 1]}}}, "2 sizes"),
        ({"a": {"img_size": [9, 9], "Edma": [[[1, 1], [5, 1], [5, 5]]]}}, "'Edma' is no known"),
        ({"a": {"img_size": [9, 9], "Edema": [[[0, 0], [1, 0], [1, 1]]]}}, "are shares"),
        ({"../a": {"Edema": {"size": [1, 1], "counts": "1"}}}, "cannot name"),
        ({"a": {"Edema": {"size": [90000, 90000], "counts": "1"}}}, "is that of no"),
        ({"a": {"E": {"size": [0.5, 1], "counts": "1"}}}, "no pair of whole"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        read_dataset(written(tmp_path / "gt_annotations_val.json", content))
