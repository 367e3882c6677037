"""`--html`: the page of a run, as a user asks for it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.findings import CHESTXRAY8
from cxrloc.localization.boxes import SCORE
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import write_phantoms

pytestmark = pytest.mark.usefixtures("without_roc_figure")


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "chests"
    write_phantoms(folder, n=10, seed=3, size=64)
    return folder


def page_of(command: str, *arguments: str | Path) -> dict[str, Any]:
    """Run a command with `--html` and read the data out of its page."""
    out = Path(arguments[-1])
    done = CliRunner().invoke(app, [command, *map(str, arguments), "--html", "--resamples", "20"])
    assert done.exit_code == 0, done.output
    page = (out / "report.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def scored(
    chests: Path, untrained_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The folder of a run of `bench`, and the data of its page."""
    out = tmp_path_factory.mktemp("scored")
    return out, page_of("bench", chests, "--model", untrained_model, "--out", out)


def test_a_bench_run_has_a_page_with_its_counts_and_its_run_card(
    scored: tuple[Path, dict[str, Any]],
) -> None:
    out, data = scored
    table = pd.read_csv(out / "localization.csv")
    hits = table.pivot_table("hit", ["criterion", "threshold"], "finding", sort=False)
    columns = [*data["findings"], "mean"]
    of_rules = [(rule["criterion"], rule["threshold"]) for rule in data["rules"]]
    expected = pd.DataFrame(data["expected"]["hit"], of_rules, columns)
    assert (hits.loc[of_rules, columns].to_numpy() - expected.to_numpy()).max() <= 1
    assert data["run"] == json.loads((out / "run.json").read_text())
    assert all(image["picture"] for image in data["images"])
    assert {"patient_id", "study_id"}.isdisjoint(str(data["images"]) + str(data["pairs"]))
    assert SCORE in data["note"]


def test_boxes_of_another_tool_have_a_page_without_maps(
    chests: Path, scored: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    boxes = scored[0] / "detections.csv"
    data = page_of("bench", chests, "--detections", boxes, "--out", tmp_path)
    assert data["maps"] == ""
    assert data["state"]["thresholds"] == []
    shown = sum(len(pair["boxes"] or []) for pair in data["pairs"])
    assert shown == len(pd.read_csv(boxes))
    assert all(image["picture"] for image in data["images"])
    assert SCORE not in data["note"]  # the scale of another tool's scores is not known


def test_boxes_of_another_rule_stand_over_the_maps(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    rule = ("--box-rule", "hottest-share")
    data = page_of("bench", chests, "--model", untrained_model, *rule, "--out", tmp_path)
    assert data["maps"]
    assert data["state"]["thresholds"] == []
    assert "hottest-share" in data["quantisation"]
    scored = [pair for pair in data["pairs"] if pair["scored"]]
    assert all(pair["map"] for pair in scored)
    assert all(len(pair["boxes"] or []) <= 1 for pair in scored)
    boxes = pd.read_csv(tmp_path / "detections.csv")
    assert sum(len(pair["boxes"] or []) for pair in data["pairs"]) == len(boxes)


def test_a_classify_run_has_a_page_with_maps_of_its_images(
    chests: Path, untrained_model: Path, tmp_path: Path
) -> None:
    plain, calibrated = read_model(untrained_model), tmp_path / "calibrated.safetensors"
    card = replace(plain.card, calibration=dict.fromkeys(plain.card.findings, (1.0, -2.0)))
    write_model(calibrated, plain.network, plain.preprocessing, card)
    out = tmp_path / "out"
    data = page_of("classify", chests, "--model", calibrated, "--out", out)
    assert len(data["images"]) == 10
    assert len(data["pairs"]) == 10 * 8
    assert sum(pair["map"] is not None for pair in data["pairs"]) >= 10 * 3
    tables = {"probability": "probabilities.csv", "raw": "raw_probabilities.csv"}
    for kind, name in tables.items():
        values = pd.read_csv(out / name, index_col="image")
        for pair in data["pairs"]:
            own = values[pair["finding"]].iloc[pair["image"]]
            assert pair["map"] is None or pair[kind] == pytest.approx(own, abs=1e-5)
    assert SCORE in data["note"]
    areas = pd.read_csv(out / "auc.csv").query("group == 'all'").set_index("finding")["auc"]
    for row in data["measurements"]:
        if (row["metric"], row["group"]) == ("auc", "all") and row["value"] is not None:
            assert row["value"] == pytest.approx(areas[row["finding"]], abs=1e-5)


def test_probabilities_of_another_tool_have_a_page_without_maps(
    chests: Path, tmp_path: Path
) -> None:
    names = sorted(path.stem for path in (chests / "images").glob("*.png"))
    boxes = pd.read_csv(chests / "BBox_List_2017.csv")
    finding = next(name for name in boxes["Finding Label"] if name != "Infiltrate")
    given = tmp_path / "given.csv"
    pd.DataFrame({"image": names, finding: np.linspace(0, 1, 10)}).to_csv(given, index=False)
    data = page_of("classify", chests, "--predictions", given, "--out", tmp_path / "out")
    assert dict(data["card"])["Thresholds"]
    assert data["maps"] == ""
    assert all(image["picture"] for image in data["images"])


def test_without_an_operating_point_the_card_has_no_line_of_thresholds(
    chests: Path, tmp_path: Path
) -> None:
    names = sorted(path.stem for path in (chests / "images").glob("*.png"))
    labels = "|".join(pd.read_csv(chests / "Data_Entry_2017.csv")["Finding Labels"])
    absent = next(finding for finding in CHESTXRAY8 if finding not in labels)
    given = tmp_path / "given.csv"
    pd.DataFrame({"image": names, absent: np.linspace(0, 1, 10)}).to_csv(given, index=False)
    data = page_of("classify", chests, "--predictions", given, "--out", tmp_path / "out")
    assert "Thresholds" not in dict(data["card"])
