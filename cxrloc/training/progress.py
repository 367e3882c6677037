"""Progress of a run: losses since the last validation, speed and time left."""

import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from cxrloc.errors import CxrlocError
from cxrloc.training.checkpoints import State
from cxrloc.training.distributed import summed
from cxrloc.training.fit_config import FitConfig

CHECKPOINT_SECONDS = 300
"""Longest time between two checkpoints, and so the most work lost when a run is killed."""


class Moment(NamedTuple):
    """The progress of a run at one moment.

    Attributes:
        step: number of finished steps.
        steps: number of all steps.
        loss: mean loss since the last validation, per label or per image (`losses.loss_terms`).
        images_per_second: speed since the run began or was resumed, including validations.
        seconds_left: remaining time at that speed.
        validation: the last row of metrics.csv; empty before the first validation.
    """

    step: int
    steps: int
    loss: float
    images_per_second: float
    seconds_left: float
    validation: Mapping[str, float]


def ignore_progress(moment: Moment) -> None:
    """A callback that ignores progress."""


class Losses:
    """The sum of the losses since the last validation.

    Losses stay on the device until the sum is needed, so that the program does not wait for a GPU
    at every step. Each step's loss is added on its own and in order, so that the total does not
    depend on when it is read.
    """

    def __init__(self, state: State, config: FitConfig, watch: Callable[[Moment], None]) -> None:
        self.state, self.config, self.watcher = state, config, watch
        self.waiting: list[Tensor] = []
        self.first_step, self.started = state.step, time.perf_counter()
        self.watched = self.written = self.started

    def add(self, loss_and_terms: Tensor) -> None:
        """Add the loss of one pass and the number of its terms."""
        self.waiting.append(summed(loss_and_terms))

    def mean(self) -> float:
        """The mean loss since the last validation."""
        for loss, terms in (pair.tolist() for pair in self.waiting):
            self.state.loss += loss
            self.state.loss_terms += terms
        self.waiting.clear()
        if not math.isfinite(self.state.loss):
            raise CxrlocError(
                f"the loss was not finite by step {self.state.step}: lower the learning rate"
            )
        return self.state.loss / max(self.state.loss_terms, 1)

    def images_per_second(self) -> float:
        """The speed since this process began, including validations."""
        steps = self.state.step - self.first_step
        return steps * self.config.batch_size / (time.perf_counter() - self.started)

    def take(self) -> dict[str, float]:
        """The mean loss and the speed as columns of the history; then the mean is reset."""
        row = {"loss": self.mean(), "images_per_second": self.images_per_second()}
        self.state.loss = self.state.loss_terms = 0.0
        return row

    def watch(self, now: bool = False) -> bool:
        """Report progress about once a second; True when a checkpoint is due."""
        seconds = time.perf_counter()
        if now or seconds - self.watched > 1:
            self.watched = seconds
            speed = self.images_per_second()
            left = (self.config.steps - self.state.step) * self.config.batch_size / speed
            last = self.state.history[-1] if self.state.history else {}
            loss = (
                self.mean() if self.waiting or self.state.loss_terms else last.get("loss", math.nan)
            )
            self.watcher(Moment(self.state.step, self.config.steps, loss, speed, left, last))
        due = now or seconds - self.written > CHECKPOINT_SECONDS
        if due:
            self.mean()
            self.written = seconds
        return due
