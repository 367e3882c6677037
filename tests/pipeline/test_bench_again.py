import re
from pathlib import Path

import pandas as pd
import pytest

from cxrloc.datasets import read_dataset
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.panels.plots import FigureRequest
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.pipeline.bench_again import score_boxes_again
from cxrloc.pipeline.figure import figure

RULES = (MatchRule("iobb", 0.1), MatchRule("iou", 0.5))
PROTOCOL = ScoringProtocol(RULES, resampling=Resampling(20))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose boxes are a half of each expert's box, and of the whole image for Mass."""
    folder = tmp_path_factory.mktemp("again")
    write_phantoms(folder / "chests", 36, seed=7, size=32)
    rows = ["image,finding,x_min,y_min,x_max,y_max,score"]
    for k, record in enumerate(read_dataset(folder / "chests")):
        for each in record.annotations:
            box, scale = each.box, 32 / 1024
            corners = (box.x_min, box.y_min, (box.x_min + box.x_max) / 2, box.y_max)
            x_min, y_min, x_max, y_max = (corner * scale for corner in corners)
            if each.finding == "Mass":
                x_min, y_min, x_max, y_max = 0, 0, 32, 32
            rows.append(f"{record.image_id},{each.finding},{x_min},{y_min},{x_max},{y_max},.{k:02}")
    (folder / "boxes.csv").write_text("\n".join(rows))
    bench(
        folder / "chests", folder / "run", BenchOptions((), folder / "boxes.csv", protocol=PROTOCOL)
    )
    return folder / "run"


@pytest.mark.parametrize("view", ["PA", "AP"])
def test_a_part_scored_again_has_the_numbers_of_its_view(
    run: Path, tmp_path: Path, view: str
) -> None:
    """`views.csv` was written by the run itself, from the same boxes."""
    score_boxes_again(run, view, tmp_path / view)
    again = pd.read_csv(tmp_path / view / "localization.csv")
    views = pd.read_csv(run / "views.csv")
    own = views[views["view"] == view].drop(columns=["view", "note"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, own, check_dtype=False)
    whole = pd.read_csv(run / "localization.csv")
    assert again["annotated"].max() < whole["annotated"].max()


def test_images_that_the_run_did_not_score_are_not_misses(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    boxes = pd.read_csv(run / "detections.csv")
    gone = boxes["image"].iloc[0]
    other.mkdir()
    boxes[boxes["image"] != gone].to_csv(other / "detections.csv", index=False)
    card = (
        (run / "run.json")
        .read_text()
        .replace('"missing_images": []', f'"missing_images": ["{gone}"]')
    )
    (other / "run.json").write_text(card)
    score_boxes_again(other, "frontal", tmp_path / "again")
    means = pd.read_csv(tmp_path / "again" / "localization.csv").query("criterion == 'iobb'")
    assert (
        means.query("threshold == 0.1 and finding != 'mean' and finding != 'Mass'")["accuracy"]
        .eq(1)
        .all()
    )


def test_figures_of_boxes_are_drawn_of_one_projection(run: Path, tmp_path: Path) -> None:
    figure("froc", [run], tmp_path / "froc.svg", FigureRequest(projection="PA"))
    assert "PA images only" in re.sub(r"\s+", " ", (tmp_path / "froc.svg").read_text())


def test_what_cannot_be_scored_again_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match="--projection lateral: none of"):
        score_boxes_again(run, "lateral", tmp_path / "a")
    with pytest.raises(UsageError, match=r"not a folder of `cxrloc bench`"):
        score_boxes_again(run / "localization.csv", "PA", tmp_path / "a")
    other = tmp_path / "other"
    other.mkdir()
    (other / "detections.csv").write_bytes((run / "detections.csv").read_bytes())
    card = (run / "run.json").read_text()
    (other / "run.json").write_text(re.sub('"truth_sha256": "..', '"truth_sha256": "__', card))
    with pytest.raises(UsageError, match="other boxes than the run"):
        score_boxes_again(other, "PA", tmp_path / "a")
    (other / "run.json").write_text(card.replace('"annotated"', '"predicted"', 1))
    with pytest.raises(UsageError, match="operating points"):
        score_boxes_again(other, "PA", tmp_path / "a")
