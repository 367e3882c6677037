"""The tasks that Ray Data runs on blocks of an archive, and the cluster on which it runs them.

A block is an Arrow table with the columns `part` (number of the part) and `item` (a pickled
`Item`).
"""

import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from cxrloc.archive.isolation import Isolated, Item, Step
from cxrloc.archive.plan import Part
from cxrloc.archive.steps import Resources, begun
from cxrloc.archive.tables import PartCounts
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.extras import import_extra


class Shares(NamedTuple):
    """How the steps share a cluster.

    Attributes:
        networks: number of actors with a network.
        device: of each network.
        network, read, short: what an actor, a task that reads and any other task take, as options
            of `map_batches`.
    """

    networks: int
    device: str
    network: dict[str, Any]
    read: dict[str, Any]
    short: dict[str, Any]


def shares_of(cpus: float, gpus: float) -> Shares:
    """The shares of a cluster with these numbers of processors and accelerators.

    Each accelerator has a network; without any, each processor has one. Networks reserve
    no processor, so that the tasks that feed them can always start, also when a machine is lost and
    its networks begin again on those that are left: Ray Data would wait for ever otherwise. Ray
    Data spreads them over the machines. Reading takes another share than other tasks, because Ray
    Data runs steps of equal shares in one process, one after the other.

    Raises:
        UsageError: no task that reads could start.

    >>> shares_of(2, 0).networks, shares_of(16, 8).networks
    (2, 8)
    """
    if cpus < 1:
        raise UsageError(
            f"the Ray cluster has {cpus:g} processors, and a task that reads needs one: start Ray "
            "with at least 1, or use --engine local"
        )
    arrow = {"batch_format": "pyarrow"}
    return Shares(
        int(gpus) or int(cpus),
        "cuda" if gpus else "cpu",
        network={"num_gpus": min(gpus, 1), "num_cpus": 0, **arrow},
        read={"num_cpus": 1, **arrow},
        short={"num_cpus": 0.25, **arrow},
    )


@contextmanager
def ray_cluster(resources: Resources) -> Iterator[Shares]:
    """Connect to a Ray cluster, or start one on this machine; yields what tasks take of it.

    Raises:
        UsageError: there is no such cluster, or it is too small.
        CxrlocError: what a task raised.
    """
    # Ray would send statistics of its use to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    ray = import_extra("ray", "archive")
    data = import_extra("ray.data", "archive")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    started_here = not ray.is_initialized()
    try:
        if started_here:
            with _signal_handlers_kept():
                ray.init(**_start_options(resources), log_to_driver=False, logging_level="error")
        context = data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.raise_original_map_exception = True
        there = ray.cluster_resources()
        yield shares_of(there.get("CPU", 0), there.get("GPU", 0))
    except ConnectionError as error:
        raise UsageError(f"--address {resources.address}: no Ray cluster answers") from error
    except ray.exceptions.RayError as error:
        raise _cause(error) from error
    finally:
        if started_here:
            ray.shutdown()


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Restore the signal handlers after Ray has set its own, which abort the program on SIGTERM."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():  # only it may set handlers
            for number, handler in handlers.items():
                if handler is not None:  # None: C code set it, so Python cannot set it again
                    signal.signal(number, handler)


def _start_options(resources: Resources) -> dict[str, Any]:
    if resources.address:
        return {"address": resources.address}
    gpus = sum(device != "cpu" for device in resources.devices)
    # Without "local" Ray would look for a cluster that someone else may have started here.
    local = {"address": "local", "include_dashboard": False}
    return {**local, "num_cpus": os.cpu_count(), "num_gpus": gpus}


def _cause(error: BaseException) -> Exception:
    """The error of this package that made a task fail, or an error with a line about Ray's own."""
    found: BaseException | None = error
    while found is not None:
        if type(found).__module__.startswith("cxrloc") and isinstance(found, CxrlocError):
            # Messages of this package are one line; Ray adds others.
            return type(found)(str(found.args[0]).partition("\n")[0])
        found = getattr(found, "cause", None) or found.__cause__
    return CxrlocError(f"Ray gave up: {error}")


@dataclass(frozen=True)
class RayBegin:
    """Blocks of a part's images, from a block with one part."""

    uris: Callable[[Part], list[str]]

    def __call__(self, block: Any) -> Any:
        """Items of the part, each with no value yet."""
        (part,) = (Part(*row) for row in block.column("part").to_pylist())
        return _block([part.number] * part.rows, begun(part, self.uris))


@dataclass(frozen=True)
class RayRead:
    """Reads images in a child of the process that runs the task; `step` is a pickled `Step`."""

    step: bytes

    def __call__(self, block: Any) -> Any:
        """Items with the network's input, or `Lost`."""
        return _mapped(_kept(self.step), block)


@cache
def _kept(step: bytes) -> Isolated:
    """The child process that runs the step; it lives as long as Ray keeps this process."""
    return Isolated(pickle.loads(step))


class RayNetwork:
    """An actor with a network on its device."""

    def __init__(self, step: Step, device: str) -> None:
        self._network = Isolated(step, device)

    def __call__(self, block: Any) -> Any:
        """Items with rows of the tables, or `Lost`."""
        return _mapped(self._network, block)


@dataclass(frozen=True)
class RayWrite:
    """Writes the tables of a part, from a block that holds all its images."""

    write: Callable[[Part, Sequence[Item]], PartCounts]

    def __call__(self, block: Any) -> Any:
        """A block of one row: the counts of the part."""
        arrow = import_extra("pyarrow", "archive")
        (number,) = set(block.column("part").to_pylist())
        items = _items(block)
        counts = self.write(Part(number, items[0].row, len(items)), items)
        return arrow.table({name: [value] for name, value in counts._asdict().items()})


def _mapped(step: Isolated, block: Any) -> Any:
    return _block(block.column("part").to_pylist(), step(_items(block)))


def _items(block: Any) -> list[Item]:
    return [pickle.loads(item.as_py()) for item in block.column("item")]


def _block(parts: list[int], items: Sequence[Item]) -> Any:
    arrow = import_extra("pyarrow", "archive")
    pickled = [pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL) for item in items]
    return arrow.table({"part": parts, "item": arrow.array(pickled, arrow.large_binary())})
