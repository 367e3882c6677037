import csv
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from cxrloc.datasets.batches import Batch
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.training.fit import Run, fit
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.lr_range import RangeConfig, RangePoint, boundaries, lr_range
from cxrloc.training.schedules import ScheduleConfig
from tests.training import test_fit as small

FIT = FitConfig(
    ScheduleConfig(0.1), batch_size=8, steps=1, accumulation=2, optimizer="sgd", momentum=0.0
)


class OneWeight(nn.Module):
    """One logit, w x."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))

    def forward(self, x):
        return x @ self.weight, x


def two_passes(first_step):
    """Every image positive: the loss of each is ln(1 + exp(-w))."""
    while True:
        yield [Batch((torch.ones(4, 1),), torch.ones(4, 1)) for _ in range(2)]


@pytest.mark.parametrize(
    ("ramp", "rates"), [("exponential", [0.01, 0.1, 1.0]), ("linear", [0.01, 0.505, 1.0])]
)
def test_each_step_is_one_of_gradient_descent_at_its_rate(ramp, rates):
    points = list(lr_range(OneWeight(), two_passes, FIT, RangeConfig(0.01, 1.0, 3, ramp)))
    weight = 0.0
    for point, rate in zip(points, rates, strict=True):
        assert point.learning_rate == pytest.approx(rate)
        assert point.loss == pytest.approx(math.log1p(math.exp(-weight)))
        weight += rate / (1 + math.exp(weight))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_its_steps_are_those_of_training(precision, tmp_path):
    """Dropout, normalisation, precision: the losses before and after the first step are equal."""
    config = replace(small.SHORT, schedule=ScheduleConfig(0.05), steps=2, validate_every=1)
    config = replace(config, precision=precision)
    fit(small.new_network(), small.batches, small.validate, config, Run(tmp_path))
    rows = csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines())
    points = lr_range(small.new_network(), small.batches, config, RangeConfig(0.05, 0.1, 2))
    assert [point.loss for point in points] == [float(row["loss"]) for row in rows]


def test_a_gradient_is_clipped_as_in_training():
    """It is about -1/2 at both steps: each goes its rate times the largest norm."""
    network = OneWeight()
    list(lr_range(network, two_passes, replace(FIT, clip_norm=0.1), RangeConfig(0.1, 1.0, 2)))
    assert network.weight.item() == pytest.approx(0.1 * 0.1 + 1.0 * 0.1, rel=1e-4)


def test_the_first_smoothed_loss_is_the_loss_and_the_second_leans_to_it():
    first, second = lr_range(OneWeight(), two_passes, FIT, RangeConfig(0.1, 1.0, 2))
    assert first.smoothed == pytest.approx(first.loss)
    assert second.smoothed == pytest.approx((0.9 * first.loss + second.loss) / 1.9)


def test_it_stops_where_the_loss_diverges():
    def against(first_step):
        for sign in (1, -1, 1, -1, 1, -1):
            yield [Batch((sign * torch.ones(8, 1),), torch.ones(8, 1))]

    points = list(lr_range(OneWeight(), against, FIT, RangeConfig(100.0, 1000.0, 6)))
    assert len(points) < 6
    assert points[-1].smoothed > 4 * points[0].smoothed


def test_a_loss_that_is_not_finite_from_the_beginning_is_refused():
    def broken(first_step):
        yield [Batch((torch.full((8, 1), math.nan),), torch.ones(8, 1))]

    with pytest.raises(CxrlocError, match="nan at the first step"):
        list(lr_range(OneWeight(), broken, FIT, RangeConfig()))


def test_boundaries_are_where_the_loss_falls():
    losses = [5.0, 5.0, 4.7, 4.0, 2.0, 2.5, 9.0, math.nan]
    points = [RangePoint(float(k), loss, loss) for k, loss in enumerate(losses)]
    assert boundaries(points) == (2.0, 4.0)


def test_a_loss_that_only_rises_has_no_boundaries():
    assert boundaries([RangePoint(float(k), k, k) for k in range(1, 5)]) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ramp": "cubic"}, "'cubic' is unknown: choose one of exponential, linear"),
        ({"lowest": 0.0}, "0 < lowest < highest"),
        ({"lowest": 2.0}, "0 < lowest < highest"),
        ({"steps": 1}, "2 steps or more"),
    ],
)
def test_a_ramp_that_cannot_be_is_refused(values, message):
    with pytest.raises(UsageError, match=message):
        RangeConfig(**values)
