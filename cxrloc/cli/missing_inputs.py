"""Checks that named files exist, before any heavy library is imported."""

from collections.abc import Sequence
from pathlib import Path

import typer

from cxrloc.cli.terminal import log, show_failures


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
    _refuse_missing_models(models)


def refuse_missing_data(data: Path | None, models: Sequence[str]) -> None:
    """End at once if the data set, or a model's file, does not exist."""
    if data is not None and not exists(data):
        log.error("Error: %s: no such file or folder", data)
        raise typer.Exit(2)
    _refuse_missing_models(models)


def _refuse_missing_models(models: Sequence[str]) -> None:
    for name in models:
        if name.endswith(".safetensors") and not exists(Path(name)):
            log.error("Error: --model %s: no such file", name)
            raise typer.Exit(2)


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a name that the system refuses does not exist."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
