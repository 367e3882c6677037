"""`cxrloc train` from the folder to the model."""

import json
import re
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import Result

from cxrloc.datasets.boxed_patients import refuse_boxed
from cxrloc.datasets.chestxray14 import read_chestxray14
from cxrloc.datasets.splits import draw_patients
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.files.run_folder import held_folder
from cxrloc.images.read import read_radiograph
from cxrloc.inference.image_sets import DataOptions
from cxrloc.inference.predict import predict
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.models import feature_distance
from cxrloc.models.card import card_patient
from cxrloc.models.weights import read_model
from cxrloc.recipe import read_recipe, recipe_of_text
from cxrloc.recipe_names import RECIPES
from cxrloc.training.data import training_data
from cxrloc.types import View
from tests.pipeline.tiny_training import run
from tests.pipeline.torchrun import torchrun

README = Path(__file__).parents[2] / "README.md"
RECIPE = """
title = "Tiny"
[data]
reader = "chestxray14"
[data.split]
kind = "ratios"
ratios = [0.6, 0.2, 0.2]
[preprocessing]
size = 64
[augmentation]
mirror = 0.5
rotation_degrees = 5
[network]
backbone = "small_resnet"
findings = ["Effusion", "Mass", "Nodule", "Cardiomegaly"]
transition_channels = 8
[fit]
batch_size = 8
accumulation = 2
steps = 9
validate_every = 3
averaging = 0.5
loss = "w_cel"
frozen_normalisation = true
[fit.schedule]
learning_rate = 3e-3
"""


def numbers(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "metrics.csv").drop(columns="images_per_second")


@pytest.fixture(scope="module")
def chests(phantoms: Path) -> Path:
    return phantoms


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "tiny.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def command(chests: Path, place: Path) -> list[str]:
    return [
        *("train", str(place / "tiny.toml"), "--data", str(chests)),
        *("--cache", str(place / "cache"), "--device", "cpu"),
    ]


@pytest.fixture(scope="module")
def trained(command: list[str], place: Path) -> tuple[Path, Result]:
    """One whole run, and what it printed."""
    out = place / "whole"
    done = run(*command, "--out", out)
    assert done.exit_code == 0, done.output
    return out, done


def test_the_model_carries_its_recipe_its_patients_and_where_it_comes_from(
    trained: tuple[Path, Result], chests: Path
) -> None:
    out, _ = trained
    card = read_model(out / "model.safetensors").card
    assert card.recipe == RECIPE
    assert card.findings == ("Effusion", "Mass", "Nodule", "Cardiomegaly")
    assert {"split_sha256", "training_sha256", "seed", "torch"} <= set(card.provenance)
    described = json.loads((out / "run.json").read_text())
    assert described["data"]["split_sha256"] == card.provenance["split_sha256"]
    assert card.training_images == described["data"]["parts"]["train"]["images"]
    assert len(card.training_patients) == described["data"]["parts"]["train"]["patients"]
    records = read_chestxray14(chests)
    boxed = [record for record in records if record.annotations]
    assert boxed
    assert not contaminated_patients(boxed, card.training_patients)
    judges = contaminated_patients(records, card.validation_patients)
    assert len(judges) == described["data"]["parts"]["validation"]["patients"]
    assert not {*card.validation_patients} & {*card.training_patients}


def test_a_second_training_into_one_folder_is_refused(command: list[str], tmp_path: Path) -> None:
    with held_folder(tmp_path):
        done = run(*command, "--resume", "--out", tmp_path)
    assert (done.exit_code, "another run is writing there" in done.stderr) == (2, True)
    assert not (tmp_path / "last.ckpt").exists()


def test_private_patients_are_listed_beside_the_model_where_there_is_no_key(
    command: list[str], chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXRLOC_PATIENT_KEY", raising=False)
    monkeypatch.delenv("CXRLOC_PATIENT_KEY_FILE", raising=False)
    recipe = written(tmp_path, RECIPE.replace("steps = 9", "steps = 1"))
    own = ("--dataset", "our hospital", "--out", tmp_path / "out")
    done = run(command[0], recipe, *command[2:], *own)
    assert "listed in model.patients.csv beside the model; keep that file private" in done.output
    model = tmp_path / "out/model.safetensors"
    listed = pd.read_csv(tmp_path / "out/model.patients.csv", dtype=str)
    parts = json.loads((tmp_path / "out/run.json").read_text())["data"]["parts"]
    assert (listed["part"] == "training").sum() == parts["train"]["patients"]
    score = ("classify", chests, "--dataset", "our hospital", "--model", model, "--resamples", "0")
    refused = run(*score, "--out", tmp_path / "refused")
    assert (refused.exit_code, "was trained on" in refused.stderr) == (1, True)
    (tmp_path / "out/model.patients.csv").unlink()
    assert run(*score, "--out", tmp_path / "scored").exit_code == 0
    for name in ("run.json", "table.md"):
        assert "contamination not checkable" in (tmp_path / "scored" / name).read_text()


def test_the_prevalence_of_the_training_set_goes_by_all_its_records(
    chests: Path, tmp_path: Path
) -> None:
    recipe = read_recipe(written(tmp_path, RECIPE))
    data = training_data(recipe, chests, tmp_path / "cache")
    for finding, (positive, labelled) in data.description["parts"]["train"][
        "positive_of_labelled"
    ].items():
        assert data.prevalence[finding] == pytest.approx(positive / labelled)
    folder = copy_of(chests, tmp_path / "part")
    (folder / "images").unlink()
    (folder / "images").mkdir()
    for path in sorted((chests / "images").iterdir())[::2]:
        (folder / "images" / path.name).symlink_to(path)
    half = training_data(recipe, folder, tmp_path / "cache")
    assert sum(half.missing.values()) == 24
    assert half.prevalence == data.prevalence


def test_a_model_that_started_from_another_names_it_and_its_own_labels(
    trained: tuple[Path, Result], command: list[str], chests: Path, tmp_path: Path
) -> None:
    names = [record.image_id for record in read_chestxray14(chests)]
    labels = labels_file(tmp_path, [f"{name},{k % 2},0,0,0" for k, name in enumerate(names)])
    first = trained[0] / "model.safetensors"
    text = RECIPE.replace("steps = 9", "steps = 1").replace("0.6, 0.2, 0.2", "0.4, 0.6, 0.0")
    changes = ("--start", first, "--labels", labels, "--out", tmp_path / "out")
    done = run("train", written(tmp_path, text), *command[2:], *changes)
    assert done.exit_code == 0, done.output
    card = read_model(tmp_path / "out/model.safetensors").card
    before = read_model(first)
    started = f"(a folder of phantoms), started from Tiny ({before.card.trained_on})"
    assert card.trained_on.endswith(started)
    assert "Trained on synthetic radiographs" in card.limits
    notes = set(pd.read_csv(tmp_path / "out/metrics.csv")["note"])
    assert notes == {"measured on synthetic radiographs, not on patients"}
    assert recipe_of_text(card.recipe, "card").start == "model.safetensors"
    assert card.provenance["start_sha256"] == before.sha256
    described = json.loads((tmp_path / "out/run.json").read_text())
    assert described["labels_from"] == f"the file {labels}"
    assert card.auc == {"Mass": described["validation"]["Mass"]}  # the others have no positives
    assert card.operating_points.keys() == {"Mass"}


def test_the_same_training_gives_the_same_file_byte_for_byte(
    trained: tuple[Path, Result], command: list[str], tmp_path: Path
) -> None:
    done = run(*command, "--out", tmp_path / "again", "--quiet")
    assert done.exit_code == 0, done.output
    first, again = trained[0] / "model.safetensors", tmp_path / "again/model.safetensors"
    assert first.read_bytes() == again.read_bytes()


def test_prevalence_per_part_and_the_scores_are_shown(trained: tuple[Path, Result]) -> None:
    out, done = trained
    for shown in ("train", "validation", "patients", "Effusion", "mean_auc", "step 9 of 9: loss"):
        assert shown in done.stdout
    assert list(numbers(out)["step"]) == [3, 6, 9]


DIES_WHILE_WRITING = """
import os, signal, sys
import torch
from cxrloc.cli import app

left, save = int(sys.argv.pop(1)), torch.save

def torn(what, recorder):
    global left
    save(what, recorder)
    recorder.flush()
    path = recorder.file.name
    left -= str(path).endswith("last.ckpt")
    if left == 0:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = torn
app()
"""
"""`cxrloc`, killed when half of its n-th checkpoint is on the disk."""


@pytest.mark.slow
def test_killed_before_and_between_checkpoints_it_resumes_to_the_bit(
    trained: tuple[Path, Result], command: list[str], place: Path
) -> None:
    """Then metrics.csv and best.ckpt are further than the last whole checkpoint, or alone."""
    out, last = place / "killed", place / "killed" / "last.ckpt"
    for checkpoint, validated in ((1, [3]), (2, [3, 6])):
        program = [sys.executable, "-c", DIES_WHILE_WRITING, str(checkpoint)]
        done = subprocess.run([*program, *command, "--out", str(out), "--resume"])
        assert done.returncode == -signal.SIGKILL
        assert numbers(out)["step"].tolist() == validated
        assert last.exists() == (checkpoint == 2)
    assert torch.load(last, weights_only=True)["state"]["step"] == 3
    resumed = run(*command, "--out", out, "--resume")
    assert resumed.exit_code == 0, resumed.output
    whole, _ = trained
    pd.testing.assert_frame_equal(numbers(out), numbers(whole), check_exact=True)
    ended, uninterrupted = (read_model(each / "model.safetensors") for each in (out, whole))
    assert ended.card == uninterrupted.card
    for name, tensor in uninterrupted.network.state_dict().items():
        assert torch.equal(tensor, ended.network.state_dict()[name]), name


@pytest.mark.slow
def test_two_processes_learn_what_one_does(
    trained: tuple[Path, Result], command: list[str], place: Path
) -> None:
    """W-CEL counts, gradients and validation are those of all images, none lost or doubled."""
    out = place / "two"
    done = torchrun(2, *command, "--out", str(out))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Warning" not in done.stderr
    whole, alone = trained
    pd.testing.assert_frame_equal(numbers(out), numbers(whole), rtol=1e-3, atol=1e-5)
    assert json.loads((out / "run.json").read_text())["processes"] == 2
    lines, wanted = done.stdout.splitlines(), alone.stdout.splitlines()
    assert len(lines) == len(wanted) > 20  # one process speaks for both
    assert {line for line in wanted if "%" in line} <= set(lines)


def test_a_run_is_not_overwritten_and_not_continued_with_other_data(
    trained: tuple[Path, Result], command: list[str], chests: Path, tmp_path: Path
) -> None:
    out, _ = trained
    again = run(*command, "--out", out)
    assert (again.exit_code, "choose another --out" in again.stderr) == (2, True)
    other = tmp_path / "other.toml"
    other.write_text(RECIPE.replace("mirror = 0.5", "mirror = 0.0"))
    changed = run("train", other, *command[2:], "--out", out, "--resume")
    assert (changed.exit_code, "recipe.augmentation.mirror is 0.5 there" in changed.stderr) == (
        1,
        True,
    )


def copy_of(chests: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in chests.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


def test_images_that_are_missing_are_counted_and_unreadable_ones_named(
    command: list[str], chests: Path, tmp_path: Path
) -> None:
    folder = copy_of(chests, tmp_path / "part")
    (folder / "images").unlink()
    (folder / "small").mkdir()
    names = sorted(path.name for path in (chests / "images").iterdir())
    for name in names[5:]:
        (folder / "small" / name).symlink_to(chests / "images" / name)
    recipe = tmp_path / "part.toml"
    text = RECIPE.replace('reader = "chestxray14"', 'reader = "chestxray14"\nimages = ["small"]')
    recipe.write_text(text.replace("steps = 9", "steps = 1"))
    data = training_data(read_recipe(recipe), folder, tmp_path / "cache")
    assert sum(data.missing.values()) == 5
    broken = data.parts.train[0].image_id
    (folder / "small" / f"{broken}.png").unlink()
    (folder / "small" / f"{broken}.png").write_bytes(b"\x89PNG\r\n\x1a\n, but cut short")
    done = run(
        *("train", recipe, "--data", folder, "--out", tmp_path / "out"),
        *("--cache", tmp_path / "cache"),
    )
    assert done.exit_code == 0
    assert broken in done.stderr
    described = json.loads((tmp_path / "out/run.json").read_text())
    assert list(described["failed_images"]) == [broken]
    assert described["data"]["parts"]["train"]["images"] == len(data.parts.train) - 1


@pytest.mark.parametrize("kind", ["official", "ratios", "resamplings", "image"])
def test_nobody_with_a_box_is_ever_trained_on(chests: Path, tmp_path: Path, kind: str) -> None:
    recipe = read_recipe(written(tmp_path, RECIPE.replace('"ratios"', f'"{kind}"')))
    data = training_data(recipe, chests, tmp_path / "cache")
    boxed = {record.patient_id for record in read_chestxray14(chests) if record.annotations}
    seen = {record.patient_id for record in [*data.parts.train, *data.parts.validation]}
    assert boxed
    assert not boxed & seen


def test_boxed_patients_are_left_out_of_all_parts_or_drawn_as_the_recipe_says(
    chests: Path, tmp_path: Path
) -> None:
    """Without them the shares of the others are those asked for; drawn, some train."""
    parts, left_out = {}, {}
    for mode in ("test", "left_out", "drawn"):
        text = RECIPE.replace("[data]", f'[data]\nboxed_patients = "{mode}"')
        data = training_data(read_recipe(written(tmp_path, text)), chests, tmp_path / "cache")
        parts[mode] = [{r.patient_id for r in part} for part in data.parts[:3]]
        left_out[mode] = data.left_out
    records = read_chestxray14(chests)
    boxed = {record.patient_id for record in records if record.annotations}
    assert left_out == {
        "test": 0,
        "left_out": sum(record.patient_id in boxed for record in records),
        "drawn": 0,
    }
    assert [part - boxed for part in parts["test"]] == parts["left_out"]
    assert not boxed & set().union(*parts["left_out"])
    assert boxed & parts["drawn"][0]
    assert [part - boxed for part in parts["drawn"]] == parts["left_out"]


def test_a_boxed_patient_among_the_training_images_is_refused(chests: Path) -> None:
    record = next(record for record in read_chestxray14(chests) if record.annotations)
    with pytest.raises(CxrlocError, match=f"patient {record.patient_id} has an expert's box"):
        refuse_boxed([record], {record.patient_id})


def test_without_the_box_list_there_is_no_training(chests: Path, tmp_path: Path) -> None:
    folder = copy_of(chests, tmp_path / "part")
    (folder / "BBox_List_2017.csv").unlink()
    with pytest.raises(CxrlocError, match=r"no BBox_List\*\.csv: it says whom not to train on"):
        training_data(read_recipe(written(tmp_path, RECIPE)), folder, tmp_path / "cache")


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_a_split_by_image_marks_every_output_as_leaking(
    command: list[str], place: Path, tmp_path: Path
) -> None:
    text = RECIPE.replace('"ratios"', '"image"').replace("steps = 9", "steps = 1")
    done = run("train", written(tmp_path, text), *command[2:], "--out", tmp_path / "out")
    assert "patients leak" in done.stdout
    assert json.loads((tmp_path / "out/run.json").read_text())["leaks_patients"]
    card = read_model(tmp_path / "out/model.safetensors").card
    assert "patients leak" in card.limits
    assert "patients leak" in card.name
    assert list(pd.read_csv(tmp_path / "out/metrics.csv")["leaks_patients"]) == [1]
    (line,) = (line for line in done.output.splitlines() if line.startswith("step 1 of 1"))
    assert "(patients leak)" in line
    table = done.stdout.split("validation")[-1]
    assert "leaks_patients" not in table  # it is no score
    assert "patients leak into these scores" in table


def test_shuffled_labels_are_the_same_labels_on_other_images(chests: Path, tmp_path: Path) -> None:
    plain = read_recipe(written(tmp_path, RECIPE))
    shuffled = replace(plain, data=replace(plain.data, shuffle_labels=True))
    a, b = (training_data(each, chests, tmp_path / "cache") for each in (plain, shuffled))
    assert not np.array_equal(a.train.labels, b.train.labels)
    assert sorted(map(tuple, a.train.labels)) == sorted(map(tuple, b.train.labels))
    assert np.array_equal(a.train.slots, b.train.slots)
    assert np.array_equal(a.validation.labels, b.validation.labels)
    assert b.description["labels_shuffled"]


def test_projections_that_the_recipe_does_not_name_are_in_no_part(
    chests: Path, tmp_path: Path
) -> None:
    views = {}
    for named in ("[]", '["PA"]', '["AP"]'):
        text = RECIPE.replace("[data]", f"[data]\nviews = {named}")
        data = training_data(read_recipe(written(tmp_path, text)), chests, tmp_path / "cache")
        views[named] = {record.view for part in data.parts[:3] for record in part}
    assert views == {"[]": {View.PA, View.AP}, '["PA"]': {View.PA}, '["AP"]': {View.AP}}


def labels_file(folder: Path, rows: list[str]) -> Path:
    """Labels as `cxrloc label` writes them."""
    path = folder / "labels.csv"
    path.write_text("\n".join(["report_id,Mass,Effusion,Nodule,Cardiomegaly", *rows, ""]))
    return path


def test_labels_of_reports_take_the_place_of_the_data_sets_own(
    chests: Path, tmp_path: Path
) -> None:
    names = [record.image_id for record in read_chestxray14(chests)]
    labels = labels_file(tmp_path, [f"{name},1,0,0,0" for name in names])
    recipe = read_recipe(written(tmp_path, RECIPE))
    data = training_data(recipe, chests, tmp_path / "cache", DataOptions(labels=labels))
    assert data.train.labels[:, 1].min() == 1
    assert data.train.labels[:, 0].max() == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("no-such-recipe",), 2, "one of the recipes; `cxrloc recipes` lists them"),
        (("pham2019_one",), 2, "did you mean pham2019_ones"),
        (("phantom", "--data", "."), 2, "needs no --data"),
        (("wang2017_resnet50_lse",), 2, "needs --data, a folder of chestxray14"),
        (("phantom_few", "--start", "imagenet"), 1, "nobody published ImageNet weights"),
        (("phantom_few", "--start", "gone.safetensors"), 2, "gone.safetensors: neither a file"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    arguments: tuple[str, ...], status: int, message: str, tmp_path: Path
) -> None:
    done = run("train", *arguments, "--out", tmp_path / "out", "--cache", tmp_path / "cache")
    assert (done.exit_code, message in done.stderr) == (status, True)
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "cache").exists()  # before any image is decoded


def test_another_runs_folder_is_refused_before_any_image_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/last.ckpt").touch()
    done = run("train", "phantom_few", "--out", tmp_path / "out", "--cache", tmp_path / "cache")
    assert (done.exit_code, "last.ckpt is there" in done.stderr) == (2, True)
    assert not (tmp_path / "cache").exists()


def own_source(name: str) -> str:
    """What the recipe's file itself says; one that it extends has another table or row."""
    return tomllib.loads(RECIPES[name].read_text()).get("source", "")


def test_recipes_are_listed_with_their_source() -> None:
    done = run("recipes")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[::3] == list(RECIPES)
    assert lines[2::3] == [f"  {own_source(name) or 'no paper'}" for name in RECIPES]


def test_a_recipe_is_printed_whole_to_start_from(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(run("recipes", "pham2019_ones_ct").stdout)
    assert read_recipe(tmp_path / "mine.toml") == read_recipe("pham2019_ones_ct")


@pytest.mark.parametrize("name", [name for name in RECIPES if re.match(r"[a-z]+\d{4}_", name)])
def test_a_recipe_named_after_a_paper_says_where_in_it_it_stands(name: str) -> None:
    ((author, year),) = re.findall(r"^([a-z]+)(\d{4})_", name)
    five = {"wang2017", "rubin2018", "dong2017", "baltruschat2019", "pham2019"}
    # A pooling of another paper is named; where in the paper it stands was not looked up.
    place = r"(table|figure|section) \w" if f"{author}{year}" in five else r"[A-Za-z]"
    assert re.match(rf"{author.capitalize()} et al\. {year}, {place}", own_source(name))


def test_a_template_is_learned_from_training_images_and_travels_with_the_weights(
    command: list[str], tmp_path: Path
) -> None:
    text = RECIPE.replace("size = 64", 'size = 64\nfit = "template"').replace(
        "steps = 9", "steps = 1"
    )
    done = run("train", written(tmp_path, text), *command[2:], "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert read_model(tmp_path / "out/model.safetensors").preprocessing.template


def test_a_box_outside_its_image_does_not_lose_the_trained_model(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise CxrlocError("boxes.csv, row 2: outside")

    monkeypatch.setattr("cxrloc.pipeline.train.box_thresholds", refuse)
    recipe = written(tmp_path, RECIPE.replace("steps = 9", "steps = 1"))
    done = run("train", recipe, *command[2:], "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert not read_model(tmp_path / "out/model.safetensors").card.box_thresholds
    warnings = json.loads((tmp_path / "out/run.json").read_text())["warnings"]
    assert warnings[-1].endswith("box rule one-box: boxes.csv, row 2: outside")
    assert "boxes.csv, row 2: outside" in " ".join(done.stderr.split())


def test_the_model_knows_how_far_an_image_is_from_its_validation_images(
    chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the validation patients give the distance; of the others it says how many are out."""
    monkeypatch.setattr(feature_distance, "FEWEST_IMAGES", 3)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.replace("[0.6, 0.2, 0.2]", "[0.4, 0.6, 0.0]"))
    done = run("train", recipe, "--data", chests, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    model = read_model(tmp_path / "out/model.safetensors")
    rule = model.card.distance
    assert rule is not None
    parts = json.loads((tmp_path / "out/run.json").read_text())["data"]["parts"]
    assert 0 < rule.measured_images < parts["validation"]["images"]
    judges = set(model.card.validation_patients)
    records = {r.image_id: r for r in read_chestxray14(chests)}
    held_out = [r for r in records.values() if card_patient(r.patient_id, True) in judges]
    first = draw_patients([r.patient_id for r in held_out], 0.5, seed=0)
    other = [r for r in held_out if r.patient_id not in first]
    images = [Image(r.image_id, partial(read_radiograph, r.path)) for r in other if r.path]
    found = [each.suitability.distance for each in predict([model], images, InferenceSettings())]
    assert len(found) == rule.measured_images
    outside = np.mean([distance > 1 for distance in found])
    assert outside == pytest.approx(rule.measured_outside, abs=1.5 / len(found))
