"""The LR range test: one short run in which the learning rate only rises."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from torch import nn

from cxrloc.training.fit import Batches
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.step import parts_of, take_step
from cxrloc.types import CxrlocError, UsageError

SMOOTHING = 0.9
"""Share that a smoothed loss keeps of the one before."""

DIVERGED = 4.0
"""A smoothed loss so many times the smallest ends the test."""


@dataclass(frozen=True, slots=True)
class RangeConfig:
    """The range and the shape of the ramp.

    Attributes:
        lowest: learning rate of the first step.
        highest: of the last.
        steps: batches.
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
    """Equal factors: each decade takes as many steps.

    >>> exponential(0.5, RangeConfig(lowest=0.25, highest=4.0))
    1.0
    """
    return config.lowest * (config.highest / config.lowest) ** done


def linear(done: float, config: RangeConfig) -> float:
    """Equal steps (Smith 2017, section 3.3).

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
        learning_rate: of the step.
        loss: of its batch, a mean per image.
        smoothed: exponential average of the losses so far, without its bias to the first.
    """

    learning_rate: float
    loss: float
    smoothed: float


def lr_range(
    network: nn.Module, batches: Batches, fit: FitConfig, config: RangeConfig
) -> Iterator[RangePoint]:
    """Yields the loss of each step while the learning rate rises; ends where the loss diverges.

    The steps are those of `fit` with other learning rates.

    Smith 2017, Cyclical Learning Rates, section 3.3; Rubin et al. 2018, section 6: the boundaries
    of a cyclic learning rate are where the loss begins to fall and where it no longer does.
    Departs: Smith reads the accuracy; a loss needs no validation.

    Args:
        network: gives (logits, features), in place; its weights are of no use afterwards.
        batches: from a step on, the forward passes of each step (as `fit`).
        fit: as `fit` takes it; weights are not averaged.
        config: the ramp.

    Yields:
        One point per step.

    Raises:
        CxrlocError: the loss is not finite from the beginning.
    """
    parts = parts_of(network, replace(fit, averaging=0.0))
    average, smallest = 0.0, math.inf
    for step, passes in enumerate(islice(batches(0), config.steps), start=1):
        rate = RAMPS[config.ramp]((step - 1) / (config.steps - 1), config)
        losses = take_step(network, parts, passes, fit, step - 1, rate)
        total = sum(loss.item() for loss, _ in losses) / fit.batch_size
        average = SMOOTHING * average + (1 - SMOOTHING) * total
        if step == 1 and not math.isfinite(total):
            raise CxrlocError(f"the loss is {total} at the first step: it is not the learning rate")
        smoothed = average / (1 - SMOOTHING**step)
        yield RangePoint(rate, total, smoothed)
        smallest = min(smallest, smoothed)
        if not smoothed <= DIVERGED * smallest:  # or not a number
            return


def boundaries(points: Sequence[RangePoint]) -> tuple[float, float] | None:
    """Learning rates between which the smoothed loss falls; None where it never does.

    Open: Rubin et al. 2018 and Smith 2017 read them off by eye. Here the upper one is where the
    smoothed loss is smallest, the lower one the first by which a tenth of the way down from its
    highest value before that is done.

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
