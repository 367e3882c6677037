"""The learning rate range test: one short training run with an increasing learning rate."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import torch
from torch import nn

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.training.distributed import joined, summed
from cxrloc.training.fit import Batches
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.step import parts_of, take_step

SMOOTHING = 0.9
"""Weight of the previous smoothed loss in the exponential average."""

DIVERGED = 4.0
"""The test ends when the smoothed loss is above this multiple of its smallest value."""


@dataclass(frozen=True, slots=True)
class RangeConfig:
    """The range and the shape of the ramp.

    Attributes:
        lowest: learning rate of the first step.
        highest: learning rate of the last step.
        steps: number of steps, each with one batch.
        ramp: a name of `RAMPS`.

    Raises:
        UsageError: a value is out of its range.
    """

    lowest: float = 1e-6
    highest: float = 1.0
    steps: int = 100
    ramp: str = "exponential"

    def __post_init__(self) -> None:
        if self.ramp not in RAMPS:
            raise UsageError(f"ramp {self.ramp!r} is unknown: choose one of {', '.join(RAMPS)}")
        if not 0 < self.lowest < self.highest or self.steps < 2:
            raise UsageError("a ramp needs 0 < lowest < highest and 2 steps or more")


def exponential(done: float, config: RangeConfig) -> float:
    """A learning rate that rises by equal factors, with the same number of steps per decade.

    >>> exponential(0.5, RangeConfig(lowest=0.25, highest=4.0))
    1.0
    """
    return config.lowest * (config.highest / config.lowest) ** done


def linear(done: float, config: RangeConfig) -> float:
    """A learning rate that rises by equal differences (Smith 2017, section 3.3).

    >>> linear(0.5, RangeConfig(lowest=1.0, highest=4.0))
    2.5
    """
    return config.lowest + (config.highest - config.lowest) * done


RAMPS: dict[str, Callable[[float, RangeConfig], float]] = {
    "exponential": exponential,
    "linear": linear,
}
"""Ramps by name: (share of the steps done, config) -> learning rate."""


class RangePoint(NamedTuple):
    """One step of the test.

    Attributes:
        learning_rate: learning rate of the step.
        loss: loss of its batch, as a mean per image.
        smoothed: exponential average of the losses so far, corrected for its start at 0.
    """

    learning_rate: float
    loss: float
    smoothed: float


def lr_range(
    network: nn.Module, batches: Batches, fit: FitConfig, config: RangeConfig
) -> Iterator[RangePoint]:
    """Yields the loss of each step while the learning rate rises; ends where the loss diverges.

    The steps are those of the function `fit`, with other learning rates; every process of
    `torchrun` calls this with its own batches.

    Smith 2017, Cyclical Learning Rates, section 3.3; Rubin et al. 2018, section 6: the boundaries
    of a cyclic learning rate are the rates at which the loss begins to fall and stops falling.
    Departs: Smith reads the accuracy; we read the loss, which needs no validation.

    Args:
        network: network that returns (logits, features); it is trained in place, and its weights
            should not be used afterwards.
        batches: function from the first step to the forward passes of each step, as for `fit`.
        fit: settings of the training; weights are not averaged.
        config: range and shape of the ramp.

    Yields:
        One point per step.

    Raises:
        CxrlocError: the loss is not finite at the first step.
    """
    parts = parts_of(network, replace(fit, averaging=0.0))
    forward = joined(network)
    average, smallest = 0.0, math.inf
    for step, passes in enumerate(islice(batches(0), config.steps), start=1):
        rate = RAMPS[config.ramp]((step - 1) / (config.steps - 1), config)
        losses = take_step(forward, parts, passes, fit, step - 1, rate)
        total = summed(torch.stack(losses)[:, 0].sum()).item() / fit.batch_size
        average = SMOOTHING * average + (1 - SMOOTHING) * total
        if step == 1 and not math.isfinite(total):
            raise CxrlocError(f"the loss is {total} at the first step: it is not the learning rate")
        smoothed = average / (1 - SMOOTHING**step)
        yield RangePoint(rate, total, smoothed)
        smallest = min(smallest, smoothed)
        if not smoothed <= DIVERGED * smallest:  # or not a number
            return


def boundaries(points: Sequence[RangePoint]) -> tuple[float, float] | None:
    """The learning rates between which the smoothed loss falls; None if it never falls.

    Open: Rubin et al. 2018 and Smith 2017 read these rates from a plot. Here the upper rate is the
    one with the smallest smoothed loss. The loss falls to this minimum from the highest value
    before it, and the lower rate is the first at which a tenth of this fall is reached.

    >>> losses = [4.0, 4.0, 3.0, 2.0, 3.0]
    >>> boundaries([RangePoint(10.0**k, loss, loss) for k, loss in enumerate(losses)])
    (100.0, 1000.0)
    """
    losses = [point.smoothed for point in points if math.isfinite(point.smoothed)]
    lowest = losses.index(min(losses))
    highest = max(losses[: lowest + 1])
    falling = highest - 0.1 * (highest - losses[lowest])
    start = losses.index(highest)
    begins = next(k for k in range(start, lowest + 1) if losses[k] <= falling)
    if losses[lowest] == highest:
        return None
    return points[begins].learning_rate, points[lowest].learning_rate
