"""Baltruschat et al. 2019: objective and learning rate, on numbers that can be checked by hand."""

import math

import pytest
import torch

from cxrloc.recipe import read_recipe
from cxrloc.training.losses import class_averaged
from cxrloc.training.schedules import Progress, ScheduleConfig, plateau


def test_the_objective_is_the_mean_over_the_fifteen_labels():
    """H = -ln .9 for the one positive and -ln(1 - .2) for the 14 others."""
    probability = torch.full((1, 15), 0.2)
    probability[0, 3] = 0.9
    labels = torch.zeros(1, 15)
    labels[0, 3] = 1
    expected = (-math.log(0.9) - 14 * math.log(0.8)) / 15
    assert class_averaged(probability.logit(), labels).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("losses", "rate"),
    [
        pytest.param([], 0.01, id="before any validation"),
        pytest.param([0.3, 0.2, 0.1], 0.01, id="while it improves"),
        pytest.param([0.3, 0.3], 0.005, id="an equal loss is no improvement"),
        pytest.param([0.3, 0.2, 0.25, 0.21], 0.0025, id="the best so far is what counts"),
        pytest.param([0.3, 0.4, 0.2, 0.1], 0.005, id="the rate never rises again"),
    ],
)
def test_the_learning_rate_is_halved_when_the_validation_loss_does_not_improve(losses, rate):
    config = ScheduleConfig(0.01, "plateau", decay=0.5)
    assert plateau(Progress(9, 9, losses), config) == pytest.approx(rate)


@pytest.mark.parametrize("name", ["ft", "1channel", "large", "official_resnet101"])
def test_networks_of_either_input_size_end_in_7_x_7_features(name):
    """448 pixels are pooled once more than 224, "to keep the model architectures similar"."""
    recipe = read_recipe(f"baltruschat2019_{name}")
    assert recipe.preprocessing.size / recipe.network.output_stride == 7
