"""Dong et al. 2017: the loss of the single-label task, on numbers checked by hand."""

import math
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cxrloc.inference.image_sets import DataOptions
from cxrloc.recipe import read_recipe
from cxrloc.training.data import training_data
from cxrloc.training.losses import softmax
from cxrloc.training.validation import validation_scores


def test_ten_equal_logits_cost_ln_10():
    labels = torch.eye(10)[[0, 3]]
    assert softmax(torch.zeros(2, 10), labels).item() == pytest.approx(2 * math.log(10), rel=1e-6)


def test_only_the_probability_of_the_label_counts():
    """p = 1 / (1 + 1 + 2)."""
    logits = torch.tensor([[0.0, 0.0, math.log(2)]])
    assert softmax(logits, torch.tensor([[1.0, 0.0, 0.0]])).item() == pytest.approx(math.log(4))


def test_what_was_trained_as_one_label_is_scored_as_one_label():
    """An image is ranked by its share: 1 / (1 + 1) beats 2 / (2 + 8), though ln 2 is above 0."""
    logits = torch.tensor([[0.0, 0.0], [math.log(2), math.log(8)]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    scores = {
        loss: validation_scores(logits, labels, loss, ("normal", "bronchitis"))
        for loss in ("softmax", "cel")
    }
    assert (scores["softmax"]["normal"], scores["cel"]["normal"]) == (1.0, 0.0)


@pytest.mark.slow
def test_phantoms_and_their_reports_have_the_labels_that_the_recipe_learns(tmp_path: Path) -> None:
    """Without any change of the recipe but the size of its images."""
    script = Path(__file__).parents[2] / "benchmarks/dong_phantoms.py"
    runpy.run_path(str(script))["write_dong_phantoms"](tmp_path / "chests", n=40, seed=51, size=32)
    recipe = read_recipe("dong2017_single_vgg16")
    recipe = replace(recipe, preprocessing=replace(recipe.preprocessing, size=32, crop_from=36))
    labels = tmp_path / "chests" / "labels.csv"
    data = training_data(
        recipe, tmp_path / "chests", tmp_path / "cache", DataOptions(labels=labels)
    )
    assert sum(map(len, data.parts[:3])) == 40
    counts = dict(zip(recipe.network.findings, data.train.labels.sum(axis=0), strict=True))
    assert {name for name, count in counts.items() if count} == {
        "No Finding",
        "increased heart shadow",
        "Effusion",
    }
    (said,) = data.warnings
    assert said.startswith("no training image has increased lung marking, aortosclerosis,")
