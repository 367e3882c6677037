"""Rubin et al. 2018, section 6, on numbers that can be checked by hand."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from cxrloc.datasets.batches import training_step
from cxrloc.datasets.stratification import stratified
from cxrloc.inference.image_sets import DataOptions
from cxrloc.recipe import read_recipe
from cxrloc.recipe_names import RECIPES
from cxrloc.training.data import training_data
from cxrloc.training.feeding import feeding_for
from cxrloc.training.schedules import Progress, ScheduleConfig, triangular2
from tests.pipeline.phantom_layouts import COUNT, mimic_cxr, write_report_labels


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        pytest.param(0, 0.001, id="starts at the lower boundary"),
        pytest.param(50, 0.0105, id="half way up"),
        pytest.param(100, 0.02, id="the upper boundary"),
        pytest.param(200, 0.001, id="and back"),
        pytest.param(300, 0.0105, id="the second peak is half as high above the lower boundary"),
        pytest.param(500, 0.00575, id="the third a quarter"),
        pytest.param(600, 0.001, id="every cycle ends at the lower boundary"),
    ],
)
def test_triangular2_between_0_001_and_0_02(step, rate):
    config = ScheduleConfig(0.02, "triangular2", base_learning_rate=0.001, half_cycle_steps=100)
    assert triangular2(Progress(step, 600), config) == pytest.approx(rate)


def test_each_mini_batch_has_the_prevalence_of_the_whole():
    """24 images, 12 with A, 6 of those and 2 others with B: batches of 6 have 3 A and 2 B."""
    labels = np.zeros((24, 2), dtype=bool)
    labels[:12, 0] = labels[6:14, 1] = True
    for batch in islice(stratified(labels, 6, seed=0), 12):
        assert labels[batch].sum(axis=0).tolist() == [3, 2]


@pytest.fixture(scope="module")
def mimic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rubin") / "mimic"
    mimic_cxr(folder)
    return folder


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("rubin2018")])
def test_a_label_is_positive_only_if_neither_negated_nor_uncertain(name, mimic, tmp_path):
    """Section 5.3: what is uncertain or not mentioned teaches that the finding is absent."""
    recipe = read_recipe(name)
    recipe = replace(recipe, preprocessing=replace(recipe.preprocessing, size=16))
    labels = tmp_path / "labels.csv"
    write_report_labels(labels, [f"s{i}" for i in range(COUNT)], recipe.network.findings)
    images = training_data(recipe, mimic, mimic.parent / "cache", DataOptions(labels=labels)).train
    assert set(np.unique(images.labels)) == {-1, 0, 1}
    rows = list(range(len(images.slots)))
    feeding = feeding_for(recipe, recipe.fit, recipe.data.condition, torch.device("cpu"))
    (batch,) = training_step(images, rows, step=0, feeding=feeding)
    np.testing.assert_array_equal(batch.labels, images.labels == 1)
