"""Folds of one recipe are trained one by one and scored together."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from typer.testing import Result

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.splits import SplitConfig, split_records
from cxrloc.inference import resumed
from cxrloc.inference.predict import predict
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.panels.auc import draw_auc_ranking
from cxrloc.panels.plots import FigureRequest
from cxrloc.pipeline import classify, classify_folds
from cxrloc.recipe import recipe_of_text
from cxrloc.recipe_of_model import own_recipe
from cxrloc.training.records import own_test_part
from cxrloc.types import Annotation, Box, Record, View
from tests.pipeline.tiny_training import TINY_RECIPE, run

RECIPE = TINY_RECIPE.format(split='kind = "resamplings"\nfolds = 2')


@pytest.fixture(scope="module")
def chests(phantoms: Path) -> Path:
    return phantoms


def trained(place: Path, chests: Path, *options: str | Path) -> Result:
    (place / "tiny.toml").write_text(RECIPE)
    where = ("--data", chests, "--cache", place / "cache", "--device", "cpu")
    return run("train", place / "tiny.toml", *where, *options)


@pytest.fixture(scope="module")
def models(chests: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One of each fold, the later first."""
    place = tmp_path_factory.mktemp("folds")
    for fold in ("1", "0"):
        done = trained(place, chests, "--fold", fold, "--out", place / fold)
        assert done.exit_code == 0, done.output
    return [place / fold / "model.safetensors" for fold in ("1", "0")]


def test_the_fold_is_in_the_run_card_and_travels_with_the_weights(models: list[Path]) -> None:
    described = json.loads((models[0].parent / "run.json").read_text())
    assert (described["data"]["fold"], described["data"]["folds"]) == (1, 2)
    assert described["recipe"]["data"]["split"]["fold"] == 1
    card = read_model(models[0]).card
    assert card.name == "Tiny, fold 1"
    assert recipe_of_text(card.recipe, "").data.split.fold == 1


@pytest.fixture(scope="module")
def scored(models: list[Path], chests: Path) -> tuple[Path, Result]:
    out = models[0].parent.parent / "scored"
    options = [option for path in models for option in ("--model", path)]
    done = run(*("classify", chests, "--folds", *options, "--out", out), *("--resamples", "20"))
    assert done.exit_code == 0, done.output
    return out, done


def test_each_fold_is_scored_on_its_own_test_part(scored: tuple[Path, Result], chests) -> None:
    records = read_chestxray14(chests)
    boxed = {record.patient_id for record in records if record.annotations}
    for fold in (0, 1):
        split = SplitConfig("resamplings", (0.5, 0.2, 0.3), fold, folds=2)
        test = split_records(records, split, always_test=boxed).test
        rows = pd.read_csv(scored[0] / f"fold-{fold}" / "probabilities.csv", dtype={"image": str})
        assert set(rows["image"]) == {record.image_id for record in test}


def test_mean_and_deviation_over_the_folds_are_written_and_shown(
    scored: tuple[Path, Result],
) -> None:
    out, done = scored
    table = pd.read_csv(out / "folds.csv").set_index(["metric", "finding"])
    assert set(table["note"]) == {"measured on synthetic radiographs, not on patients"}
    aucs = [
        pd.read_csv(out / f"fold-{fold}" / "auc.csv").query("group == 'all'").set_index("finding")
        for fold in (0, 1)
    ]
    for finding in ("Effusion", "Mass", "mean"):
        two = np.array([area.loc[finding, "auc"] for area in aucs])
        row = table.loc[("auc", finding)]
        assert row["folds"] == 2
        assert row["mean"] == pytest.approx(two.mean(), abs=1e-5)
        assert row["sd"] == pytest.approx(abs(two[0] - two[1]) / 2**0.5, abs=1e-5)
        assert (row["min"], row["max"]) == pytest.approx((two.min(), two.max()), abs=1e-5)
    assert "2 of 2 folds" in done.stdout
    assert json.loads((out / "run.json").read_text())["scored"].keys() == {"fold-0", "fold-1"}


def test_each_model_is_read_once_and_each_warning_said_once_with_its_folds(
    models: list[Path], chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def reading(name: str) -> Model:
        read.append(Path(name))
        return read_model(name)

    monkeypatch.setattr(classify_folds, "read_model", reading)
    monkeypatch.setattr(classify, "read_model", reading)
    for path in shutil.copytree(chests, tmp_path / "chests").rglob("*.png"):
        ImageOps.invert(Image.open(path)).save(path)
    named = [option for path in models for option in ("--model", path)]
    out = ("--resamples", "20", "--out", tmp_path / "out")
    done = run("classify", tmp_path / "chests", "--folds", *named, *out)
    assert sorted(read) == sorted(models)
    (line,) = [line for line in done.stderr.splitlines() if "looks inverted" in line]
    tested = [len(pd.read_csv(path)) for path in sorted(tmp_path.glob("out/*/probabilities.csv"))]
    assert line.endswith(f"({tested[0]} images of fold-0, {tested[1]} images of fold-1)")


def test_interrupted_folds_go_on_and_no_image_is_computed_twice(
    models: list[Path],
    chests: Path,
    scored: tuple[Path, Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = Path.replace
    predicted: list[str] = []

    def predicting(models: list[Model], images: Iterable, settings: object) -> Iterator:
        images = [*images]
        predicted.extend(f"{models[0].card.name} {image.image_id}" for image in images)
        return predict(models, images, settings)

    def interrupted(path: Path, target: Path) -> Path:
        if target.name == "run.json" and target.parent.name == "fold-1":
            raise KeyboardInterrupt
        return written(path, target)

    monkeypatch.setattr(resumed, "predict", predicting)
    named = [option for path in models for option in ("--model", path)]
    command = ("classify", chests, "--folds", *named, "--out", tmp_path, "--resamples", "20")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        assert run(*command).exit_code == 130
    before = len(predicted)
    assert run(*command).exit_code == 0
    assert before == len(predicted) == len(set(predicted))
    for path in ("folds.csv", "fold-0/probabilities.csv", "fold-1/probabilities.csv"):
        assert (tmp_path / path).read_bytes() == (scored[0] / path).read_bytes()


def test_the_folds_are_runs_that_a_panel_draws_together(scored: tuple[Path, Result]) -> None:
    figure = draw_auc_ranking([scored[0] / "fold-0", scored[0] / "fold-1"], FigureRequest())
    (legend,) = figure.legends
    assert "min to max of 2 runs" in legend.get_texts()[0].get_text()


def test_a_model_alone_is_scored_on_the_test_part_of_its_own_split(
    models: list[Path], chests: Path, scored: tuple[Path, Result], tmp_path: Path
) -> None:
    arguments = ("--split", "own", "--resamples", "20", "--out", tmp_path)
    assert run("classify", chests, "--model", models[0], *arguments).exit_code == 0
    together = scored[0] / "fold-1" / "probabilities.csv"
    assert (tmp_path / "probabilities.csv").read_text() == together.read_text()


def test_a_box_on_an_image_of_a_view_that_one_model_leaves_out_counts_for_the_next(
    models: list[Path], chests: Path
) -> None:
    first, second = map(read_model, models)
    text = first.card.recipe.replace("[data]", '[data]\nviews = ["PA"]')
    first = replace(first, card=replace(first.card, recipe=text))
    box = Annotation("ap", "Mass", Box(1, 2, 3, 4))
    pa = [Record(f"pa {n}", f"{n}", f"{n}", None, View.PA) for n in range(20)]
    ap = [Record(f"ap {n}", f"{n}", f"{n}", None, View.AP, annotations=(box,)) for n in range(20)]
    recipes = [own_recipe(first), own_recipe(second)]
    assert own_test_part(recipes, chests, [*pa, *ap]) == pa


@pytest.mark.parametrize(
    ("recipe", "fold", "message"),
    [
        ("", "2", "has folds 0 to 1"),
        ("phantom_few", "0", "--fold 0: the recipe phantom_few has no folds"),
    ],
)
def test_a_fold_that_is_not_there_is_wrong_usage(
    recipe: str, fold: str, message: str, chests: Path, tmp_path: Path
) -> None:
    if recipe:
        done = run("train", recipe, "--fold", fold, "--out", tmp_path)
    else:
        done = trained(tmp_path, chests, "--fold", fold, "--out", tmp_path)
    assert (done.exit_code, message in done.stderr) == (2, True)


def of_models(chests: Path, models: Sequence[str | Path], out: Path) -> Result:
    named = [option for model in models for option in ("--model", model)]
    return run("classify", chests, "--folds", *named, "--out", out)


def test_what_are_not_folds_of_one_recipe_is_wrong_usage(
    models: list[Path], chests: Path, tmp_path: Path
) -> None:
    twice = of_models(chests, [models[0], models[0]], tmp_path)
    assert (twice.exit_code, "are both fold 1" in twice.stderr) == (2, True)
    other = of_models(chests, [models[0], "phantom-v1"], tmp_path)
    assert (other.exit_code, "has no folds" in other.stderr) == (2, True)
