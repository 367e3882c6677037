"""`compare` on results that lie on disk."""

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrloc.datasets import read_dataset
from cxrloc.datasets.phantom import write_phantoms
from cxrloc.datasets.records import annotations_in_image
from cxrloc.evaluation.classification.prediction_files import write_predictions
from cxrloc.evaluation.localization.scores import ScoringProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.findings import CHESTXRAY8
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.pipeline.classify import ClassifyOptions, classify
from cxrloc.pipeline.compare import CompareOptions, compare
from cxrloc.types import CxrlocError, MatchRule, Predictions, UsageError

FEW = Resampling(resamples=20)
PROTOCOL = ScoringProtocol(rules=(MatchRule("iou", 0.3),), resampling=FEW, draws=1)
OPTIONS = CompareOptions(protocol=PROTOCOL, most=5)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders a and b of `classify`, boxes_a and boxes_b of `bench`, and the CSV files."""
    folder = tmp_path_factory.mktemp("runs")
    write_phantoms(folder / "chests", 30, seed=5, size=64)
    records = read_dataset(folder / "chests")
    # Found exactly, in the pixels of the images; the reader takes boxes to be in a 1024 frame.
    boxes = [
        (note.image_id, note.finding, *astuple(note.box))
        for record in records
        for note in annotations_in_image(record, 64, 64).annotations
    ]
    columns = ["image", "finding", "x_min", "y_min", "x_max", "y_max"]
    frame = pd.DataFrame(boxes, columns=columns)
    scores = np.random.default_rng(0).uniform(size=(2, len(records), 8))
    ids = tuple(record.image_id for record in records)
    for index, name in enumerate("ab"):
        write_predictions(Predictions(ids, CHESTXRAY8, scores[index]), folder / f"{name}.csv")
        classify(
            folder / "chests",
            folder / name,
            ClassifyOptions((), folder / f"{name}.csv", resampling=FEW),
        )
        frame[frame["finding"] != "Effusion" if index else slice(None)].to_csv(
            folder / f"boxes_{name}.csv", index=False
        )
        options = BenchOptions((), folder / f"boxes_{name}.csv", protocol=PROTOCOL)
        bench(folder / "chests", folder / f"boxes_{name}", options)
    return folder


def test_folders_of_classify_are_compared_on_the_data_they_name(runs: Path, tmp_path: Path) -> None:
    result = compare([runs / "a", runs / "b"], tmp_path, OPTIONS)
    assert result.run["probabilities.csv"]["units"] == 30
    names = {"differences", "rank_correlations", "disagreements"}
    assert {path.stem for path in tmp_path.glob("*.csv")} == names == set(result.frames)
    listed = pd.read_csv(tmp_path / "disagreements.csv")
    assert listed.columns.tolist() == ["image", "finding", "truth", "disagreement", "a", "b"]
    assert json.loads((tmp_path / "run.json").read_text())["data"] == str(runs / "chests")


def test_files_are_compared_as_their_folders_are(runs: Path, tmp_path: Path) -> None:
    options = CompareOptions(runs / "chests", protocol=PROTOCOL)
    files = compare([runs / "a.csv", runs / "b.csv"], tmp_path / "files", options)
    folders = compare([runs / "a", runs / "b"], tmp_path / "folders", OPTIONS)
    pd.testing.assert_frame_equal(files.frames["differences"], folders.frames["differences"])


def test_folders_of_bench_are_compared_by_their_boxes(runs: Path, tmp_path: Path) -> None:
    paths = [runs / "boxes_a", runs / "boxes_b"]
    frames = compare(paths, tmp_path, OPTIONS).frames
    rows = frames["localization_differences"].set_index("finding")
    assert rows.loc["Effusion", "difference"] == -1.0
    assert rows["difference"].drop(["Effusion", "mean"]).eq(0.0).all()
    first = frames["localization_disagreements"].iloc[0]
    assert (first["finding"], first["boxes_a"], first["boxes_b"]) == ("Effusion", 1.0, 0.0)


def test_images_that_a_run_did_not_see_are_left_out_and_counted(runs: Path, tmp_path: Path) -> None:
    blind = tmp_path / "blind"
    blind.mkdir()
    (blind / "detections.csv").write_bytes((runs / "boxes_a.csv").read_bytes())
    unseen = pd.read_csv(runs / "boxes_a.csv")["image"].iloc[0]
    card = {"data": {"name": str(runs / "chests")}, "missing_images": [unseen]}
    (blind / "run.json").write_text(json.dumps(card))
    run = compare([runs / "boxes_a", blind], tmp_path / "out", OPTIONS).run
    assert run["detections.csv"]["images_not_seen_by_all"] == 1
    assert min(run["detections.csv"]["left_out"].values()) > 0


def test_runs_scored_against_different_truth_are_refused_unless_data_are_named(
    runs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "probabilities.csv").write_bytes((runs / "b.csv").read_bytes())
    card = json.loads((runs / "b" / "run.json").read_text())
    card["data"]["truth_sha256"] = "0" * 64
    (other / "run.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match=r"different truth .*other 000000000000"):
        compare([runs / "a", other], tmp_path / "out", OPTIONS)
    named = CompareOptions(runs / "chests", protocol=PROTOCOL)
    assert compare([runs / "a", other], tmp_path / "out", named).frames.keys() >= {"differences"}


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a.csv", "b.csv"], "name nothing as their data: say which with --data"),
        (["a", "chests"], "chests: holds neither probabilities.csv nor detections.csv"),
        (["a", "c"], "c: no such file or folder"),
        (["a", "boxes_a"], "one has probabilities, another boxes"),
        (["a"], "two runs"),
    ],
)
def test_what_cannot_be_compared_is_said(
    runs: Path, tmp_path: Path, paths: list[str], message: str
) -> None:
    with pytest.raises(CxrlocError, match=message):
        compare([runs / path for path in paths], tmp_path, OPTIONS)


def test_a_run_is_not_overwritten(runs: Path) -> None:
    with pytest.raises(UsageError, match="would be overwritten"):
        compare([runs / "a", runs / "b"], runs / "a", OPTIONS)
