"""A split by image: the effect of its leak can be measured, and every output names the leak."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import Result

from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.models.weights import read_model
from cxrloc.panels.results import leaks
from tests.pipeline.tiny_training import TINY_RECIPE, run

RECIPE = TINY_RECIPE.format(split='kind = "image"')


@pytest.fixture(scope="module")
def place(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms, and a model that was trained by a split by image."""
    place = tmp_path_factory.mktemp("leak")
    (place / "chests").symlink_to(phantoms)
    (place / "tiny.toml").write_text(RECIPE)
    where = ("--data", place / "chests", "--cache", place / "cache", "--device", "cpu")
    done = run("train", place / "tiny.toml", *where, "--out", place)
    assert done.exit_code == 0, done.output
    return place


@pytest.fixture(scope="module")
def scored(place: Path) -> Result:
    """The model on the test part of its own split, in the folder `out`."""
    options = ("--split", "own", "--resamples", "5", "--out", place / "out")
    done = run("classify", place / "chests", "--model", place / "model.safetensors", *options)
    assert done.exit_code == 0, done.output
    return done


def test_its_own_test_part_is_scored_and_every_output_says_that_patients_leak(
    place: Path, scored: Result
) -> None:
    model, out = place / "model.safetensors", place / "out"
    leak = "split by image: some of these patients trained the model"
    assert f"Warning: {leak} (" in scored.stderr
    assert f"{leak}." in (out / "table.md").read_text()
    assert pd.read_csv(out / "auc.csv")["note"].str.startswith(leak).all()
    card = json.loads((out / "run.json").read_text())
    images = set(pd.read_csv(out / "probabilities.csv", dtype=str)["image"])
    records = [r for r in read_chestxray14(place / "chests") if r.image_id in images]
    leaked = contaminated_patients(records, read_model(model).card.training_patients)
    assert card["contaminated_patients"] == len(leaked) > 0
    assert card["warnings"][leak] == sum(record.patient_id in leaked for record in records)
    assert "patients leak" in card["model"]["limits"]  # the words under the figure


@pytest.mark.usefixtures("scored")
def test_what_is_made_of_its_scores_says_so_too(place: Path) -> None:
    out, again, compared = place / "out", place / "again", place / "compared"
    run("classify", place / "chests", "--predictions", out / "probabilities.csv", "--out", again)
    done = run("compare", out, again, "--data", place / "chests", "--out", compared)
    assert done.exit_code == 0, done.output
    differences = pd.read_csv(compared / "differences.csv")
    assert set(differences["run_a"]) == {"out (patients leak)"}
    assert set(differences["run_b"]) == {"again"}
    assert "out (patients leak)" in (compared / "table.md").read_text()
    for panel, result in (("roc", out), ("training", place)):
        done = run("figure", panel, result, "--out", place / f"{panel}.svg")
        assert done.exit_code == 0, done.output
        assert "patients leak" in (place / f"{panel}.svg").read_text()
    assert not leaks(again)


def test_other_images_of_its_patients_are_refused_as_ever(place: Path) -> None:
    done = run("classify", place / "chests", "--model", place / "model.safetensors")
    assert done.exit_code == 1
    assert "its scores here would mean nothing" in done.stderr
