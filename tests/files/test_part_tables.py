"""The results of an archive are read part by part, and only complete parts."""

import json
from pathlib import Path

import numpy as np
import pytest

from cxrloc.archive.isolation import Item, Lost
from cxrloc.archive.plan import Part
from cxrloc.archive.tables import PartWriter, Rows
from cxrloc.datasets.boxes import read_detections
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.prediction_files import read_predictions
from cxrloc.files.part_tables import holds_parts, rows_of_parts
from cxrloc.inference.map_files import maps_in_parts
from cxrloc.types import Affine, Box, Detection

TO_IMAGE = [2.0, 0.0, 1.0, 0.0, 3.0, 0.0]


def item(row: int, name: str) -> Item:
    uri = f"file:///archive/{name}.dcm"
    findings = [
        (uri, f, 0.1, p, None, None, False, "ok", []) for f, p in (("Mass", 0.25), ("Edema", 0.5))
    ]
    box = (uri, "Mass", 1.0, 2.0, 3.0, 4.0, 60.0, 0.125)
    maps = [(uri, f, 0.25, 30, 20, 1, 2, TO_IMAGE, [row + 0.5, 2.0]) for f in ("Mass", "Edema")]
    return Item(row, uri, 0.0, Rows(findings, [box], maps))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two complete parts, an image that failed, and a part that was not finished."""
    write = PartWriter(str(tmp_path), maps=True)
    write(Part(1, 2, 1), [item(2, "c")])
    write(Part(0, 0, 2), [item(0, "a"), Item(1, "file:///archive/b.dcm", 0.0, Lost("read", "no"))])
    write(Part(2, 3, 1), [item(3, "d")])
    (tmp_path / "part-000002/_part.json").unlink()
    return tmp_path


def test_rows_come_in_the_order_of_the_manifest(results: Path, tmp_path: Path) -> None:
    assert holds_parts(results)
    assert not holds_parts(tmp_path / "part-000000")
    rows = [row.cells for row in rows_of_parts(results, "findings", ("finding", "uri"))]
    names = [(finding, Path(uri).stem) for finding, uri in rows]
    assert names == [("Mass", "a"), ("Edema", "a"), ("Mass", "c"), ("Edema", "c")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("_part.json", b""),
        ("_part.json", b'{"tables": 3}'),
        ("_part.json", b"{}"),
        ("findings.parquet", b""),
        ("findings.parquet", b"PAR1" + b"\0" * 40 + b"PAR1"),
        ("findings.parquet", b"PAR1" + b"\xff" * 40 + b"\x28\0\0\0PAR1"),  # damaged metadata
        ("findings.parquet", None),
    ],
)
def test_a_damaged_part_is_named(results: Path, name: str, content: bytes | None) -> None:
    path = results / "part-000001" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CxrlocError, match=f"part-000001/{name}"):
        [*rows_of_parts(results, "findings", ("finding", "uri"))]


def test_a_box_without_area_is_named(tmp_path: Path) -> None:
    flat = item(0, "a")
    corners = (flat.uri, "Mass", 1.0, 2.0, 1.0, 4.0, 60.0, 0.125)
    write = PartWriter(str(tmp_path), maps=False)
    write(Part(0, 0, 1), [Item(0, flat.uri, 0.0, Rows(flat.value.findings, [corners], []))])
    where = "part-000000/boxes.parquet, row 1, image file:///archive/a.dcm, is not a box: "
    with pytest.raises(CxrlocError, match=where):
        read_detections(tmp_path)


def test_boxes_are_detections(results: Path) -> None:
    box = Box(1.0, 2.0, 3.0, 4.0)
    assert read_detections(results) == [
        Detection(name, "Mass", box, threshold=60.0, score=0.125) for name in ("a", "c")
    ]


def test_probabilities_are_the_raw_ones(results: Path) -> None:
    read = read_predictions(results)
    assert read.image_ids == ("a", "c")
    assert read.findings == ("Mass", "Edema")
    assert read.probabilities.tolist() == [[0.25, 0.5]] * 2


def test_maps_keep_their_place_in_the_image(results: Path) -> None:
    (probabilities, first), (_, last) = maps_in_parts(results)
    assert probabilities.tolist() == [0.25, 0.25]
    assert (first.image_id, last.image_id) == ("a", "c")
    assert first.findings == ("Mass", "Edema")
    np.testing.assert_array_equal(last.scores, [[[2.5, 2.0]]] * 2)
    assert first.to_image == Affine(*TO_IMAGE)
    assert (first.image_rows, first.image_columns) == (30, 20)


@pytest.mark.parametrize(
    ("finding", "rows", "map_rows", "to_image", "rule"),
    [
        ("Mass", 30, 2, TO_IMAGE, "is not an image with maps of one size"),
        ("Mass", 30, None, TO_IMAGE, "is not an image with maps of one size"),
        ("Mass", 30, 1, TO_IMAGE[:5], "to_image must be 6 finite numbers"),
        ("Mass", 30, 1, None, "to_image must be 6 finite numbers"),
        ("Mass", 0, 1, TO_IMAGE, "rows and columns must be those of the image"),
        (None, 30, 1, TO_IMAGE, "findings must be text"),
    ],
)
def test_maps_that_break_a_rule_are_named_with_part_and_image(
    finding: str, rows: int, map_rows: int, to_image: list[float], rule: str, tmp_path: Path
) -> None:
    sound = item(0, "a")
    maps = [(sound.uri, finding, 0.25, rows, 20, map_rows, 2, to_image, [0.5, 2.0])]
    write = PartWriter(str(tmp_path), maps=True)
    write(Part(0, 0, 1), [Item(0, sound.uri, 0.0, Rows(sound.value.findings, [], maps))])
    where = "part-000000/maps.parquet, image file:///archive/a.dcm"
    with pytest.raises(CxrlocError, match=f"{where}:? {rule}"):
        [*maps_in_parts(tmp_path)]


def test_findings_of_maps_get_their_standard_names(tmp_path: Path) -> None:
    sound = item(0, "a")
    maps = [(sound.uri, "masses", 0.25, 30, 20, 1, 2, TO_IMAGE, [0.5, 2.0])]
    write = PartWriter(str(tmp_path), maps=True)
    write(Part(0, 0, 1), [Item(0, sound.uri, 0.0, Rows(sound.value.findings, [], maps))])
    ((_, heatmaps),) = maps_in_parts(tmp_path)
    assert heatmaps.findings == ("Mass",)


def test_results_without_maps_say_so(results: Path) -> None:
    for card in results.glob("part-*/_part.json"):
        content = json.loads(card.read_text())
        del content["tables"]["maps"]
        card.write_text(json.dumps(content))
    with pytest.raises(CxrlocError, match="archive --save-maps"):
        [*maps_in_parts(results)]


def test_two_images_of_one_file_name_are_told_apart_by_their_folders_or_refused(
    tmp_path: Path,
) -> None:
    write = PartWriter(str(tmp_path), maps=False)
    write(Part(0, 0, 2), [item(0, "p1/a"), item(1, "p2/a")])
    for read in (read_detections, read_predictions):
        with pytest.raises(CxrlocError, match=r"p2/a.dcm' and .*p1/a.dcm'.* would both be image a"):
            read(tmp_path)
    there = {"p1_a": Path("/archive/p1/a.dcm"), "p2_a": Path("/archive/p2/a.dcm")}
    assert [each.image_id for each in read_detections(tmp_path, there)] == ["p1_a", "p2_a"]
    assert read_predictions(tmp_path, images=there).image_ids == ("p1_a", "p2_a")
