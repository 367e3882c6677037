"""Learning rates as functions of the step and of the validation losses so far.

A schedule keeps no state of its own, so a resumed run needs none.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cxrloc.errors import CxrlocError


class Progress(NamedTuple):
    """The progress of a training when a learning rate is computed.

    Attributes:
        step: number of finished steps (batches).
        steps: number of steps of the whole training.
        validation_losses: losses of all validations so far, oldest first.
    """

    step: int
    steps: int
    validation_losses: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """The settings of a learning rate schedule.

    Papers give some of these lengths in steps (batches) and some in epochs (passes over the
    training images). A recipe gives each length in one of the two; `in_steps` turns epochs into
    steps once the number of training images is known.

    Attributes:
        learning_rate: the highest rate: constant rate, peak, upper boundary or first value.
        name: a name of `SCHEDULES`.
        base_learning_rate: lower boundary of "triangular2".
        warmup_steps: number of steps in which "cosine" rises to its peak.
        warmup_epochs: the same in epochs.
        half_cycle_steps: steps from one boundary of "triangular2" to the other (Smith's stepsize).
        half_cycle_epochs: the same in epochs.
        decay_every: steps between two cuts of "step".
        decay_every_epochs: the same in epochs.
        decay: factor of each cut of "step" and "plateau".
        patience: number of successive validations without improvement that "plateau" tolerates;
            the next one cuts the rate.

    Raises:
        CxrlocError: a value is out of its range, one that the schedule needs is missing, or a
            length is given in steps and in epochs.
    """

    learning_rate: float
    name: str = "cosine"
    base_learning_rate: float = 0.0
    warmup_steps: int = 0
    warmup_epochs: float = 0.0
    half_cycle_steps: int = 0
    half_cycle_epochs: float = 0.0
    decay_every: int = 0
    decay_every_epochs: float = 0.0
    decay: float = 0.1
    patience: int = 0

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise CxrlocError(f"schedule {self.name!r} is unknown: {', '.join(SCHEDULES)}")
        if not 0 <= self.base_learning_rate <= self.learning_rate:
            raise CxrlocError("the learning rate must be at or above base_learning_rate, that at 0")
        if not 0 < self.decay <= 1:
            raise CxrlocError(f"decay must be above 0 and at most 1, got {self.decay}")
        for steps, epochs in LENGTHS.items():
            lengths = getattr(self, steps), getattr(self, epochs)
            if min(lengths) < 0 or min(lengths) > 0:
                raise CxrlocError(
                    f"{steps} = {lengths[0]} and {epochs} = {lengths[1]}: give one of the two, "
                    "above 0"
                )
            if NEEDED.get(self.name) == steps and not any(lengths):
                raise CxrlocError(f"schedule {self.name!r} needs {steps} or {epochs}, above 0")


LENGTHS = {
    "warmup_steps": "warmup_epochs",
    "half_cycle_steps": "half_cycle_epochs",
    "decay_every": "decay_every_epochs",
}
"""Keys of lengths in steps, and of the same lengths in epochs."""

NEEDED = {"triangular2": "half_cycle_steps", "step": "decay_every"}
"""The length that each of these schedules requires."""


def in_steps(config: ScheduleConfig, steps_per_epoch: int) -> ScheduleConfig:
    """The schedule with all its lengths in steps, rounded, and at least one step.

    >>> in_steps(ScheduleConfig(0.1, "step", decay_every_epochs=1.5), steps_per_epoch=5).decay_every
    8
    """
    changes: dict[str, float] = {}
    for steps, epochs in LENGTHS.items():
        if length := getattr(config, epochs):
            changes |= {steps: max(1, round(length * steps_per_epoch)), epochs: 0.0}
    return replace(config, **changes)  # type: ignore[arg-type]


def constant(progress: Progress, config: ScheduleConfig) -> float:
    """The same rate at every step.

    >>> constant(Progress(step=7, steps=9), ScheduleConfig(0.5, "constant"))
    0.5
    """
    return config.learning_rate


def step_decay(progress: Progress, config: ScheduleConfig) -> float:
    """The rate, cut by a factor after every `decay_every` steps.

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
    """A rate that rises and falls between two boundaries; the height is halved after each cycle.

    Smith 2017, Cyclical Learning Rates, section 3; Rubin et al. 2018, section 6. In cycle
    c = 1, 2, ... the rate is base + (max - base) (1 - |x - 1|) / 2^(c - 1), where x is the number
    of steps since the cycle began, divided by those of half a cycle. Momentum, and Adam's beta1,
    are not changed.

    >>> config = ScheduleConfig(9.0, "triangular2", base_learning_rate=1.0, half_cycle_steps=2)
    >>> [triangular2(Progress(step, steps=9), config) for step in range(9)]
    [1.0, 5.0, 9.0, 5.0, 1.0, 3.0, 5.0, 3.0, 1.0]
    """
    cycle, place = divmod(progress.step, 2 * config.half_cycle_steps)
    height = 1 - abs(place / config.half_cycle_steps - 1)
    span = config.learning_rate - config.base_learning_rate
    return config.base_learning_rate + span * height / 2**cycle


def plateau(progress: Progress, config: ScheduleConfig) -> float:
    """The rate, cut by a factor each time the validation loss has not improved.

    Baltruschat et al. 2019, Experiments: by 2 "when the validation loss does not improve". Open:
    there is no patience, and any loss below the best so far is an improvement.

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
