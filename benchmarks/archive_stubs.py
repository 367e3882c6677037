"""An archive run without images and models, which `archive.py` kills, poisons and measures.

    python benchmarks/archive_stubs.py MANIFEST OUT ENGINE MILLISECONDS PART_SIZE

The first word of a URI says what its image does. This is a module of its own, so that the processes
of both engines can import its functions.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from cxrloc.archive.engines import ENGINES
from cxrloc.archive.isolation import Item, Lost, Step
from cxrloc.archive.plan import make_plan, uris_of
from cxrloc.archive.results import complete_parts
from cxrloc.archive.steps import Resources, Steps
from cxrloc.archive.tables import PartWriter, Rows
from cxrloc.workers import Limits

CORES = len(os.sched_getaffinity(0))


def stub_read(items: list[Item], milliseconds: float) -> list[Any]:
    """Values that stand for prepared images, or what a poisonous image does."""
    time.sleep(milliseconds / 1000 * len(items))
    return [_stub_value(item.uri.partition("-")[0]) for item in items]


def _stub_value(kind: str) -> Any:
    match kind:
        case "abort":
            os.kill(os.getpid(), signal.SIGABRT)
        case "hang":
            time.sleep(3600)
        case "claim":
            with suppress(MemoryError):
                bytearray(30 << 30)
            return Lost("read", "there is not enough memory to read it")
        case "truncated":
            return Lost("read", "it is shorter than its header says")
    return bytes(1000)


def stub_network(items: list[Item]) -> list[Any]:
    """Rows of 14 findings for each image."""
    cells = (0.5, 0.25, None, None, False, "ok", [])
    return [Rows([(i.uri, f"finding {n}", *cells) for n in range(14)], [], []) for i in items]


def prepare_stub_read(milliseconds: float, device: str) -> Callable[[list[Item]], list[Any]]:
    """The reading step of a stub."""
    return partial(stub_read, milliseconds=milliseconds)


def prepare_stub_network(device: str) -> Callable[[list[Item]], list[Any]]:
    """The network step of a stub."""
    return stub_network


def stub_steps(manifest: Path, out: Path, milliseconds: float) -> Steps:
    """Steps without images and models, which take this long for each image."""
    limits = Limits(seconds=5.0, start_seconds=300.0, task_bytes=1 << 30)
    return Steps(
        partial(uris_of, str(manifest)),
        Step("read", partial(prepare_stub_read, milliseconds), limits),
        Step("network", prepare_stub_network, Limits(start_seconds=300.0), together=32),
        PartWriter(str(out)),
    )


def stub_run(manifest: str, out: str, engine: str, milliseconds: str, part_size: str) -> None:
    """Do the parts that are left, as `cxrloc archive` does."""
    done = complete_parts(out)
    left = [p for p in make_plan(manifest, int(part_size)).parts() if p.number not in done]
    steps = stub_steps(Path(manifest), Path(out), float(milliseconds))
    if left:
        list(ENGINES[engine](left, steps, Resources(CORES, ("cpu",) * CORES)))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from archive_stubs import stub_run as run  # not those of __main__, which Ray could not import

    run(*sys.argv[1:])
