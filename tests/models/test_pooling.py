import math

import pytest
import torch

from cxrloc.models.pooling import POOLINGS, average, log_sum_exp, maximum


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


@pytest.mark.parametrize("name", POOLINGS)
def test_a_constant_feature_pools_to_its_constant(name):
    assert POOLINGS[name](torch.full((1, 2, 4, 4), -3.0), 10.0).flatten().tolist() == [-3.0] * 2
