"""Recipes: training runs as TOML files, of which an unknown key is an error."""

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import tomli_w

from cxrloc.files.structured import parse_toml, read_toml
from cxrloc.models.metadata import from_plain
from cxrloc.training.recipe_config import PHANTOM, Recipe
from cxrloc.training.schedules import LENGTHS
from cxrloc.types import CxrlocError, UsageError

RECIPES = {path.stem: path for path in sorted((Path(__file__).parent / "recipes").glob("*.toml"))}
"""Recipes inside the package: name -> file."""

_CHOICES = re.compile(r"^# (?:Departs|Open): .*(?:\n#  .*)*", re.MULTILINE)
"""Comments that a recipe passes on to those that extend it."""

EITHER_OR = [{"steps", "epochs"}, *({steps, epochs} for steps, epochs in LENGTHS.items())]
"""Keys of one length, in steps and in epochs."""


def recipe_text(name_or_path: str | Path, changes: Mapping[str, Any] | None = None) -> str:
    """The TOML text of a recipe by its name in `RECIPES`, or of a file; whole by itself.

    Of a recipe that extends another, or is changed, it is all values under all of its comments and,
    of the recipes below it, those that begin with `# Departs:` or `# Open:`, with the indented
    lines that go on from there. These are worded to be true wherever they are inherited; other
    comments speak of their own recipe alone.

    Args:
        name_or_path: a name in `RECIPES`, or a file.
        changes: values in place of the recipe's, in its tables.

    Raises:
        UsageError: there is neither.
        CxrlocError: it is not TOML.
    """
    texts, values = _read(name_or_path)
    *below, own = texts
    if not below and not changes:
        return own
    values = _merged(values, changes or {})
    inherited = [choice for text in below for choice in _CHOICES.findall(text)]
    comments = [line for line in own.splitlines() if line.startswith("#")]
    return "\n".join([*inherited, *comments, tomli_w.dumps(values)])


def chosen_recipe(
    name_or_path: str | Path,
    start: str = "",
    fold: int | None = None,
    precision: str = "",
    images_per_pass: int = 0,
    processes: int = 1,
) -> tuple[str, Recipe]:
    """A recipe with what a user wants otherwise: its text, whole by itself, and its values.

    Args:
        name_or_path: a name in `RECIPES`, or a file.
        start: first weights; empty: the recipe's. The text has only the names of files, so that no
            folder of this machine travels with the weights.
        fold: which of the recipe's folds, from 0; None: the one that it names.
        precision: of forward and backward passes; empty: the recipe's.
        images_per_pass: of each process; a step's batch stays that of the recipe, in more or fewer
            passes. 0: as the recipe says.
        processes: how many share each pass.

    Raises:
        UsageError: there is no such recipe, no such fold of it, or the batch cannot be divided so.
        CxrlocError: it is no recipe.
    """
    recipe = read_recipe(name_or_path)
    changes: dict[str, Any] = {}
    if start:
        changes["start"] = " + ".join(Path(name).name for name in start.split(" + "))
    if fold is not None:
        folds = recipe.data.split.folds
        if not folds:
            raise UsageError(
                f"--fold {fold}: the recipe {name_or_path} has no folds; give it `folds` in "
                "[data.split]"
            )
        if not 0 <= fold < folds:
            raise UsageError(f"--fold {fold}: {name_or_path} has folds 0 to {folds - 1}")
        changes["data"] = {"split": {"fold": fold}}
    for stage, config in (("fit", recipe.fit), ("head", recipe.head)):
        if config is None:
            continue
        own: dict[str, Any] = {"precision": precision} if precision else {}
        if images_per_pass:
            own["accumulation"] = _passes(config.batch_size, images_per_pass, processes)
        if own:
            changes[stage] = own
    text = recipe_text(name_or_path, changes)
    chosen = recipe_of_text(text, str(name_or_path))
    return text, replace(chosen, start=start or chosen.start)


def _passes(batch_size: int, images_per_pass: int, processes: int) -> int:
    """Forward passes in which the processes share a batch.

    >>> _passes(80, images_per_pass=5, processes=2)
    8
    """
    passes, rest = divmod(batch_size, images_per_pass * processes)
    if rest or not passes:
        raise UsageError(
            f"--batch-size {images_per_pass}: {processes} processes with {images_per_pass} images "
            f"each cannot share the recipe's batch of {batch_size} evenly: choose another divisor"
        )
    return passes


def read_recipe(name_or_path: str | Path) -> Recipe:
    """A recipe by its name in `RECIPES`, or from a TOML file.

    A file may name another at its top, `extends = "wang2017_resnet50_lse"`, by name or by its
    path from this file, and then holds only what differs.

    Raises:
        UsageError: there is none.
        CxrlocError: it is not TOML, extends itself, or a key is unknown, missing or of the wrong
            kind; the message names it.
    """
    return from_plain(Recipe, _read(name_or_path)[1], str(name_or_path))


def recipe_of_text(text: str, where: str) -> Recipe:
    """A recipe from a text that is whole by itself, such as weights carry.

    Args:
        text: as `recipe_text` gives it.
        where: it stands, for errors.

    Raises:
        CxrlocError: it is not TOML, or a key is unknown, missing or of the wrong kind.
    """
    return from_plain(Recipe, parse_toml(text, where), where)


def _read(name_or_path: str | Path) -> tuple[list[str], dict[str, Any]]:
    """Texts of a recipe and of those it extends, these first, and the values of all together."""
    texts: dict[Path, str] = {}
    values: dict[str, Any] = {}
    path, extended_by = RECIPES.get(str(name_or_path), Path(name_or_path)), ""
    while path not in texts:
        texts[path], own = _parsed(path, extended_by)
        base = own.pop("extends", None)
        values = _merged(own, values)
        if base is None:
            return [*reversed(texts.values())], values
        extended_by = f"{path}: extends "
        path = RECIPES.get(str(base), path.parent / str(base))
    raise CxrlocError(f"{path}: extends itself")


def _parsed(path: Path, extended_by: str) -> tuple[str, dict[str, Any]]:
    """The text and the values of one file.

    Args:
        path: the file.
        extended_by: "FILE: extends " where another recipe names this one, for errors.
    """
    try:
        found = path.is_file()
    except ValueError:  # a NUL in the name
        found = False
    if not found:
        alike = get_close_matches(path.name, RECIPES)
        hint = f"did you mean {', '.join(alike)}? " if alike else ""
        raise UsageError(
            f"{extended_by}{path}: neither a readable TOML file nor one of the recipes: {hint}"
            "`cxrloc recipes` lists them"
        )
    values = read_toml(path)
    try:
        return path.read_text(encoding="utf-8-sig"), values
    except UnicodeDecodeError as error:
        raise CxrlocError(f"{path}: not in UTF-8, as TOML must be: save it in UTF-8") from error


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both tables; where both have a key, the value of the upper one.

    Tables inside them are merged in the same way. A length that the upper table gives in steps
    takes out the same length in epochs, and the other way round; the table of phantoms is taken
    out where the upper table names another reader, and the numbers of a pooling where it names
    another pooling.

    >>> _merged({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}})
    {'a': 1, 'b': {'c': 4, 'd': 3}}
    >>> _merged({"reader": "phantom", "phantom": {"seed": 1}}, {"reader": "openi"})
    {'reader': 'openi'}
    >>> _merged({"epochs": 5}, {"steps": 100})
    {'steps': 100}
    """
    # TOML cannot take a key out, so these keys take out the one that they stand for.
    taken_out = {PHANTOM} if above.get("reader", PHANTOM) != PHANTOM else set()
    if above.get("pooling", below.get("pooling")) != below.get("pooling"):
        taken_out.add("pooling_parameters")  # they are of the pooling below
    for keys in EITHER_OR:
        if any(above.get(key) for key in keys):
            taken_out |= keys - above.keys()
    below = {key: value for key, value in below.items() if key not in taken_out}
    both = {
        key: _merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
    }
    return {**below, **above, **both}
