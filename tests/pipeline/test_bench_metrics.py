"""`bench` writes every metric, of boxes or of maps, on box lists and on masks."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxrloc.evaluation.localization.scores import ScoringProtocol
from cxrloc.evaluation.localization.threshold_choice import ORACLE, ThresholdProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.types import MatchRule

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
    options = BenchOptions(
        (), maps=pneumothoraces / "maps", protocol=PROTOCOL, thresholds=thresholds
    )
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
    assert run["metrics_protocol"]["thresholds"]["oracle"] is True
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
