"""Steps without images and models, for tests of the engines: an image's name says what it does."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from cxrloc.archive.isolation import Item, Lost, Step
from cxrloc.archive.plan import uris_of
from cxrloc.archive.steps import Steps
from cxrloc.archive.tables import PartWriter, Rows
from cxrloc.workers import Limits


def read(items: list[Item]) -> list[Any]:
    return [read_one(item.uri) for item in items]


def read_one(uri: str) -> Any:
    match uri.partition("-")[0]:
        case "die":
            os.kill(os.getpid(), signal.SIGABRT)
        case "hang":
            time.sleep(60)
        case "eat":
            try:
                bytearray(30 << 30)
            except MemoryError:
                return Lost("read", "there is not enough memory to read it")
        case "broken":
            return Lost("read", "an empty file")
    return uri.upper()


def network(items: list[Item]) -> list[Any]:
    if any(item.value.startswith("OVERFLOW") for item in items):
        os.kill(os.getpid(), signal.SIGKILL)
    return [Rows([finding(item)], [], []) for item in items]


def finding(item: Item) -> tuple[Any, ...]:
    return (item.uri, item.value, 0.5, 0.25, None, None, False, "ok", ["a warning"])


def prepare_read(device: str) -> Callable[[list[Item]], list[Any]]:
    return read


def prepare_network(device: str) -> Callable[[list[Item]], list[Any]]:
    return network


def stub_steps(manifest: Path, out: Path) -> Steps:
    return Steps(
        uris=partial(uris_of, str(manifest)),
        read=Step(
            "read", prepare_read, Limits(seconds=5.0, start_seconds=600.0, task_bytes=1 << 30)
        ),
        network=Step("network", prepare_network, Limits(start_seconds=600.0), together=3),
        write=PartWriter(str(out)),
    )


def write_uris(path: Path, uris: list[str], group: int = 4) -> Path:
    """A manifest of these URIs, with `group` rows in each row group."""
    pyarrow.parquet.write_table(pyarrow.table({"uri": uris}), path, row_group_size=group)
    return path


def table_rows(out: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table over all parts, in the order of the parts."""
    paths = sorted(out.glob(f"part-*/{table}.parquet"))
    return [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]
