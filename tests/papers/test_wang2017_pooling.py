"""Wang et al. 2017, Eq. 2 and 3: Log-Sum-Exp pooling on grids that a hand can check."""

import math

import pytest
import torch

from cxrloc.models.pooling import average, log_sum_exp, maximum

GRID = torch.tensor([[[[0.0, 0.0], [0.0, math.log(13)]]]])


def pooled(r):
    return log_sum_exp(GRID, r).item()


def test_with_r_1_the_exponentials_are_averaged():
    """(1 + 1 + 1 + 13) / 4 = 4."""
    assert pooled(1.0) == pytest.approx(math.log(4))


def test_with_r_2_their_squares_and_the_root_is_taken():
    """(1 + 1 + 1 + 169) / 4 = 43."""
    assert pooled(2.0) == pytest.approx(math.log(43) / 2)


def test_r_goes_from_the_average_to_the_maximum():
    rs = [0.1, 0.5, 1, 5, 8, 10, 12]  # those of section 4
    values = [average(GRID).item(), *map(pooled, rs), maximum(GRID).item()]
    assert values == sorted(values)
    assert pooled(1e-4) == pytest.approx(values[0], abs=1e-3)
    assert pooled(1e4) == pytest.approx(values[-1], abs=1e-3)


@pytest.mark.parametrize("shift", [100.0, -100.0], ids=["no overflow", "no underflow"])
def test_a_shift_of_all_features_shifts_the_pooled_value(shift):
    """Departs: with x* = max |x| of Eq. 3 the second would be log 0."""
    assert log_sum_exp(GRID + shift, 10.0).item() == pytest.approx(pooled(10.0) + shift, abs=1e-4)
