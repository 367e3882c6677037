"""A user's own data: a plain folder of images, a table of labels, and every kind of box file."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.datasets.own_data import OwnData, own_images, read_own_data
from cxrloc.errors import CxrlocError
from cxrloc.types import Annotation, Box, Label, Record, Sex, View

ROWS, COLUMNS = 40, 80
MASS = Box(10.0, 20.0, 30.0, 40.0)


def images(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((ROWS, COLUMNS), np.uint8)).save(path)
    return folder / "pictures"


def table(folder: Path, text: str) -> Path:
    path = folder / "l.csv"
    path.write_text(text)
    return path


def by_id(data: OwnData, declared: tuple[str, ...] = ()) -> dict[str, Record]:
    return {record.image_id: record for record in read_own_data(data, declared).records}


@pytest.mark.parametrize(
    "text",
    [
        "file;patient_id;mass;Effusion;view;sex;age\na.png;7;1;0;PA;F;50\nb;8;0;;AP;M;60\n",
        "Patient ID,Name,Mass,Pleural Effusion,View Position,Gender,Patient Age\n"
        "7,pictures/a.png,1.0,0.0,PA,Female,050Y\n8,b.png,0,,AP,Male,060Y\n",
    ],
    ids=["semicolons", "other names"],
)
def test_columns_are_found_by_their_names_and_cells_and_said(tmp_path: Path, text: str) -> None:
    folder = images(tmp_path, "a.png", "b.png")
    data = OwnData(folder, table(tmp_path, text))
    a, b = by_id(data)["a"], by_id(data)["b"]
    assert a.labels == {"Mass": Label.POSITIVE, "Effusion": Label.NEGATIVE}
    assert b.labels == {"Mass": Label.NEGATIVE}
    assert (a.patient_id, a.view, a.sex, a.age_years) == ("7", View.PA, Sex.FEMALE, 50.0)
    assert a.path == folder / "a.png"
    assert "patient from" in read_own_data(data).notes[-1]


def test_a_list_of_findings_in_one_cell_says_that_the_others_are_absent(tmp_path: Path) -> None:
    text = "image,diagnosis\na,Mass|Effusion\nb,No finding\nc,\n"
    records = by_id(OwnData(images(tmp_path, "a.png", "b.png", "c.png"), table(tmp_path, text)))
    assert records["a"].labels == dict.fromkeys(("Mass", "Effusion"), Label.POSITIVE)
    assert records["b"].labels == dict.fromkeys(("Mass", "Effusion"), Label.NEGATIVE)
    assert not records["c"].labelled


def test_images_of_one_name_in_two_folders_are_named_by_their_path(tmp_path: Path) -> None:
    folder = images(tmp_path, "p1/frontal.png", "p2/frontal.png")
    (folder / "p1" / "notes.txt").write_text("no image")
    assert sorted(own_images(folder)) == ["p1_frontal", "p2_frontal"]
    data = OwnData(folder, table(tmp_path, "image,Mass\np1/frontal.png,1\np2/frontal.png,0\n"))
    assert by_id(data)["p1_frontal"].labels == {"Mass": Label.POSITIVE}


@pytest.mark.parametrize("name", ["a\x1b[2J.png", "a\n.png", "\udcff.png", "x" * 220 + ".png"])
def test_a_file_whose_name_cannot_name_results_is_left_out_and_said(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = images(tmp_path, "b.png", name)
    assert [*own_images(folder)] == ["b"]
    (said,) = caplog.messages
    assert "cannot name an image" in said
    assert said.endswith("the image is left out")


def test_boxes_of_one_file_name_in_two_folders_go_to_the_image_of_their_folder(
    tmp_path: Path,
) -> None:
    folder = images(tmp_path, "p1/frontal.png", "p2/frontal.png", "p2/other.png")
    rows = (
        "p2/frontal.png,Mass,1,2,3,4\npictures/p1/frontal.png,Nodule,1,2,3,4\nother,Mass,1,2,3,4\n"
    )
    boxes = tmp_path / "b.csv"
    boxes.write_text("image,finding,x_min,y_min,x_max,y_max\n" + rows)
    records = by_id(OwnData(folder, None, boxes))
    drawn = {name: [each.finding for each in r.annotations] for name, r in records.items()}
    assert drawn == {"p1_frontal": ["Nodule"], "p2_frontal": ["Mass"], "p2_other": ["Mass"]}
    boxes.write_text("image,finding,x_min,y_min,x_max,y_max\nfrontal.png,Mass,1,2,3,4\n")
    with pytest.raises(CxrlocError, match=r"row 2: 'frontal.png' can be several images"):
        by_id(OwnData(folder, None, boxes))


def test_two_files_of_a_table_are_never_one_image(tmp_path: Path) -> None:
    folder = images(tmp_path, "p2/frontal.png")
    text = "image,Mass\np1/frontal.png,1\np2/frontal.png,1\n"
    with pytest.raises(CxrlocError, match=r"'p2/frontal.png' and 'p1/frontal.png' .row 2. would"):
        by_id(OwnData(folder, table(tmp_path, text)))


def csv_boxes(folder: Path) -> Path:
    path = folder / "b.csv"
    path.write_text("image,finding,x_min,y_min,x_max,y_max\na.png,mass,10,20,30,40\n")
    return path


def coco_boxes(folder: Path) -> Path:
    path = folder / "b.json"
    content = {
        "images": [{"id": 1, "file_name": "pictures/a.png", "width": COLUMNS, "height": ROWS}],
        "categories": [{"id": 1, "name": "Mass"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 20, 20]}],
    }
    path.write_text(json.dumps(content))
    return path


def voc_boxes(folder: Path) -> Path:
    place = folder / "voc"
    place.mkdir()
    corners = "<xmin>11</xmin><ymin>21</ymin><xmax>30</xmax><ymax>40</ymax>"
    (place / "a.xml").write_text(
        f"<annotation><object><name>Mass</name><bndbox>{corners}</bndbox></object></annotation>"
    )
    return place


def yolo_boxes(folder: Path) -> Path:
    place = folder / "yolo"
    place.mkdir()
    (place / "data.yaml").write_text("nc: 2\nnames:\n  0: Effusion\n  1: Mass\n")
    (place / "a.txt").write_text("1 0.25 0.75 0.25 0.5\n")
    (place / "b.txt").write_text("")
    return place


def labelme_boxes(folder: Path) -> Path:
    place = folder / "labelme"
    place.mkdir()
    shape = {"label": "Mass", "points": [[10, 20], [30, 40]], "shape_type": "rectangle"}
    content = {"imagePath": "a.png", "imageHeight": ROWS, "imageWidth": COLUMNS, "shapes": [shape]}
    (place / "a.json").write_text(json.dumps(content))
    return place


def mask_boxes(folder: Path, name: str = "Mass/a.png") -> Path:
    path = folder / "masks" / name
    path.parent.mkdir(parents=True)
    pixels = np.zeros((ROWS, COLUMNS), np.uint8)
    pixels[20:40, 10:30] = 1
    Image.fromarray(pixels).save(path)
    return folder / "masks"


BOXES = {
    "csv": csv_boxes,
    "coco": coco_boxes,
    "voc": voc_boxes,
    "yolo": yolo_boxes,
    "labelme": labelme_boxes,
    "masks by finding": mask_boxes,
    "masks by image": lambda folder: mask_boxes(folder, "a_Mass.png"),
}


@pytest.mark.parametrize("make", BOXES.values(), ids=BOXES)
def test_one_box_in_every_layout_reads_the_same(tmp_path: Path, make: object) -> None:
    assert callable(make)
    records = by_id(OwnData(images(tmp_path, "a.png", "b.png"), boxes=make(tmp_path)))
    (truth,) = records["a"].annotations
    assert (truth.finding, truth.box) == ("Mass", MASS)
    assert records["a"].labels == {"Mass": Label.POSITIVE}
    assert records["b"].annotations == ()


def test_labels_and_boxes_stand_together(tmp_path: Path) -> None:
    labels = table(tmp_path, "image,Mass,Effusion\na,1,1\nb,0,0\n")
    data = OwnData(images(tmp_path, "a.png", "b.png"), labels, csv_boxes(tmp_path))
    first = by_id(data)["a"]
    assert first.labels == dict.fromkeys(("Mass", "Effusion"), Label.POSITIVE)
    assert first.annotations == (Annotation("a", "Mass", MASS),)


def test_boxes_of_other_images_are_an_error_with_a_name_of_each_side(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match="as 'a' there and 'z' here"):
        read_own_data(OwnData(images(tmp_path, "z.png"), boxes=csv_boxes(tmp_path)))


def test_a_shape_of_labelme_needs_its_finding(tmp_path: Path) -> None:
    place = labelme_boxes(tmp_path)
    (place / "a.json").write_text((place / "a.json").read_text().replace('"Mass"', '""'))
    with pytest.raises(CxrlocError, match="shape 1: its label is empty"):
        read_own_data(OwnData(images(tmp_path, "a.png"), boxes=place))
