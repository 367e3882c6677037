"""How far a run is: losses since the last validation, speed and time left."""

import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from cxrloc.training.checkpoints import State
from cxrloc.training.distributed import summed
from cxrloc.training.fit_config import FitConfig
from cxrloc.types import CxrlocError

CHECKPOINT_SECONDS = 300
"""At most this much work is lost when a run is killed."""


class Moment(NamedTuple):
    """How far a run is.

    Attributes:
        step: steps done.
        steps: of all.
        loss: mean since the last validation, per label or per image (`losses.loss_terms`).
        images_per_second: since the run began or was resumed, validations counted too.
        seconds_left: at that speed.
        validation: the last row of metrics.csv; empty before there is one.
    """

    step: int
    steps: int
    loss: float
    images_per_second: float
    seconds_left: float
    validation: Mapping[str, float]


def unseen(moment: Moment) -> None:
    """Nobody watches."""


class Losses:
    """Losses since the last validation; read once in a while, so that a GPU need not be waited for.

    Each step's sum over the processes is added on its own, in order, so that the total does not
    depend on when it is read.
    """

    def __init__(self, state: State, config: FitConfig, seen: Callable[[Moment], None]) -> None:
        self.state, self.config, self.seen = state, config, seen
        self.waiting: list[Tensor] = []
        self.first_step, self.started = state.step, time.perf_counter()
        self.watched = self.written = self.started

    def add(self, loss_and_terms: Tensor) -> None:
        """The losses of one pass."""
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
        """Since this process began, validations counted too."""
        steps = self.state.step - self.first_step
        return steps * self.config.batch_size / (time.perf_counter() - self.started)

    def take(self) -> dict[str, float]:
        """Columns of the history; the next mean begins anew."""
        row = {"loss": self.mean(), "images_per_second": self.images_per_second()}
        self.state.loss = self.state.loss_terms = 0.0
        return row

    def watch(self, now: bool = False) -> bool:
        """Say how far the run is, about once a second; whether a checkpoint is due."""
        seconds = time.perf_counter()
        if now or seconds - self.watched > 1:
            self.watched = seconds
            speed = self.images_per_second()
            left = (self.config.steps - self.state.step) * self.config.batch_size / speed
            last = self.state.history[-1] if self.state.history else {}
            loss = (
                self.mean() if self.waiting or self.state.loss_terms else last.get("loss", math.nan)
            )
            self.seen(Moment(self.state.step, self.config.steps, loss, speed, left, last))
        due = now or seconds - self.written > CHECKPOINT_SECONDS
        if due:
            self.mean()
            self.written = seconds
        return due
