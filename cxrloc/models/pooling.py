"""Global pooling: S x S values of a feature become one.

A pooling is a function of the features and of a sharpness r; average and maximum are the two
limits of `log_sum_exp`, r -> 0 and r -> infinity, and need none.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def average(
    features: Float[Tensor, "batch depth row col"], r: float = 0.0
) -> Float[Tensor, "batch depth"]:
    """Mean over the grid.

    >>> average(torch.tensor([[[[-4.0, 1.0], [1.0, 6.0]]]]))
    tensor([[1.]])
    """
    return features.mean(dim=(2, 3))


def maximum(
    features: Float[Tensor, "batch depth row col"], r: float = float("inf")
) -> Float[Tensor, "batch depth"]:
    """Largest value of the grid.

    >>> maximum(torch.tensor([[[[-4.0, 1.0], [1.0, 6.0]]]]))
    tensor([[6.]])
    """
    return features.amax(dim=(2, 3))


def log_sum_exp(
    features: Float[Tensor, "batch depth row col"], r: float = 10.0
) -> Float[Tensor, "batch depth"]:
    """Log-Sum-Exp pooling, between average (r -> 0) and maximum (r -> infinity).

    Wang et al. 2017, Eq. 3: x_p = x* + 1/r log(1/S sum exp(r (x_ij - x*))), S cells.
    Written with exp(z) - 1 and log(1 + z), which keeps a small r exact; float16 and bfloat16
    features are pooled in float32.
    Departs: x* = max x_ij, not max |x_ij|, with which the sum underflows where all values are
    very negative; equal for features that are not negative.

    >>> log_sum_exp(torch.tensor([[[[0.0, 0.0], [0.0, 100.0]]]]), r=1.0)  # 100 - log 4
    tensor([[98.6137]])
    """
    x = features.to(torch.promote_types(features.dtype, torch.float32))
    # x_p does not depend on the choice of x*, so no gradient needs to flow through it.
    largest = x.detach().amax(dim=(2, 3), keepdim=True)
    mean = torch.expm1(r * (x - largest)).mean(dim=(2, 3))
    return (largest[:, :, 0, 0] + torch.log1p(mean) / r).to(features.dtype)


POOLINGS = {"average": average, "max": maximum, "lse": log_sum_exp}
"""Global poolings by name: (features [batch depth row col], r) -> [batch depth]."""
