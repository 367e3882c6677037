"""`bench` writes every metric, of boxes or of maps, on box lists and on masks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxrloc.datasets import boxed_throughout
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.threshold_choice import ORACLE, ThresholdProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.image_sets import DataOptions
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions

PROTOCOL = ScoringProtocol((MatchRule("iou", 0.3),), resampling=Resampling(20), draws=1)
SIDE = 1024


@pytest.fixture(scope="module")
def pneumothoraces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images in SIIM's layout, each with an L-shaped mask, and maps that are these masks."""
    folder = tmp_path_factory.mktemp("siim")
    images, maps = folder / "dicom-images-train", folder / "maps"
    images.mkdir()
    maps.mkdir()
    rows = ["ImageId, EncodedPixels"]
    for i in range(10):
        truth = np.zeros((SIDE, SIDE), dtype=bool)
        top = 64 * i
        truth[top : top + 256, 128:256] = truth[top + 256 : top + 384, 128:512] = True
        runs = np.diff(np.flatnonzero(np.diff(truth.T.reshape(-1))) + 1, prepend=0)
        rows.append(f"image{i},{' '.join(map(str, runs))}")
        Image.fromarray(np.zeros((SIDE, SIDE), dtype=np.uint8)).save(images / f"image{i}.png")
        cells = truth.reshape(16, 64, 16, 64).mean(axis=(1, 3))
        np.savez(
            maps / f"image{i}.npz",
            findings=["Pneumothorax"],
            maps=cells[None],
            rows=SIDE,
            columns=SIDE,
        )
    (folder / "train-rle.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def scored(pneumothoraces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scored")
    thresholds = ThresholdProtocol(tuning_share=0.4, oracle=True)
    protocol = replace(PROTOCOL, thresholds=thresholds)
    options = BenchOptions((), maps=pneumothoraces / "maps", protocol=protocol)
    bench(pneumothoraces / "train-rle.csv", out, options)
    return out


def test_maps_are_scored_against_masks_not_against_the_boxes_around_them(scored: Path) -> None:
    metrics = pd.read_csv(scored / "metrics.csv")
    overlap = metrics[(metrics["metric"] == "miou") & (metrics["finding"] == "Pneumothorax")]
    tuned = overlap[overlap["chosen_on"].str.contains("tuning")].squeeze()
    # The mask fills 5/9 of its box, which a map of the box would have for its IoU.
    assert tuned["value"] > 0.9
    assert (tuned["n"], tuned["divisor"]) == (6, 6)
    assert 0 < tuned["threshold"] < 255


def test_an_oracle_s_choice_is_marked_in_every_output(scored: Path) -> None:
    run = json.loads((scored / "run.json").read_text())
    assert run["protocol"]["thresholds"]["oracle"] is True
    metrics = pd.read_csv(scored / "metrics.csv")
    chosen = metrics[metrics["chosen_on"] == ORACLE]
    assert set(chosen["n"]) == {10}
    page = (scored / "metrics.md").read_text()
    assert page.count(ORACLE) == (chosen["finding"] == "mean").sum()


def test_every_number_on_the_page_is_a_row(scored: Path) -> None:
    metrics = pd.read_csv(scored / "metrics.csv", keep_default_na=False)
    means = metrics[metrics["finding"].isin(["mean", "all findings"])]
    page = (scored / "metrics.md").read_text().splitlines()[2:]
    assert len(page) == len(means)
    for line, value in zip(page, means["value"].astype(float), strict=True):
        assert f"| {value:.4f} |" in line


def test_boxes_of_any_tool_get_the_metrics_of_boxes(scored: Path, pneumothoraces: Path) -> None:
    out = scored.parent / "boxes"
    options = BenchOptions((), scored / "detections.csv", protocol=PROTOCOL)
    bench(pneumothoraces / "train-rle.csv", out, options)
    metrics = pd.read_csv(out / "metrics.csv").set_index(["finding", "metric", "at"])
    with_maps = pd.read_csv(scored / "metrics.csv").set_index(["finding", "metric", "at"])
    assert "miou" not in metrics.index.get_level_values("metric")
    key = ("mean", "detection_average_precision", 0.5)
    assert metrics.loc[key, "value"].item() == with_maps.loc[key, "value"].item()


def test_an_own_finding_that_a_tool_never_found_is_scored_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "chests").mkdir()
    heading = "image,finding,x_min,y_min,x_max,y_max"
    truth, found = [heading], [heading]
    for name in "abcd":
        Image.new("L", (16, 16)).save(tmp_path / "chests" / f"{name}.png")
        truth.append(f"{name},{'Silicosis' if name < 'c' else 'Mass'},1,1,9,9")
        found.append(f"{name},Mass,1,1,9,9")
    (tmp_path / "truth.csv").write_text("\n".join(truth))
    (tmp_path / "found.csv").write_text("\n".join(found))
    data = DataOptions(boxes=tmp_path / "truth.csv")
    options = BenchOptions((), tmp_path / "found.csv", protocol=PROTOCOL, data=data)
    result = bench(tmp_path / "chests", tmp_path / "boxes", options)
    accuracy = pd.read_csv(tmp_path / "boxes/localization.csv").set_index("finding")["accuracy"]
    assert accuracy[["Silicosis", "Mass"]].tolist() == [0.0, 1.0]
    start = "the truth has boxes of 'Silicosis', which is no known finding"
    assert [n for text, n in result.claims.warnings.items() if text.startswith(start)] == [2]
    (tmp_path / "scores.csv").write_text("image,Mass\na,0.1\nb,0.2\nc,0.3\nd,0.4\n")
    scored = ClassifyOptions((), tmp_path / "scores.csv", resampling=Resampling(0), data=data)
    run = classify(tmp_path / "chests", tmp_path / "classes", scored).run
    assert [n for text, n in run["warnings"].items() if text.startswith(start)] == [2]


RSNA = """patientId,x,y,width,height,Target
boxed,100,100,200,200,1
clear,,,,,0
"""
CLAIMS = """image,finding,x_min,y_min,x_max,y_max,score
boxed,Pneumonia,100,100,300,300,0.9
clear,Pneumonia,500,500,600,600,0.8
"""


@pytest.mark.parametrize(
    ("population", "images", "without_box", "false_positives"),
    [("annotated", 1, 0, 0), ("all", 2, 1, 1)],
)
def test_boxes_on_an_image_without_truth_are_false_positives_where_all_images_count(
    tmp_path: Path, population: Any, images: int, without_box: int, false_positives: int
) -> None:
    (tmp_path / "stage_2_train_labels.csv").write_text(RSNA)
    (tmp_path / "claims.csv").write_text(CLAIMS)
    protocol = replace(PROTOCOL, population=population)
    result = bench(
        tmp_path, tmp_path / "out", BenchOptions((), tmp_path / "claims.csv", protocol=protocol)
    )
    assert (result.run["scored_images"], result.run["scored_images_without_box"]) == (
        images,
        without_box,
    )
    row = pd.read_csv(tmp_path / "out" / "localization.csv").iloc[0]
    assert (row["annotated"], row["hit"], row["heatmaps"]) == (1, 1, images)
    assert row["false_positives"] == false_positives


def test_unboxed_images_of_chestxray14_were_not_seen_by_experts(tmp_path: Path) -> None:
    (tmp_path / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000001_000.png,Mass,1,1,9,9,,,\n"
    )
    assert not boxed_throughout(tmp_path)
    (tmp_path / "other.json").write_text("{}")
    assert boxed_throughout(tmp_path / "other.json")


def test_a_reader_s_points_stand_beside_the_maps_hit_rate(tmp_path: Path) -> None:
    square = [[10, 20], [40, 20], [40, 60], [10, 60]]
    truth = {
        f"patient{i}_study1_view1_frontal": {"img_size": [80, 100], "Edema": [square]}
        for i in range(4)
    }
    names = list(truth)
    points = {
        names[0]: {"img_size": [80, 100], "Edema": [[90, 70], [12, 30]]},  # one of two hits
        names[1]: {"img_size": [80, 100], "Edema": [[45, 30]]},  # 5 pixels away
        names[2]: {"img_size": [80, 100], "Edema": [[90, 75]]},
    }
    for name, content in {"gt_annotations_val": truth, "points": points}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    boxes = f"image,finding,x_min,y_min,x_max,y_max\n{names[0]},Edema,10,20,40,60\n"
    (tmp_path / "claims.csv").write_text(boxes)
    options = BenchOptions(
        (), tmp_path / "claims.csv", points=tmp_path / "points.json", protocol=PROTOCOL
    )
    bench(tmp_path / "gt_annotations_val.json", tmp_path / "out", options)
    metrics = pd.read_csv(tmp_path / "out" / "metrics.csv").set_index(["finding", "metric"])
    assert metrics.loc[("Edema", "reader_hit_rate"), "value"].item() == 1 / 4
    assert metrics.loc[("mean", "reader_pointing_game"), "value"].item() == 2 / 4
    assert metrics.loc[("Edema", "reader_hit_rate"), "divisor"].item() == 4
