"""Boxes and maps of other tools: which of them match the data, and the messages about others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.localization.claims import (
    check_operating_points,
    claims_of_detections,
    claims_of_maps,
)
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scores import score_localization
from cxrloc.evaluation.localization.tables import grid, rows_of
from cxrloc.evaluation.resampling import Resampling
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.types import Annotation, Box, Record

HEADING = "image,finding,x_min,y_min,x_max,y_max,score\n"


def record(name: str, finding: str = "Mass", path: Path | None = None) -> Record:
    truth = Annotation(name, finding, Box(100.0, 200.0, 300.0, 260.0))
    return Record(name, name, name, path, annotations=(truth,))


def detections(folder: Path, *rows: str) -> Path:
    path = folder / "det.csv"
    path.write_text(HEADING + "".join(f"{row}\n" for row in rows))
    return path


def test_boxes_are_scored_without_any_image_on_this_disk(tmp_path: Path) -> None:
    path = detections(tmp_path, "a,Mass,100,200,300,260,0.9", "b,Mass,100,200,300,260,0.5")
    claims = claims_of_detections([record("a"), record("b")], path)
    protocol = ScoringProtocol((MatchRule("iou", 0.5),), resampling=Resampling(0))
    scores = score_localization(claims.records, claims.detections, protocol)
    assert grid(rows_of(scores.measurements), "accuracy").tolist() == [[1.0, 1.0]]
    assert not claims.failures
    assert not claims.warnings


def test_detections_of_other_images_alone_are_an_error_with_an_example_of_both(
    tmp_path: Path,
) -> None:
    path = detections(tmp_path, "q0,Mass,1,2,3,4,1", "q1,Mass,1,2,3,4,1")
    with pytest.raises(CxrlocError, match=r"det\.csv: none of its 2 images .*'q0'.*such as 'a'"):
        claims_of_detections([record("a")], path)


def test_detections_that_match_in_part_are_counted_on_both_sides(tmp_path: Path) -> None:
    path = detections(tmp_path, "a,Mass,1,2,3,4,1", "q1,Mass,1,2,3,4,1")
    claims = claims_of_detections([record("a"), record("b"), record("c")], path)
    (text,) = claims.warnings
    assert "1 of its 2 images, such as 'q1', are not scored" in text
    assert "2 of the 3 images of the data have no box there" in text


def test_detections_of_other_findings_are_named_and_an_error_where_all_are(tmp_path: Path) -> None:
    both = detections(tmp_path, "a,Mass,1,2,3,4,1", "a,Hernia,1,2,3,4,1")
    (text,) = claims_of_detections([record("a")], both).warnings
    assert "boxes of Hernia are not scored" in text
    other = detections(tmp_path, "a,Hernia,1,2,3,4,1")
    with pytest.raises(CxrlocError, match=r"no box of its findings \(Hernia\), but boxes of Mass"):
        claims_of_detections([record("a")], other)


def test_truth_wholly_outside_its_image_is_named_where_nothing_else_is_left(tmp_path: Path) -> None:
    outside = Box(900.0, 10.0, 950.0, 20.0)  # the image has 600 columns
    truth = Annotation("a", "Mass", outside, where="boxes.csv, row 2")
    boxed = replace(record("a", path=image(tmp_path, "a")), annotations=(truth,))
    path = detections(tmp_path, "a,Mass,1,2,3,4,1")
    with pytest.raises(CxrlocError, match=r"the first: boxes.csv, row 2: .* lies outside"):
        claims_of_detections([boxed], path)


def test_a_box_that_is_there_twice_counts_twice_and_is_said(tmp_path: Path) -> None:
    path = detections(tmp_path, "a,Mass,1,2,3,4,1", "a,Mass,1,2,3,4,1", "b,Mass,1,2,3,4,1")
    claims = claims_of_detections([record("a"), record("b")], path)
    assert len(claims.detections) == 3
    text = (
        f"{path}: images have the same box with the same score twice, such as a; each counts as a "
        "detection. If this is an export error, remove one"
    )
    assert claims.warnings == {text: 1}


def test_a_list_without_boxes_finds_nothing(tmp_path: Path) -> None:
    path = detections(tmp_path)
    claims = claims_of_detections([record("a")], path)
    assert claims.detections == []
    assert claims.warnings == {f"{path}: it has no box, so every expert's box is missed": 1}


def write_map(path: Path, rows: object = 400, columns: object = 600, **others: object) -> None:
    arrays = {"findings": ["Mass"], "maps": np.eye(4)[None], "rows": rows, "columns": columns}
    np.savez(path, **arrays | others)


def image(folder: Path, name: str) -> Path:
    path = folder / f"{name}.png"
    Image.fromarray(np.zeros((400, 600), dtype=np.uint8)).save(path)
    return path


def test_maps_are_compared_with_the_size_of_the_image_file(tmp_path: Path) -> None:
    records = [record("a", path=image(tmp_path, "a")), record("b", path=image(tmp_path, "b"))]
    write_map(tmp_path / "a.npz", rows=600, columns=400)
    write_map(tmp_path / "b.npz")
    claims = claims_of_maps(records, tmp_path, [60.0])
    (failure,) = claims.failures
    assert failure.image_id == "a"
    assert "600 x 400, are not those of a.png, 400 x 600; rows and columns are exchanged" in (
        failure.reason
    )
    assert [each.image_id for each in claims.records] == ["b"]


def test_maps_of_other_findings_are_an_error_and_of_misspelt_ones_a_warning(tmp_path: Path) -> None:
    for name, finding in (("a", "Mass"), ("b", "Maas"), ("c", "Hernia")):
        write_map(tmp_path / f"{name}.npz", findings=[finding])
    records = [record(name) for name in "abc"]
    (text,) = claims_of_maps(records, tmp_path, [60]).warnings
    assert "maps of Maas are not scored, since the data has none" in text
    with pytest.raises(CxrlocError, match=r"no box of its findings \(Hernia\), but boxes of Mass"):
        claims_of_maps([record("c")], tmp_path, [60])


def test_missing_maps_are_counted_and_not_failures(tmp_path: Path) -> None:
    write_map(tmp_path / "a.npz")
    write_map(tmp_path / "other.npz")
    claims = claims_of_maps([record("a"), record("b")], tmp_path, [60.0])
    assert claims.without_map == ("b",)
    assert not claims.failures
    (text,) = claims.warnings
    assert "such as 'other', are not scored; 1 of the 2 images of the data have no map" in text


def test_a_folder_without_a_map_of_these_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match=r"none of its 0 images \(there is no map\)"):
        claims_of_maps([record("a")], tmp_path, [60.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_that_is_not_finite_claims_nothing_and_its_box_is_missed(
    tmp_path: Path, bad: float
) -> None:
    broken = np.eye(4)
    broken[0, 0] = bad
    maps = np.stack([broken, np.eye(4)])
    write_map(tmp_path / "a.npz", findings=["Mass", "Nodule"], maps=maps)
    truth = (*record("a").annotations, *record("a", "Nodule").annotations)
    claims = claims_of_maps([replace(record("a"), annotations=truth)], tmp_path, [60.0])
    assert not claims.failures
    assert {each.finding for each in claims.detections} == {"Nodule"}
    (text,) = claims.warnings
    assert text.startswith("maps with NaN or infinite values, such as that of Mass in a, give no")
    protocol = ScoringProtocol((MatchRule("iou", 0.0),), resampling=Resampling(0))
    scores = score_localization(claims.records, claims.detections, protocol, claims.heatmaps)
    assert (scores.boxes, scores.maps_degenerate) == (2, 1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"rows": "400"}, "rows must be 1 finite numbers"),
        ({"probabilities": ["high"]}, "probabilities must be 1 finite numbers"),
        ({"probabilities": [1.5]}, "probabilities must lie between 0 and 1"),
        ({"findings": ["Mass", "mass"], "maps": np.ones((2, 2, 2))}, "Mass is there twice"),
        ({"maps": [[["a"]]]}, "maps must be numbers"),
        ({"to_image": [1.0, np.nan, 0, 0, 1, 0]}, "to_image must be 6 finite numbers"),
    ],
)
def test_a_map_file_that_cannot_be_used_is_named(
    tmp_path: Path, arrays: dict[str, object], message: str
) -> None:
    write_map(tmp_path / "a.npz", **arrays)
    with pytest.raises(CxrlocError, match=rf"a\.npz: .*{message}"):
        claims_of_maps([record("a")], tmp_path, [60.0])


def test_an_array_named_npz_is_no_map_file(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.eye(4))
    with pytest.raises(CxrlocError, match=r"a\.npz: not an npz file"):
        claims_of_maps([record("a")], tmp_path, [60.0])


def test_predicted_pairs_need_an_operating_point_of_every_finding() -> None:
    card = ModelCard("mine", "nothing", ("Mass", "Nodule"), operating_points={"Mass": 0.5})
    model = Model(torch.nn.Identity(), None, Preprocessing(8), card)
    with pytest.raises(UsageError, match="mine has no operating point for Nodule"):
        check_operating_points([model])
