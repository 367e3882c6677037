"""Converts a command's options and data to the settings that change its result."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from cxrloc.errors import UsageError
from cxrloc.files.installed import versions
from cxrloc.files.journal import content_hash
from cxrloc.files.run_folder import Destination, RunFolder, check_folder, open_run
from cxrloc.inference.batches import with_precision
from cxrloc.inference.prepared import InferenceSettings

T = TypeVar("T")

WITHOUT_EFFECT = ("device", "workers", "html", "cache")
"""Names of options that change no result."""

TABLES = (".csv", ".tsv", ".txt", ".json", ".xml", ".xlsx", ".gz", ".toml")
"""Suffixes of the tables that describe the content of a folder of data."""


def run_in_folder(
    command: str,
    destination: Destination,
    data: Sequence[Path | None],
    options: Any,
    run: Callable[[RunFolder], T],
) -> tuple[T, Path]:
    """The result of a command that is run in its folder, and the folder; see `open_run`.

    Args:
        command: its name.
        destination: what the user asked for.
        data: what the command reads; None for embedded data.
        options: a dataclass, or several.
        run: does the work.

    Returns:
        The result of `run`, and the folder.

    Raises:
        UsageError: the folder holds another run, or cannot be made.
        CxrlocError: a file that an option names cannot be read.
    """
    check_folder(destination.out)
    for path in data:
        if path and destination.out and path.resolve() == destination.out.resolve():
            raise UsageError(f"--out {path} is an input, whose files would be overwritten")
    settings = {
        "cxrloc": versions()["cxrloc"],
        "data": [_identity(path) for path in data],
        "options": _plain(options),
    }
    with open_run(command, destination, settings, anew=True) as folder:
        return run(folder), folder.path


def _plain(value: Any) -> Any:
    """The value as JSON; files and models are given by their content, not by their paths."""
    if is_dataclass(value):
        left_out = {*WITHOUT_EFFECT}
        if isinstance(value, InferenceSettings):  # the batch size of a training changes its result
            left_out.add("batch_size")
            value = with_precision(value)
        values = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _plain(of) for name, of in values if name not in left_out}
    if isinstance(value, Path):
        return _identity(value)
    if isinstance(value, str) and os.path.isfile(value):  # noqa: PTH113 (any text may come here)
        # Such as a model's file. An embedded model is given by its name.
        return _identity(Path(value))
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value


def _identity(path: Path | None) -> str:
    """A hash of a file's content, or of a folder's file names and the tables at its top level."""
    if path is None:
        return "embedded"
    if path.is_file():
        return content_hash(path)
    return sha256("\n".join(_lines(path)).encode(errors="backslashreplace")).hexdigest()


def _lines(folder: Path) -> Iterator[str]:
    if not folder.is_dir():  # the command reports later that it is missing
        yield str(folder)
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        table = path.suffix.lower() in TABLES and path.is_file()
        yield f"{path.name} {content_hash(path) if table else ''}"
