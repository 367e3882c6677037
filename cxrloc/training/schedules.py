"""Learning rates: functions of how far training is.

All of them are computed anew from the step and the validation losses so far, so that a resumed run
needs no state of theirs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cxrloc.types import CxrlocError


class Progress(NamedTuple):
    """How far training is when a learning rate is asked for.

    Attributes:
        step: batches learned from.
        steps: batches of the whole training.
        validation_losses: of all validations so far, oldest first.
    """

    step: int
    steps: int
    validation_losses: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """How the learning rate moves.

    Attributes:
        learning_rate: the highest: constant rate, peak, upper boundary or first value.
        name: of `SCHEDULES`.
        base_learning_rate: lower boundary of "triangular2".
        warmup_steps: over which "cosine" rises to its peak.
        half_cycle_steps: from one boundary of "triangular2" to the other (Smith's stepsize).
        decay_every: steps between two cuts of "step".
        decay: factor of each cut of "step" and "plateau".
        patience: validations without improvement that "plateau" bears before it cuts.

    Raises:
        CxrlocError: a value is out of its range, or one that the schedule needs is missing.
    """

    learning_rate: float
    name: str = "cosine"
    base_learning_rate: float = 0.0
    warmup_steps: int = 0
    half_cycle_steps: int = 0
    decay_every: int = 0
    decay: float = 0.1
    patience: int = 0

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise CxrlocError(f"schedule {self.name!r} is unknown: {', '.join(SCHEDULES)}")
        if not 0 <= self.base_learning_rate <= self.learning_rate:
            raise CxrlocError("the learning rate must be at or above base_learning_rate, that at 0")
        if not 0 < self.decay <= 1:
            raise CxrlocError(f"decay must be above 0 and at most 1, got {self.decay}")
        for schedule, needed in (("triangular2", "half_cycle_steps"), ("step", "decay_every")):
            if self.name == schedule and getattr(self, needed) < 1:
                raise CxrlocError(f"schedule {schedule!r} needs {needed} of 1 or more")


def constant(progress: Progress, config: ScheduleConfig) -> float:
    """The same all along.

    >>> constant(Progress(step=7, steps=9), ScheduleConfig(0.5, "constant"))
    0.5
    """
    return config.learning_rate


def step_decay(progress: Progress, config: ScheduleConfig) -> float:
    """Cut by a factor every so many steps.

    >>> config = ScheduleConfig(8.0, "step", decay_every=2, decay=0.5)
    >>> [step_decay(Progress(step, steps=6), config) for step in range(6)]
    [8.0, 8.0, 4.0, 4.0, 2.0, 2.0]
    """
    return config.learning_rate * config.decay ** (progress.step // config.decay_every)


def cosine(progress: Progress, config: ScheduleConfig) -> float:
    """Linear warm-up to the peak, then half a cosine down to 0 after the last step.

    >>> config = ScheduleConfig(1.0, "cosine", warmup_steps=2)
    >>> [round(cosine(Progress(step, steps=6), config), 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """
    if progress.step < config.warmup_steps:
        return config.learning_rate * (progress.step + 1) / config.warmup_steps
    done = (progress.step - config.warmup_steps) / (progress.steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def triangular2(progress: Progress, config: ScheduleConfig) -> float:
    """Up and down between two boundaries, the height halved after each cycle.

    Smith 2017, Cyclical Learning Rates, section 3; Rubin et al. 2018, section 6. In cycle
    c = 1, 2, ... at the share x of its half, base + (max - base) (1 - |x - 1|) / 2^(c - 1).
    Momentum, and Adam's beta1, stay as they are.

    >>> config = ScheduleConfig(9.0, "triangular2", base_learning_rate=1.0, half_cycle_steps=2)
    >>> [triangular2(Progress(step, steps=9), config) for step in range(9)]
    [1.0, 5.0, 9.0, 5.0, 1.0, 3.0, 5.0, 3.0, 1.0]
    """
    cycle, place = divmod(progress.step, 2 * config.half_cycle_steps)
    height = 1 - abs(place / config.half_cycle_steps - 1)
    span = config.learning_rate - config.base_learning_rate
    return config.base_learning_rate + span * height / 2**cycle


def plateau(progress: Progress, config: ScheduleConfig) -> float:
    """Cut by a factor when the validation loss has not improved.

    Baltruschat et al. 2019, Experiments: by 2 "when the validation loss does not improve". Open:
    without patience, any smaller loss being an improvement on the best so far.

    >>> config = ScheduleConfig(8.0, "plateau", decay=0.5)
    >>> losses = [0.5, 0.4, 0.4, 0.3, 0.35, 0.31]  # cut at the second 0.4, 0.35 and 0.31
    >>> plateau(Progress(step=600, steps=900, validation_losses=losses), config)
    1.0
    """
    rate, best, waited = config.learning_rate, math.inf, 0
    for loss in progress.validation_losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited > config.patience:
            rate, waited = rate * config.decay, 0
    return rate


SCHEDULES: dict[str, Callable[[Progress, ScheduleConfig], float]] = {
    "constant": constant,
    "step": step_decay,
    "cosine": cosine,
    "triangular2": triangular2,
    "plateau": plateau,
}
"""Learning rates by name: (progress, config) -> the rate of the next step."""
