"""`heatmap` with a label-tree model: probabilities marked as conditional, or their products."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.weights import write_model

FINDINGS = ("Lung Opacity", "Consolidation", "Pneumonia")
GIVEN = (0.5, 0.8, 0.9)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image, a model that says `GIVEN` of every image, and the same, conditionally trained."""
    place = tmp_path_factory.mktemp("tree")
    Image.fromarray(np.arange(0, 2**16, 16, dtype=np.uint16).reshape(64, 64)).save(
        place / "chest.png"
    )
    network = Localizer(LocalizerConfig("small_resnet", FINDINGS, transition_channels=4))
    with torch.no_grad():
        network.prediction.weight.zero_()
        network.prediction.bias.copy_(torch.tensor(GIVEN).logit())
    points = dict.fromkeys(FINDINGS, 0.7)
    card = ModelCard("plain", "nothing", FINDINGS, operating_points=points)
    write_model(place / "plain.safetensors", network, Preprocessing(size=64), card)
    card = replace(card, name="tree", recipe='[data]\ncondition = "parent"\n')
    write_model(place / "tree.safetensors", network, Preprocessing(size=64), card)
    return place


def report(place: Path, *options: str) -> tuple[dict, str]:
    out = place / "out"
    command = ["heatmap", str(place / "chest.png"), "--out", str(out), "--overwrite", *options]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return json.loads((out / "chest.json").read_text()), done.output


@pytest.mark.parametrize(("name", "warned"), [("tree", True), ("plain", False)])
def test_a_conditionally_trained_model_is_said_to_be_one(place, name, warned):
    said, printed = report(place, "--model", str(place / f"{name}.safetensors"))
    assert [row["probability"] for row in said["findings"]] == pytest.approx(GIVEN, abs=1e-4)
    warning = "a child may be conditional on its parent"
    words = " ".join(printed.split())
    assert (warning in " ".join(said["warnings"])) == (warning in words) == warned


def test_products_leave_no_child_above_its_parent(place):
    options = ("--model", str(place / "tree.safetensors"), "--products")
    said, printed = report(place, *options)
    products = [0.5, 0.5 * 0.8, 0.5 * 0.8 * 0.9]
    assert [row["probability"] for row in said["findings"]] == pytest.approx(products, abs=1e-4)
    assert [row["above_operating_point"] for row in said["findings"]] == [None] * 3
    assert said["products_along_tree"]
    assert said["warnings"] == []
    assert "Probabilities are products along CheXpert's label tree." in printed
    alone, _ = report(place, *options, "--finding", "Pneumonia")
    (row,) = alone["findings"]
    assert row["probability"] == pytest.approx(products[2], abs=1e-4)
