"""Checks that named files exist, before any heavy library is imported."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import typer

from cxrloc.cli.terminal import log, say, show_failures

T = TypeVar("T")


def refuse_missing(paths: Sequence[Path], models: Sequence[str] = ()) -> None:
    """End at once if none of the named inputs exists, before any heavy library is imported.

    If only some inputs are missing, the command processes the others and names the missing ones.

    Args:
        paths: inputs.
        models: names or files; a name that looks like a file must be an existing file.
    """
    if not any(map(exists, paths)):
        show_failures([(str(path), "No such file or directory") for path in paths])
        raise typer.Exit(1)
    refuse_missing_models(models)


def refuse_missing_data(data: Path | None, models: Sequence[str]) -> None:
    """End at once if the data set, or a model's file, does not exist."""
    if data is not None and not exists(data):
        log.error("Error: %s: no such file or folder", data)
        raise typer.Exit(2)
    refuse_missing_models(models)


def refuse_missing_models(models: Sequence[str]) -> None:
    """End at once if a name is that of a model's file, and there is no such file."""
    for name in models:
        if name.endswith((".safetensors", ".onnx")) and not exists(Path(name)):
            log.error("Error: model %s: no such file", name)
            raise typer.Exit(2)


def existing(value: T) -> T:
    """The value of an option for paths; ends at once with one line if a path does not exist.

    Typer calls this while it reads the command line, so nothing heavy is imported yet.
    """
    for path in value if isinstance(value, list) else [value]:
        if isinstance(path, Path) and not exists(path):
            say(f"Error: {path}: no such file or folder", stderr=True)
            raise typer.Exit(2)
    return value


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a name that the system refuses does not exist."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
