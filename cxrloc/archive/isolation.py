"""Runs a step of an archive's engines in a child process, so that a bad image costs only itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from cxrloc.errors import CxrlocError
from cxrloc.workers import Limits, StartError, TaskDiedError, TaskProcess, TaskTimeoutError


class Lost(NamedTuple):
    """The result of an image that failed: the stage in which it failed, and the reason."""

    stage: str
    reason: str


class Item(NamedTuple):
    """An image on its way through the steps.

    Attributes:
        row: row of the manifest, from 0.
        uri: of the image.
        begun: when the image's part was begun, in seconds since 1970.
        value: what the last step made of the image, or `Lost`; None before the first step.
    """

    row: int
    uri: str
    begun: float
    value: Any = None


StepFunction = Callable[[list[Item]], list[Any]]
"""Values, or `Lost`, of several images, in their order."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an engine.

    Attributes:
        stage: its name in the table of failures.
        prepare: is called with the name of a device in the child process, and returns the step's
            function. It must be picklable.
        limits: of one call of the function.
        together: number of images in one call.
    """

    stage: str
    prepare: Callable[[str], StepFunction]
    limits: Limits = field(default_factory=Limits)
    together: int = 1


class Isolated:
    """A step in a child process of its own.

    If the process dies or is too slow, its images are tried again one by one, so that the others
    of a batch are done. An image whose process dies is tried twice, because the process may have
    been killed for another reason.
    """

    def __init__(self, step: Step, device: str = "cpu") -> None:
        self._step = step
        self._stopped = False
        prepare = partial(step.prepare, device)
        self._process: TaskProcess[list[Item], list[Any]] = TaskProcess(prepare, step.limits)

    def __call__(self, items: Sequence[Item]) -> list[Item]:
        """The items with their new values; those that are `Lost` stay as they are.

        Raises:
            CxrlocError: the step cannot start, or refuses the model or the options.
        """
        left = [item for item in items if not isinstance(item.value, Lost)]
        size = self._step.together
        done = iter(
            [each for at in range(0, len(left), size) for each in self._run(left[at : at + size])]
        )
        return [item if isinstance(item.value, Lost) else next(done) for item in items]

    def _run(self, items: list[Item], tries: int = 2) -> list[Item]:
        if self._stopped:
            return [item._replace(value=Lost(self._step.stage, "interrupted")) for item in items]
        try:
            values = self._process.run(items)
            return [item._replace(value=value) for item, value in zip(items, values, strict=True)]
        except StartError as error:
            raise CxrlocError(
                f"a process of the stage {self._step.stage!r} does not start: it {error}"
            ) from error
        except TaskDiedError as error:
            if len(items) > 1:
                return [each for item in items for each in self._run([item])]
            if tries > 1 and not self._stopped and not isinstance(error, TaskTimeoutError):
                return self._run(items, tries - 1)
            return [items[0]._replace(value=Lost(self._step.stage, f"the image {error}"))]

    def stop(self) -> None:
        """Kill the process, from any thread; images that it holds are `Lost`."""
        self._stopped = True
        self._process.kill()

    def close(self) -> None:
        """End the process."""
        self._process.close()
