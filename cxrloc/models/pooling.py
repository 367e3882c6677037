"""Global pooling: functions that reduce the S x S values of a map to one value.

A pooling is applied to the features before the prediction ("pool_then_predict", Wang et al. 2017)
or to the maps of logits after it ("predict_then_pool"). Poolings whose formula contains a
probability can be applied to maps of logits only. Every pooling computes in float32 or better and
returns the data type of its input.

To add a pooling, write a function of maps and its own parameters and add one line to `POOLINGS`;
parameters that no other pooling has become fields of `PoolingParameters`.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cxrloc.errors import CxrlocError

Maps = Float[Tensor, "batch channel row col"]
Pooled = Float[Tensor, "batch channel"]


def average(maps: Maps) -> Pooled:
    """Mean over the grid; before or after a linear prediction it gives the same logits.

    >>> average(torch.tensor([[[[-4.0, 1.0], [1.0, 6.0]]]]))
    tensor([[1.]])
    """
    return maps.mean(dim=(2, 3))


def average_normalised(maps: Maps, epsilon: float = 1e-6) -> Pooled:
    """Mean over the grid, divided by its standard deviation over the channels.

    x / sqrt(var_d(x) + epsilon), where x is the mean over the grid. ConvNeXt and transformers
    without a class token apply a layer normalisation (Ba et al. 2016) between pooling and
    prediction; its other parts are linear and belong to the prediction
    (`adopted_network.folded`). The divisor is the same for all cells of an image, so class
    activation maps keep their meaning.

    >>> average_normalised(torch.tensor([[[[1.0]], [[5.0]]]]), epsilon=0.0)  # deviation 2
    tensor([[0.5000, 2.5000]])
    """
    x = _at_least_float32(maps).mean(dim=(2, 3))
    return (x / torch.sqrt(x.var(dim=1, correction=0, keepdim=True) + epsilon)).to(maps.dtype)


def maximum(maps: Maps) -> Pooled:
    """Largest value of the grid.

    >>> maximum(torch.tensor([[[[-4.0, 1.0], [1.0, 6.0]]]]))
    tensor([[6.]])
    """
    return maps.amax(dim=(2, 3))


def log_sum_exp(maps: Maps, r: float = 10.0) -> Pooled:
    """Log-Sum-Exp pooling, between average (r -> 0) and maximum (r -> infinity).

    Wang et al. 2017, Eq. 3: x_p = x* + 1/r log(1/S sum exp(r (x_ij - x*))), S cells.
    It is computed with exp(z) - 1 and log(1 + z), so that the result is exact for small r.
    Departs: x* = max x_ij, not max |x_ij|, with which the sum underflows if all values are very
    negative. The two are equal for features that are not negative.

    >>> log_sum_exp(torch.tensor([[[[0.0, 0.0], [0.0, 100.0]]]]), r=1.0)  # 100 - log 4
    tensor([[98.6137]])
    """
    return _log_sum_exp(maps, torch.tensor(r, device=maps.device))


def learned_log_sum_exp(maps: Maps, beta: Float[Tensor, " channel"], r0: float = 0.0) -> Pooled:
    """Log-Sum-Exp pooling with a learned sharpness for each channel: r = r0 + exp(beta).

    Yao et al. 2018, "Weakly supervised medical diagnosis and localization from multiple
    resolutions" (LSE-LBA): the lower bound r0 keeps the pooling off the average.

    >>> learned_log_sum_exp(torch.tensor([[[[0.0, 0.0], [0.0, 100.0]]]]), torch.zeros(1))
    tensor([[98.6137]])
    """
    return _log_sum_exp(maps, (r0 + beta.float().exp())[:, None, None])


def pcam(maps: Maps) -> Pooled:
    """Probabilistic-CAM pooling: the mean of the logits, weighted by their probabilities.

    Ye et al. 2020: p = sigmoid(z), weights p / sum p, logit = sum(weights x z). Gradients flow
    through the weights, as in the authors' code. The result lies between the average (when all
    logits are equal) and the maximum (when one p dominates). For very negative logits the weights
    are exp(z) / sum exp(z).

    >>> pcam(torch.tensor([[[[0.0, 0.0], [0.0, 2.0]]]]))  # .8808 x 2 / (1.5 + .8808)
    tensor([[0.7399]])
    """
    z = _at_least_float32(maps).flatten(2)
    weights = torch.softmax(F.logsigmoid(z), dim=2)  # p / sum p, also where every p underflows
    return (weights * z).sum(dim=2).to(maps.dtype)


def noisy_or(maps: Maps) -> Pooled:
    """The logit of "at least one cell has it": P = 1 - prod(1 - p).

    Li et al. 2018, "Thoracic disease identification and localization with limited supervision":
    the factors 1 - p are rescaled linearly to [0.98, 1], because the product of hundreds of small
    factors underflows; so 1 - p becomes 1 - 0.02 p. A single cell of p = 1 gives P = 0.02, and 400
    such cells give P = 0.9997. Therefore logits are comparable only between grids of the same size.

    >>> noisy_or(torch.tensor([[[[0.0, 0.0]]]])).sigmoid()  # 1 - 0.99 x 0.99
    tensor([[0.0199]])
    """
    z = _at_least_float32(maps).flatten(2)
    survives = -torch.log1p(-0.02 * torch.sigmoid(z)).sum(dim=2)  # -log(1 - P)
    # P / (1 - P) = exp(survives) - 1, which is about equal to `survives` where all p are tiny.
    tiny = math.log(0.02) + torch.logsumexp(F.logsigmoid(z), dim=2)
    logit = torch.where(survives > 1e-6, torch.log(torch.expm1(survives.clamp(min=1e-7))), tiny)
    return logit.to(maps.dtype)


def highest_and_lowest(
    maps: Maps, highest: float = 1.0, lowest: float = 0.0, alpha: float = 1.0
) -> Pooled:
    """The mean of the k largest values, plus alpha times the mean of the m smallest ones.

    Durand et al. 2016 (WELDON) and 2017 (WILDCAT): the strongest evidence against a finding counts
    too. k = 1 with m = 0 is the maximum, and all cells with m = 0 are the average. If the grid has
    fewer cells than k or m, all cells are taken.

    Args:
        maps: maps of logits, or of features.
        highest: k if it is 1 or more; below 1 it is a share of the cells, but at least one cell.
        lowest: m, given in the same way; 0 for no cells.
        alpha: weight of the smallest values.

    >>> highest_and_lowest(torch.tensor([[[[-4.0, 1.0], [3.0, 6.0]]]]), 2, 1, alpha=0.5)
    tensor([[2.5000]])
    """
    values = _at_least_float32(maps).flatten(2)
    pooled = values.topk(_cells(highest, values.shape[2]), dim=2).values.mean(dim=2)
    if lowest:
        low = values.topk(_cells(lowest, values.shape[2]), dim=2, largest=False).values
        pooled = pooled + alpha * low.mean(dim=2)
    return pooled.to(maps.dtype)


def linear_softmax(maps: Maps) -> Pooled:
    """The logit of P = sum p^2 / sum p, the mean of probabilities weighted by themselves.

    Wang et al. 2019, "A comparison of five multiple instance learning pooling functions for sound
    event detection". This is PCAM with probabilities in place of logits. It is computed in
    logarithms, so that it is also exact where all p are tiny:
    P / (1 - P) = sum p^2 / sum p (1 - p).

    >>> linear_softmax(torch.tensor([[[[0.0, 0.0]]]])).sigmoid()
    tensor([[0.5000]])
    """
    z = _at_least_float32(maps).flatten(2)
    present, absent = F.logsigmoid(z), F.logsigmoid(-z)
    logit = torch.logsumexp(2 * present, dim=2) - torch.logsumexp(present + absent, dim=2)
    return logit.to(maps.dtype)


def _log_sum_exp(maps: Maps, r: Tensor) -> Pooled:
    x = _at_least_float32(maps)
    # x_p does not depend on the choice of x*, so no gradient needs to flow through it.
    largest = x.detach().amax(dim=(2, 3), keepdim=True)
    mean = torch.expm1(r * (x - largest)).mean(dim=(2, 3))
    return (largest[:, :, 0, 0] + torch.log1p(mean) / r.flatten()).to(maps.dtype)


def _at_least_float32(maps: Maps) -> Maps:
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _cells(count: float, cells: int) -> int:
    """The number of cells that `count` means: itself, or a share of all cells if it is below 1."""
    return min(cells, max(1, round(count if count >= 1 else count * cells)))


POOLINGS: dict[str, Callable[..., Pooled]] = {
    "average": average,
    "max": maximum,
    "lse": log_sum_exp,
    "lse_learned": learned_log_sum_exp,
    "pcam": pcam,
    "noisy_or": noisy_or,
    "highest_and_lowest": highest_and_lowest,
    "linear_softmax": linear_softmax,
    "average_normalised": average_normalised,
}
"""Global poolings by name: (maps [batch channel row col], own parameters) -> [batch channel]."""

OF_LOGITS_ALONE = ("pcam", "noisy_or", "linear_softmax")
"""Poolings whose formula contains the probability of a cell, so that they cannot pool features."""

OF_FEATURES_ALONE = ("average_normalised",)
"""Poolings over the channels of the features, which logits do not have."""


@dataclass(frozen=True, slots=True)
class PoolingParameters:
    """The parameters of a pooling; None stands for the default of the pooling function.

    Parameters that the pooling does not have must stay None.

    Attributes:
        r: sharpness of "lse".
        r0: lower bound of the sharpness of "lse_learned".
        highest: number, or share, of the largest cells of "highest_and_lowest".
        lowest: number, or share, of its smallest cells.
        alpha: weight of the smallest cells.
        epsilon: added to the variance by "average_normalised".
    """

    r: float | None = None
    r0: float | None = None
    highest: float | None = None
    lowest: float | None = None
    alpha: float | None = None
    epsilon: float | None = None

    def __post_init__(self) -> None:
        ranges = {
            "r": (self.r, 0.0, False),
            "r0": (self.r0, 0.0, True),
            "highest": (self.highest, 0.0, False),
            "lowest": (self.lowest, 0.0, True),
            "alpha": (self.alpha, -math.inf, False),
            "epsilon": (self.epsilon, 0.0, True),
        }
        for name, (value, least, may_equal) in ranges.items():
            if value is None:
                continue
            if not math.isfinite(value) or value < least or (value == least and not may_equal):
                bound = "at least 0" if may_equal else "above 0"
                words = "finite" if name == "alpha" else f"{bound} and finite"
                raise CxrlocError(f"{name} must be {words}, got {value}")


def completed_parameters(pooling: str, parameters: PoolingParameters) -> dict[str, float]:
    """The parameters of a pooling by name; those that are None have their default values.

    Raises:
        CxrlocError: a parameter is given that the pooling does not have.

    >>> (
    ...     completed_parameters("lse", PoolingParameters(r=5.0)),
    ...     completed_parameters("max", PoolingParameters()),
    ... )
    ({'r': 5.0}, {})
    """
    accepted = inspect.signature(POOLINGS[pooling]).parameters
    defaults = {name: p.default for name, p in accepted.items() if p.default is not p.empty}
    values = {f.name: getattr(parameters, f.name) for f in fields(parameters)}
    for name, value in values.items():
        if value is not None and name not in defaults:
            known = ", ".join(defaults) or "none"
            raise CxrlocError(f"{name} is no parameter of the pooling {pooling!r}: it has {known}")
    return {
        name: default if values[name] is None else values[name]
        for name, default in defaults.items()
    }


class Pool(nn.Module):
    """A pooling layer; for "lse_learned" it has one learned parameter per channel (`beta`).

    >>> Pool("lse", PoolingParameters(r=1.0), channels=1)(torch.tensor([[[[0.0, 0.0]]]]))
    tensor([[0.]])
    """

    def __init__(self, pooling: str, parameters: PoolingParameters, channels: int) -> None:
        super().__init__()
        self.function = partial(POOLINGS[pooling], **completed_parameters(pooling, parameters))
        learns = "beta" in inspect.signature(POOLINGS[pooling]).parameters
        self.beta = nn.Parameter(torch.zeros(channels)) if learns else None

    def forward(self, maps: Maps) -> Pooled:
        """One value per map: the pooling of its cells."""
        return self.function(maps) if self.beta is None else self.function(maps, self.beta)
