"""`compare` on results that lie on disk."""

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import spearmanr
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.datasets import read_dataset
from cxrloc.datasets.records import annotations_in_image
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.prediction_files import write_predictions
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.evaluation.run_comparison import CompareOptions
from cxrloc.findings import CHESTXRAY8
from cxrloc.inference.image_sets import DataOptions
from cxrloc.panels.matrices import draw_spearman
from cxrloc.panels.plots import FigureRequest, figure_style
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.pipeline.bench_again import score_boxes_again
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_again import score_again
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.pipeline.compare import compare, compare_folds
from cxrloc.types import Predictions

FEW = Resampling(resamples=20)
PROTOCOL = ScoringProtocol(rules=(MatchRule("iou", 0.3),), resampling=FEW, draws=1)
OPTIONS = CompareOptions(protocol=PROTOCOL, most=5)


@pytest.fixture(scope="module")
def runs(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders a and b of `classify`, boxes_a and boxes_b of `bench`, and the CSV files."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "chests").symlink_to(phantoms)
    records = read_dataset(folder / "chests")
    # Found exactly, in the pixels of the images; the reader takes boxes to be in a 1024 frame.
    boxes = [
        (note.image_id, note.finding, *astuple(note.box))
        for record in records
        for note in annotations_in_image(record, 32, 32).annotations
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
    assert result.run["probabilities.csv"]["units"] == 48
    names = {"differences", "rank_correlations", "disagreements"}
    assert {path.stem for path in tmp_path.glob("*.csv")} == names == set(result.frames)
    listed = pd.read_csv(tmp_path / "disagreements.csv")
    columns = ["image", "finding", "truth", "disagreement", "a", "b", "note"]
    assert listed.columns.tolist() == columns
    data = json.loads((tmp_path / "run.json").read_text())["data"]
    assert data["name"] == data["path"] == str(runs / "chests")
    assert data["synthetic"]
    for name in names:
        said = pd.read_csv(tmp_path / f"{name}.csv")["note"]
        assert set(said) == {"measured on synthetic radiographs, not on patients"}
    scored = json.loads((runs / "a" / "run.json").read_text())["data"]
    assert data["truth_sha256"] == scored["truth_sha256"]
    with figure_style():
        draw_spearman([tmp_path], FigureRequest())  # which takes the notes for no run


def test_no_finding_is_one_truth_for_runs_with_other_outputs(runs: Path, tmp_path: Path) -> None:
    """Equal scores of No Finding are equally good, whatever else each run predicts."""
    ids = tuple(record.image_id for record in read_dataset(runs / "chests"))
    scores = np.random.default_rng(5).uniform(size=(len(ids), 9))
    of_eight = Predictions(ids, (*CHESTXRAY8, "No Finding"), scores)
    of_two = Predictions(ids, ("Mass", "No Finding"), scores[:, [4, 8]])
    for name, predictions in {"eight": of_eight, "two": of_two}.items():
        write_predictions(predictions, tmp_path / f"{name}.csv")
    options = CompareOptions(runs / "chests", protocol=PROTOCOL)
    files = [tmp_path / "eight.csv", tmp_path / "two.csv"]
    frame = compare(files, tmp_path / "out", options).frames["differences"]
    assert "No Finding" in set(frame["finding"])
    assert frame["difference"].eq(0).all()


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
    card = {"data": {"path": str(runs / "chests")}, "missing_images": [unseen]}
    (blind / "run.json").write_text(json.dumps(card))
    run = compare([runs / "boxes_a", blind], tmp_path / "out", OPTIONS).run
    assert run["detections.csv"]["images_not_seen_by_all"] == 1
    assert min(run["detections.csv"]["left_out"].values()) > 0


def test_tables_joined_to_a_folder_of_images_are_found_again(tmp_path: Path) -> None:
    (tmp_path / "chests").mkdir()
    labels = ["image,patient,view,mass,coin lesion"]
    boxes = ["image,finding,x_min,y_min,x_max,y_max"]
    scores = ["image,Mass,Coin lesion"]
    for k, name in enumerate("abcdef"):
        Image.new("L", (16, 16)).save(tmp_path / "chests" / f"{name}.png")
        labels.append(f"{name},p{name},{'PA' if k < 4 else 'AP'},{k % 2},{k // 2 % 2}")
        boxes.append(f"{name},coin_lesion,1,1,9,{9 + k % 2}")
        scores.append(f"{name},0.{k},0.{9 - k}")
    tables = {"labels": labels, "boxes": boxes, "scores": scores}
    for name, rows in tables.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
    joined = DataOptions(labels=tmp_path / "labels.csv", boxes=tmp_path / "boxes.csv")
    for name in ("one", "two"):
        classify(
            tmp_path / "chests",
            tmp_path / name,
            ClassifyOptions(
                (),
                tmp_path / "scores.csv",
                labels=joined.labels,
                findings=("Coin lesion", "Mass"),
                resampling=FEW,
                data=joined,
            ),
        )
    own = compare([tmp_path / "one", tmp_path / "two"], tmp_path / "out", OPTIONS).run["data"]
    assert (
        own["truth_sha256"]
        == json.loads((tmp_path / "one/run.json").read_text())["data"]["truth_sha256"]
    )
    # Other labels take the place of those that the runs were scored with.
    (tmp_path / "new.csv").write_text(labels[0] + "\n" + "\n".join(labels[1:4]) + "\n")
    anew = CompareOptions(labels=tmp_path / "new.csv", protocol=PROTOCOL, most=5)
    run = compare([tmp_path / "one", tmp_path / "two"], tmp_path / "anew", anew).run
    assert run["labels_from"] == f"the file {tmp_path / 'new.csv'}"
    assert run["data"]["truth_sha256"] != own["truth_sha256"]
    score_again(tmp_path / "one", "AP", tmp_path / "ap")
    assert json.loads((tmp_path / "ap/run.json").read_text())["scored"]["units"] == 2
    found = BenchOptions((), tmp_path / "boxes.csv", protocol=PROTOCOL, data=joined)
    bench(tmp_path / "chests", tmp_path / "boxed", found)
    score_boxes_again(tmp_path / "boxed", "PA", tmp_path / "pa")
    assert pd.read_csv(tmp_path / "pa/localization.csv")["annotated"].max() == 4
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(UsageError, match=r"labels\.csv, the labels of these runs, is not here"):
        compare([tmp_path / "one", tmp_path / "two"], tmp_path / "out", OPTIONS)


def test_runs_scored_against_different_truth_are_refused_unless_data_are_named(
    runs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "probabilities.csv").write_bytes((runs / "b.csv").read_bytes())
    card = json.loads((runs / "b" / "run.json").read_text())
    card["data"]["truth_sha256"] = "0" * 64
    card |= {"contaminated_patients": "unknown", "model": {}}
    (other / "run.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match=r"different truth .*other 000000000000"):
        compare([runs / "a", other], tmp_path / "out", OPTIONS)
    named = CompareOptions(runs / "chests", protocol=PROTOCOL)
    result = compare([runs / "a", other], tmp_path / "out", named)
    rows = pd.read_csv(tmp_path / "out" / "differences.csv")["note"]
    assert rows.str.contains("contamination not checkable: the model of other ").all()
    assert [note for note in result.run["notes"] if "other was scored on other images" in note]
    assert not [note for note in result.run["notes"] if "a was scored" in note.split("other")[0]]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a.csv", "b.csv"], "name nothing as their data: say which with --data"),
        (["a", "chests"], "chests: holds neither probabilities.csv nor detections.csv"),
        (["a", "c"], "c: no such file or folder"),
        (["a", "boxes_a"], "one has probabilities and another has boxes"),
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


@pytest.fixture(scope="module")
def folds(runs: Path) -> Path:
    """Folders over/a and over/b, as of `classify --folds`: folds of 12 and of 18 images."""
    data = json.loads((runs / "a" / "run.json").read_text())["data"]["path"]
    for name in "ab":
        table = pd.read_csv(runs / f"{name}.csv", dtype={"image": str})
        for index, part in enumerate((table[:12], table[12:])):
            fold = runs / "over" / name / f"fold-{index}"
            fold.mkdir(parents=True)
            part.to_csv(fold / "probabilities.csv", index=False)
            card = {"data": {"path": data}, "contaminated_patients": 3 * index, "model": {}}
            (fold / "run.json").write_text(json.dumps(card))
    return runs / "over"


def test_over_folds_correlations_and_differences_are_means_of_the_folds(
    folds: Path, tmp_path: Path
) -> None:
    """Baltruschat et al. 2019, table 5; the oracle is scipy's Spearman correlation."""
    options = ("--resamples", "20", "--out", str(tmp_path))
    done = CliRunner().invoke(app, ["compare", str(folds / "a"), str(folds / "b"), *options])
    assert (done.exit_code, "Over 2 folds." in done.stdout) == (0, True), done.output
    of_fold = []
    for fold in ("fold-0", "fold-1"):
        a, b = (
            pd.read_csv(folds / name / fold / "probabilities.csv").set_index("image")
            for name in "ab"
        )
        of_fold.append(np.mean([spearmanr(a[f], b[f]).statistic for f in CHESTXRAY8]))
    matrix = pd.read_csv(tmp_path / "rank_correlations.csv").set_index("run")
    assert matrix.loc["a", "b"] == pytest.approx(np.mean(of_fold), abs=1e-5)
    assert (matrix.loc["a", "a"], matrix.loc["b", "b"]) == (1, 1)
    over = pd.read_csv(tmp_path / "differences.csv").query("finding == 'mean' and metric == 'auc'")
    single = [
        pd.read_csv(tmp_path / fold / "differences.csv")
        .query("finding == 'mean' and metric == 'auc'")["difference"]
        .item()
        for fold in ("fold-0", "fold-1")
    ]
    assert over["folds"].item() == 2
    assert over["note"].str.contains(r"model of a was trained on 3 .* patients \(fold-1\)").all()
    assert over["mean"].item() == pytest.approx(np.mean(single), abs=1e-5)
    assert over["sd"].item() == pytest.approx(np.std(single, ddof=1), abs=1e-5)


def test_runs_of_other_folds_are_not_compared(folds: Path, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"same folds; these have .*fold-0, fold-1; .*none"):
        compare_folds([folds / "a", runs / "boxes_a"], tmp_path, OPTIONS)
    with pytest.raises(UsageError, match="is one of the runs, or lies in it"):
        compare_folds([folds / "a", folds / "b"], folds / "b" / "fold-1", OPTIONS)
