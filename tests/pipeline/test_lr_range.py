import csv
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.training.lr_range import RangePoint
from tests.pipeline.torchrun import torchrun

FEW = """
extends = "phantom_few"
[data.phantom]
training_images = 8
validation_images = 0
[preprocessing]
size = 64
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "few.toml"
    path.write_text(FEW)
    return path


def lr_range(recipe: Path, tmp_path: Path, *options: str):
    where = ("--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"))
    return CliRunner().invoke(app, ["lr-range", str(recipe), *where, "--device", "cpu", *options])


def test_a_recipe_gives_a_table_and_a_plot(recipe: Path, tmp_path: Path) -> None:
    ran = lr_range(recipe, tmp_path, "--steps", "4", "--lowest", "1e-4", "--highest", "0.1")
    assert ran.exit_code == 0, ran.output
    rows = list(csv.DictReader((tmp_path / "out/lr_range.csv").read_text().splitlines()))
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([1e-4, 1e-3, 1e-2, 0.1])
    assert tuple(rows[0]) == (*RangePoint._fields, "note")
    assert rows[0]["note"] == "measured on synthetic radiographs, not on patients"
    written = [path for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")]
    assert {path.suffix for path in written} == {".csv", ".pdf", ".svg", ".png"}


def test_a_ramp_that_cannot_be_is_wrong_usage(recipe: Path, tmp_path: Path) -> None:
    ran = lr_range(recipe, tmp_path, "--lowest", "1", "--highest", "0.1")
    assert ran.exit_code == 2
    assert "0 < lowest < highest" in ran.output


def test_a_fold_is_one_that_the_recipe_has(recipe: Path, tmp_path: Path) -> None:
    ran = lr_range(recipe, tmp_path, "--fold", "0")
    assert (ran.exit_code, "has no folds" in ran.output) == (2, True)


@pytest.mark.slow
def test_two_processes_measure_what_one_does(recipe: Path, tmp_path: Path) -> None:
    steps = ("--steps", "3", "--lowest", "1e-4", "--highest", "0.1")
    assert lr_range(recipe, tmp_path, *steps).exit_code == 0
    two = (str(recipe), "--out", str(tmp_path / "two"), "--cache", str(tmp_path / "cache"))
    done = torchrun(2, "lr-range", *two, "--device", "cpu", *steps)
    assert done.returncode == 0, done.stderr[-2000:]
    one, shared = (pd.read_csv(tmp_path / name / "lr_range.csv") for name in ("out", "two"))
    pd.testing.assert_frame_equal(one, shared, rtol=1e-4)
    assert done.stdout.count("Table and plot are in") + done.stderr.count("Table and plot") == 1
