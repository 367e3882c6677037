"""Boxes from every format become the same half-open boxes, and a bad row is named."""

import json
from pathlib import Path

import pytest

from cxrloc.datasets import read_dataset
from cxrloc.datasets.boxes import read_boxed_images, read_detections
from cxrloc.datasets.records import NO_PATIENT, annotations_in_image
from cxrloc.errors import CxrlocError
from cxrloc.types import Annotation, Box, Label, Record

MASS = Annotation("a", "Mass", Box(10.0, 20.0, 40.0, 60.0))

CSV_OF_MASS = {
    "corners": "image,finding,x_min,y_min,x_max,y_max\na.png,Mass,10,20,40,60\n",
    "extent": "image,finding,x,y,width,height\na.png,mass,10,20,30,40\n",
    "columns in another order, one more": (
        "note,finding,image,y_max,y_min,x_max,x_min\n?,Mass,a.png,60,20,40,10\n"
    ),
    "published header": "Image Index,Finding Label,Bbox [x,y,w,h],,,\na.png,Mass,10,20,30,40\n",
    "published header, rows padded": (
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\na.png,Mass,10,20,30,40,,,\n"
    ),
    "published header, quoted": (
        'Image Index,Finding Label,"Bbox [x,y,w,h]",,,\na.png,Mass,10,20,30,40\n'
    ),
    "clean header": "Image Index,Finding Label,x,y,w,h\na.png,Mass,10,20,30,40\n",
    "byte order mark, CRLF, blank line": (
        "\ufeffimage,finding,x_min,y_min,x_max,y_max\r\n\r\na.png,Mass,10,20,40,60\r\n"
    ),
    "folder in the name": "image,finding,x,y,w,h\nimages\\a.JPG,Mass,10,20,30,40\n",
}


def coco(**changes: object) -> str:
    content: dict[str, object] = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 100, "height": 80},
            {"id": 8, "file_name": "empty.png"},
        ],
        "categories": [{"id": 1, "name": "Mass"}],
        "annotations": [{"id": 3, "image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40]}],
    }
    return json.dumps(content | changes)


def voc(body: str = "", name: str = "Mass", x_min: str = "11") -> str:
    return (
        f"<annotation>{body}<filename>a.png</filename>"
        "<size><width>100</width><height>80</height><depth>1</depth></size>"
        f"<object><name>{name}</name><bndbox><xmin>{x_min}</xmin><ymin>21</ymin>"
        "<xmax>40</xmax><ymax>60</ymax></bndbox></object></annotation>"
    )


def read_boxes(path: Path) -> list[Annotation]:
    return [found for record in read_boxed_images(path) for found in record.annotations]


@pytest.mark.parametrize("text", CSV_OF_MASS.values(), ids=CSV_OF_MASS)
def test_every_csv_header_in_circulation_gives_the_same_box(tmp_path: Path, text: str) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_boxes(path) == [MASS]


def test_coco_gives_the_same_box_and_keeps_images_without_one(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(coco())
    records = read_boxed_images(path)
    assert [record.annotations for record in records] == [(MASS,), ()]
    assert [record.annotation_frame for record in records] == [(80, 100), None]


def test_voc_counts_pixels_from_one_and_its_corners_belong_to_the_box(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(voc())
    (record,) = read_boxed_images(tmp_path)
    assert record.annotations == (MASS,)
    assert record.annotation_frame == (80, 100)


def test_voc_files_of_one_image_add_up(tmp_path: Path) -> None:
    (tmp_path / "a_1.xml").write_text(voc())
    (tmp_path / "a_2.xml").write_text(voc(name="Nodule"))
    (record,) = read_boxed_images(tmp_path)
    assert [annotation.finding for annotation in record.annotations] == ["Mass", "Nodule"]


@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY e "ha"><!ENTITY f "&e;&e;">]>',
    ],
    ids=["names another file", "grows"],
)
def test_xml_with_entities_is_refused_unread(tmp_path: Path, body: str) -> None:
    (tmp_path / "a.xml").write_text(body + voc())
    with pytest.raises(CxrlocError, match="document type"):
        read_boxes(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("b.csv", "image,finding,x_min\n", "row 1: a list of boxes has the columns"),
        ("b.csv", "", "here: none"),
        ("b.csv", "image,finding,x,y,w,h\na,Mass,1,2,3,4\na,Mass,1,2,3,no\n", "row 3: height"),
        ("b.csv", "image,finding,x,y,w,h\na,Mass,1,2,nan,4\n", "row 2: width is 'nan'"),
        ("b.csv", "image,finding,x,y,w,h\na,Mass,1,2,3\n", "row 2: 5 cells"),
        ("b.csv", "image,finding,x,y,w,h\na,Mass,1,2,0,4\n", "row 2: a box needs x_min < x_max"),
        ("b.json", "{", "cannot be read as JSON"),
        ("b.json", "[]", "is not COCO JSON"),
        ("b.json", coco(categories=[]), "category_id 1 is not listed"),
        (
            "b.json",
            coco(annotations=[{"id": 3, "image_id": 7, "category_id": 1, "bbox": [1, 2, 0, 4]}]),
            "annotation 3: a box needs",
        ),
        (
            "b.json",
            coco(annotations=[{"id": 3, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3]}]),
            "annotation 3 is not an annotation of COCO",
        ),
        ("a.xml", voc(name=" "), "object 1: <name> is empty"),
        ("a.xml", voc(x_min="left"), "object 1: <bndbox/xmin> is 'left'"),
        ("a.xml", voc(x_min="41"), "object 1: a box needs x_min < x_max"),
        ("a.xml", "<annotation>", "cannot be read as XML"),
        ("a.txt", "", "no Pascal VOC XML"),
    ],
)
def test_a_bad_entry_is_named_with_the_rule_it_breaks(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(CxrlocError) as caught:
        read_boxes(tmp_path if path.suffix in (".xml", ".txt") else path)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_images_are_found_beside_the_boxes_and_patients_where_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpeg").touch()
    path = tmp_path / "boxes.csv"
    path.write_text("image,finding,x,y,w,h,patient\na,Mass,1,2,3,4,p1\nb,Mass,1,2,3,4,\n")
    first, second = read_dataset(path)
    assert (first.path, second.path) == (tmp_path / "images" / "a.jpeg", None)
    assert (first.patient_id, second.patient_id) == ("p1", "b")


def test_two_files_of_one_image_are_refused(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        (tmp_path / name).touch()
    path = tmp_path / "boxes.csv"
    path.write_text(CSV_OF_MASS["extent"])
    with pytest.raises(CxrlocError, match="keep one of them"):
        read_boxed_images(path)


def test_detections_need_no_score_and_keep_a_threshold(tmp_path: Path) -> None:
    path = tmp_path / "detections.csv"
    path.write_text(
        "image,finding,x_min,y_min,x_max,y_max,score,threshold\n"
        "a.png,Infiltrate,1,2,3,4,0.5,60\na.png,Mass,1,2,3,4,,\n"
    )
    first, second = read_detections(path)
    assert (first.finding, first.score, first.threshold) == ("Infiltration", 0.5, 60.0)
    assert (second.score, second.threshold) == (None, None)


def record_of(box: Box, frame: tuple[int, int] | None) -> Record:
    return Record(
        "a", "1", "a", None, annotations=(Annotation("a", "Mass", box),), annotation_frame=frame
    )


@pytest.mark.parametrize(
    ("frame", "shape", "box"),
    [
        ((1024, 1024), (1024, 1024), Box(100.0, 200.0, 300.0, 400.0)),
        ((1024, 1024), (512, 512), Box(50.0, 100.0, 150.0, 200.0)),
        ((1024, 1024), (512, 2048), Box(200.0, 100.0, 600.0, 200.0)),
        (None, (512, 512), Box(100.0, 200.0, 300.0, 400.0)),
        ((1024, 1024), (128, 128), Box(12.5, 25.0, 37.5, 50.0)),
        (None, (250, 250), Box(100.0, 200.0, 250.0, 250.0)),
    ],
    ids=["same", "half", "another shape", "no frame", "an eighth", "cut at the border"],
)
def test_boxes_go_to_a_copy_by_its_own_size(
    frame: tuple[int, int] | None, shape: tuple[int, int], box: Box
) -> None:
    moved = annotations_in_image(record_of(Box(100.0, 200.0, 300.0, 400.0), frame), *shape)
    assert moved.annotations[0].box == box
    assert moved.annotation_frame == shape


def test_a_box_outside_its_image_is_an_error() -> None:
    with pytest.raises(CxrlocError, match="outside the image"):
        annotations_in_image(record_of(Box(100.0, 0.0, 120.0, 10.0), None), 50, 100)


def test_a_crowd_region_of_coco_is_ignored_and_no_truth(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    entry = {"id": 3, "image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40], "iscrowd": 1}
    path.write_text(coco(annotations=[entry]))
    record = read_boxed_images(path)[0]
    assert record.annotations == ()
    assert record.ignored == (Annotation("a", "Mass", Box(10.0, 20.0, 40.0, 60.0)),)
    assert record.labels == {"Mass": Label.POSITIVE}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"images": [{"id": 7, "file_name": "a.png"}, {"id": 7, "file_name": "b.png"}]}, "id 7"),
        ({"images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "a.jpg"}]}, "same"),
        ({"categories": [{"id": 1, "name": "Mass"}, {"id": 1, "name": "Edema"}]}, "id 1"),
        ({"images": [{"id": 7, "file_name": "..", "width": 9, "height": 9}]}, "cannot name"),
        ({"images": [{"id": 7, "file_name": "a.png", "width": -9, "height": 9}]}, "of no image"),
    ],
)
def test_an_id_of_coco_means_one_thing(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    path = tmp_path / "b.json"
    path.write_text(coco(**changes))
    with pytest.raises(CxrlocError, match=expected):
        read_boxes(path)


def test_shares_of_the_image_are_refused_with_a_hint(tmp_path: Path) -> None:
    header = "image,finding,x_min,y_min,x_max,y_max\n"
    path = tmp_path / "b.csv"
    path.write_text(header + "a,Mass,0.1,0.2,0.5,1\nb,Mass,0,0,0.25,0.5\n")
    with pytest.raises(CxrlocError, match=r"row 2: all coordinates are at most 1, so .* shares"):
        read_detections(path)
    path.write_text(header + "a,Mass,0.1,0.2,0.5,1.5\n")
    assert len(read_detections(path)) == 1
    path = tmp_path / "b.json"
    entry = {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0.1, 0.2, 0.3, 0.4]}
    path.write_text(coco(annotations=[entry]))
    with pytest.raises(CxrlocError, match="annotation 3: all coordinates"):
        read_dataset(path)


def test_a_box_list_names_one_patient_per_image(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("image,finding,x,y,w,h,patient\na,Mass,1,2,3,4,7\na,Mass,5,6,7,8,9\n")
    with pytest.raises(CxrlocError, match="row 3: image a is of patient 9 here and of 7 above"):
        read_boxes(path)


def test_a_confidence_is_a_score(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("image_id,label,xmin,ymin,xmax,ymax,confidence\na.png,PT,1,2,3,4,0.5\n")
    (found,) = read_detections(path)
    assert (found.image_id, found.finding, found.score) == ("a", "Pleural_Thickening", 0.5)


def test_two_files_of_one_name_are_never_one_image(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    heading = "image,finding,x_min,y_min,x_max,y_max\n"
    path.write_text(heading + "p1/a.png,Mass,1,2,3,4\np2/a.png,Mass,5,6,7,8\n")
    with pytest.raises(CxrlocError, match=r"row 3: 'p2/a.png' and 'p1/a.png' .* image a"):
        read_boxes(path)
    there = {"p1_a": tmp_path / "p1/a.png", "p2_a": tmp_path / "p2/a.png"}
    assert [each.image_id for each in read_detections(path, there)] == ["p1_a", "p2_a"]


def test_a_blank_patient_among_named_ones_is_said(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("image,patient,finding,x,y,w,h\na,7,Mass,1,2,3,4\nb,NA,Mass,1,2,3,4\n")
    named, blank = read_dataset(path)
    assert [named.patient_id, blank.patient_id] == ["7", "b"]
    assert [NO_PATIENT in each.warnings for each in (named, blank)] == [False, True]


@pytest.mark.parametrize("blank", ["", "NA", "nan"])
def test_a_blank_score_is_no_score(tmp_path: Path, blank: str) -> None:
    path = tmp_path / "b.csv"
    path.write_text(f"image,finding,x,y,w,h,conf\na,Mass,1,2,3,4,0.7\nb,Mass,1,2,3,4,{blank}\n")
    assert [each.score for each in read_detections(path)] == [0.7, None]
