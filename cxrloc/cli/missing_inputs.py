"""Checks that named files exist, before any heavy library is imported."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import typer

from cxrloc.cli.terminal import clear_errors, log, show_failures
from cxrloc.models.names import MODELS, unknown_model
from cxrloc.recipe_names import RECIPES, unknown_recipe

T = TypeVar("T")


def refuse_missing(paths: Sequence[Path]) -> None:
    """End at once if none of the named inputs exists, before any heavy library is imported.

    If only some inputs are missing, the command processes the others and names the missing ones.
    """
    if not any(map(exists, paths)):
        show_failures([(str(path), "No such file or directory") for path in paths])
        raise typer.Exit(1)


def existing(context: typer.Context, value: T) -> T:
    """The value of an option for paths; ends at once with one line if a path does not exist.

    Typer calls this while it reads the command line, so nothing heavy is imported yet.
    """
    for path in value if isinstance(value, list) else [value]:
        if isinstance(path, Path) and not exists(path):
            _refuse(context, f"{path}: no such file or folder")
    return value


def input_or_status(
    context: typer.Context, parameter: typer.CallbackParam, words: list[str]
) -> list[str]:
    """The words `INPUT` or `status INPUT`; ends at once with one line if they are others."""
    if len(words) != (2 if words[0] == "status" else 1):
        _refuse(context, f"give {str(parameter.metavar).replace(' |', ', or')}")
    return words


def existing_input_or_status(
    context: typer.Context, parameter: typer.CallbackParam, words: list[str]
) -> list[str]:
    """As `input_or_status`; also ends at once if the input is a path that does not exist.

    A URI is looked up later.
    """
    if "://" not in input_or_status(context, parameter, words)[-1]:
        existing(context, Path(words[-1]))
    return words


def existing_model(context: typer.Context, parameter: typer.CallbackParam, value: T) -> T:
    """The names of models; ends at once with one line if one names no model and no file.

    A name with a colon is looked up elsewhere: on the hub, or as a function of the user's own.
    """
    option = f"{parameter.opts[0]} " if parameter.param_type_name == "option" else ""
    for name in value if isinstance(value, list) else [value]:
        if not isinstance(name, str) or name in ("", *MODELS) or ":" in name:
            continue
        if not exists(Path(name)):
            _refuse(context, f"{option}{unknown_model(name)}")
    return value


def existing_recipe(context: typer.Context, value: T) -> T:
    """The names of recipes; ends at once with one line if one names no recipe and no file."""
    for name in value if isinstance(value, list) else [value]:
        if isinstance(name, str) and name not in RECIPES and not exists(Path(name)):
            _refuse(context, unknown_recipe(name))
    return value


def existing_result(context: typer.Context, value: T) -> T:
    """The results of a figure, which may also be the names of recipes and models."""
    known = (*RECIPES, *MODELS)
    paths = value if isinstance(value, list) else []
    existing(context, [path for path in paths if str(path) not in known])
    return value


def _refuse(context: typer.Context, reason: str) -> None:
    # --log-json is eager, so its value is known wherever it stands on the command line.
    with clear_errors(log_json=context.params.get("log_json", False)):
        log.error("Error: %s", reason)
        raise typer.Exit(2)


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a name that the system refuses does not exist."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
