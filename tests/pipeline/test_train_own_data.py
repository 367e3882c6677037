"""`train` on a plain folder of images with the user's own tables."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.models.weights import read_model
from tests.pipeline.tiny_training import TINY_RECIPE, run

ROWS = "".join(
    f"{i}.png,p{i},{i % 2},{i // 2 % 2},{i % 3},train\n".replace(",2,train", ",-1,train")
    for i in range(12)
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images, a table whose columns are spelled in other ways, and a recipe."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "pictures").mkdir()
    grey = np.random.default_rng(0).integers(0, 256, (12, 32, 32), np.uint8)
    for index, pixels in enumerate(grey):
        Image.fromarray(pixels).save(folder / "pictures" / f"{index}.png")
    heading = "file,patient,pleural_effusion,Lung mass,coin_lesion,split\n"
    (folder / "labels.csv").write_text(heading + ROWS)
    recipe = TINY_RECIPE.format(split='kind = "official"')
    recipe = recipe.replace('["Effusion", "Mass"]', '["Pleural Effusion", "Mass", "Coin lesion"]')
    (folder / "recipe.toml").write_text(recipe)
    return folder


@pytest.fixture(scope="module")
def trained(own: Path) -> Path:
    arguments = ("--labels", own / "labels.csv", "--out", own / "out", "--cache", own / "cache")
    done = run("train", own / "recipe.toml", "--data", own / "pictures", *arguments)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("left out, because they are no findings: split") == 1
    return own / "out"


def test_the_recipe_s_findings_are_found_in_the_table_under_other_spellings(trained: Path) -> None:
    card = json.loads((trained / "run.json").read_text())
    parts = card["data"]["parts"].values()
    assert sum(part["images"] for part in parts) == 12
    assert sum(part["positive_of_labelled"]["Effusion"][0] for part in parts) == 6
    assert sum(part["positive_of_labelled"]["Mass"][0] for part in parts) == 6
    assert sum(part["positive_of_labelled"]["Coin lesion"][0] for part in parts) == 4
    assert {part["patients"] == part["images"] for part in parts} == {True}


def test_its_card_names_the_findings_in_one_way_and_draws_the_official_split_by_patient(
    trained: Path,
) -> None:
    card = read_model(trained / "model.safetensors").card
    assert card.findings == ("Effusion", "Mass", "Coin lesion")
    assert 'reader = "boxes"' in card.recipe
    assert 'kind = "ratios"' in card.recipe


def test_images_may_lie_in_another_folder_and_boxes_make_labels(own: Path, tmp_path: Path) -> None:
    boxes = "image,finding,x_min,y_min,x_max,y_max\n"
    names = ("Effusion", "Mass", "coin lesion")
    boxes += "".join(f"{i}.png,{names[i % 3]},2,3,20,21\n" for i in range(12))
    (tmp_path / "boxes.csv").write_text(boxes)
    arguments = ("--boxes", tmp_path / "boxes.csv", "--image-dir", own / "pictures")
    done = run(
        *("train", own / "recipe.toml", "--data", tmp_path, *arguments),
        *("--out", tmp_path / "out", "--cache", tmp_path / "cache"),
    )
    assert done.exit_code == 0, done.stderr
    parts = json.loads((tmp_path / "out/run.json").read_text())["data"]["parts"].values()
    assert sum(part["positive_of_labelled"]["Coin lesion"][0] for part in parts) == 4


def test_a_box_of_a_finding_that_the_recipe_lacks_says_what_to_do(
    own: Path, tmp_path: Path
) -> None:
    (tmp_path / "boxes.csv").write_text(
        "image,finding,x_min,y_min,x_max,y_max\n0.png,Foreign body,2,3,20,21\n"
    )
    arguments = ("--boxes", tmp_path / "boxes.csv", "--image-dir", own / "pictures")
    done = run(
        *("train", own / "recipe.toml", "--data", tmp_path, *arguments),
        *("--out", tmp_path / "out", "--cache", tmp_path / "cache"),
    )
    assert done.exit_code == 1
    message = " ".join(done.stderr.split())
    assert (
        "row 2: 'Foreign body' is no known finding, and the recipe does not name it: add" in message
    )
