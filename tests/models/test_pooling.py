import math

import pytest
import torch

from cxrloc.models.pooling import (
    OF_LOGITS_ALONE,
    Pool,
    PoolingParameters,
    average,
    log_sum_exp,
    maximum,
)


def grid(*rows):
    return torch.tensor(rows, dtype=torch.float32)[None, None]


@pytest.mark.parametrize(
    "shift", [0.0, 5.0, -1000.0, 1000.0], ids=["mixed", "positive", "all negative", "large"]
)
def test_lse_goes_from_average_to_maximum_for_values_of_any_sign(shift):
    features = grid([-2.0, 0.0], [1.0, 3.0]) + shift
    r = [1e-6, 0.1, 1.0, 10.0, 1e6]
    pooled = torch.stack([log_sum_exp(features, value) for value in r]).flatten()
    assert pooled[0] == pytest.approx(average(features).item(), abs=1e-4)
    assert pooled[-1] == pytest.approx(maximum(features).item(), abs=1e-4)
    assert (pooled.diff() > 0).all()


def test_lse_is_torchs_logsumexp_less_the_log_of_the_cells():
    features = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    for r in (0.1, 0.5, 1, 5, 8, 10, 12):  # Wang 2017, section 4
        oracle = (torch.logsumexp(r * features, dim=(2, 3)) - math.log(64)) / r
        torch.testing.assert_close(log_sum_exp(features, r), oracle)


def test_lse_has_the_gradient_of_its_formula():
    features = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    assert torch.autograd.gradcheck(log_sum_exp, (features.requires_grad_(), 5.0))


def test_a_single_peak_in_a_large_grid_survives_half_precision():
    features = torch.full((1, 1, 32, 32), -8.0)
    features[0, 0, 4, 4] = 8.0
    expected = log_sum_exp(features, 10.0).item()
    for dtype in (torch.float16, torch.bfloat16):
        pooled = log_sum_exp(features.to(dtype), 10.0)
        assert pooled.dtype == dtype
        assert pooled.item() == pytest.approx(expected, abs=0.05)


def pool(name: str, **numbers: float) -> Pool:
    return Pool(name, PoolingParameters(**numbers), channels=1)


POINT = ("pcam", "linear_softmax", "average", "max", "lse", "lse_learned", "highest_and_lowest")
"""Poolings that give back the value of all cells where these are equal."""


@pytest.mark.parametrize("name", POINT)
@pytest.mark.parametrize("value", [-300.0, -3.0, 0.0, 40.0])
@pytest.mark.parametrize("side", [1, 4])
def test_equal_cells_pool_to_their_value(name, value, side):
    pooled = pool(name)(torch.full((1, 1, side, side), value))
    assert pooled.item() == pytest.approx(value, abs=1e-3)


#    0  0
#    0  2     sigmoid: .5 .5 .5 .880797
CELLS = grid([0.0, 0.0], [0.0, 2.0])
P = 1 / (1 + math.exp(-2))


@pytest.mark.parametrize(
    ("name", "numbers", "expected"),
    [
        pytest.param("average", {}, 0.5, id="average"),
        pytest.param("max", {}, 2.0, id="max"),
        pytest.param("lse", {"r": 1.0}, math.log((3 + math.exp(2)) / 4), id="lse"),
        pytest.param("lse_learned", {}, math.log((3 + math.exp(2)) / 4), id="learned, r = e^0"),
        pytest.param(
            "lse_learned", {"r0": 2.0}, math.log((3 + math.exp(6)) / 4) / 3, id="learned, r = 3"
        ),
        pytest.param("pcam", {}, 2 * P / (1.5 + P), id="pcam: sum p z / sum p"),
        pytest.param("highest_and_lowest", {"highest": 2}, 1.0, id="mean of the 2 highest"),
        pytest.param("highest_and_lowest", {"highest": 0.5}, 1.0, id="the highest half"),
        pytest.param(
            "highest_and_lowest", {"lowest": 3, "alpha": 0.5}, 2.0, id="the 3 lowest add nothing"
        ),
    ],
)
def test_the_drawn_example_by_hand(name, numbers, expected):
    assert pool(name, **numbers)(CELLS).item() == pytest.approx(expected, abs=1e-5)


def test_the_lowest_cells_count_by_alpha():
    cells = grid([-4.0, -2.0], [1.0, 3.0])
    pooled = pool("highest_and_lowest", highest=1, lowest=2, alpha=0.7)(cells)
    assert pooled.item() == pytest.approx(3 + 0.7 * -3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear_softmax", (3 * 0.25 + P**2) / (1.5 + P)),
        ("noisy_or", 1 - 0.99**3 * (1 - 0.02 * P)),
    ],
)
def test_poolings_of_probabilities_give_the_logit_of_their_formula(name, expected):
    assert pool(name)(CELLS).sigmoid().item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", [*OF_LOGITS_ALONE, "lse", "highest_and_lowest"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [-60000.0, -300.0, 300.0, 60000.0])
def test_extreme_logits_stay_finite_with_finite_gradients(name, dtype, value):
    maps = torch.full((1, 1, 20, 20), value, dtype=dtype)
    maps[0, 0, 3, 3] = value * 0.9
    maps.requires_grad_()
    pooled = pool(name)(maps)
    assert pooled.dtype == dtype
    assert pooled.isfinite().all()
    (gradient,) = torch.autograd.grad(pooled.sum(), maps)
    assert gradient.isfinite().all()


def test_poolings_of_logits_rise_where_any_cell_rises():
    cells = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    for name in ("noisy_or", "linear_softmax", "pcam"):
        higher = cells.clone()
        higher[0, 0].flatten()[cells.flatten().argmax()] += 1.0
        assert pool(name)(higher) > pool(name)(cells)


def test_the_learned_sharpness_is_one_per_channel_and_has_a_gradient():
    learned = Pool("lse_learned", PoolingParameters(), channels=2)
    with torch.no_grad():
        learned.beta[1] = 4.0
    pooled = learned(CELLS.expand(1, 2, 2, 2))
    assert pooled[0, 0] < pooled[0, 1]
    pooled.sum().backward()
    assert (learned.beta.grad != 0).all()


def test_lse_without_a_sharpness_takes_10():
    features = grid([-2.0, 0.0], [1.0, 3.0])
    pooled = Pool("lse", PoolingParameters(), channels=1)(features)
    assert pooled.item() == log_sum_exp(features, 10.0).item()
