"""Rubin et al. 2018, section 6, on numbers of a hand."""

from itertools import islice

import numpy as np
import pytest

from cxrloc.datasets.stratification import stratified
from cxrloc.training.schedules import Progress, ScheduleConfig, triangular2


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
