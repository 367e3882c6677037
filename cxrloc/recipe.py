"""Recipes: TOML files that describe training runs; an unknown key in them is an error."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.files.structured import parse_toml, read_toml
from cxrloc.models.metadata import from_plain
from cxrloc.recipe_names import RECIPES, unknown_recipe
from cxrloc.training.recipe_config import PHANTOM, Recipe
from cxrloc.training.schedules import LENGTHS

_CHOICES = re.compile(r"^# (?:Departs|Open): .*(?:\n#  .*)*", re.MULTILINE)
"""Pattern of the comments that a recipe passes on to the recipes that extend it."""

EITHER_OR = [{"steps", "epochs"}, *({steps, epochs} for steps, epochs in LENGTHS.items())]
"""Sets of keys that give the same length, in steps or in epochs; a recipe may give one of them."""


def recipe_text(name_or_path: str | Path, changes: Mapping[str, Any] | None = None) -> str:
    """The complete TOML text of a recipe, which needs no other file.

    A recipe that extends nothing and is not changed keeps its own text. Otherwise the text holds
    all values and all comments of the recipe itself. From the recipes that it extends, the text
    holds only the comments that begin with `# Departs:` or `# Open:` and their indented
    continuation lines. Such comments are worded so that they are also true for every recipe that
    inherits them; other comments describe only their own recipe.

    Args:
        name_or_path: a name in `RECIPES`, or a file.
        changes: values that replace those of the recipe, in the same tables.

    Raises:
        UsageError: no recipe and no file has this name.
        CxrlocError: the file is not TOML.
    """
    texts, values = _read(name_or_path)
    *below, text_of_recipe = texts
    if not below and not changes:
        return text_of_recipe
    values = _merged(values, changes or {})
    inherited = [choice for text in below for choice in _CHOICES.findall(text)]
    comments = [line for line in text_of_recipe.splitlines() if line.startswith("#")]
    return "\n".join([*inherited, *comments, tomli_w.dumps(values)])


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user changes in a recipe without editing its file.

    Attributes:
        start: first weights; empty: the recipe's. The text of the recipe holds only the names of
            files, so that the weights do not reveal folders of this machine.
        fold: number of the fold, from 0; None: the fold that the recipe names.
        precision: precision of forward and backward passes; empty: the recipe's.
        images_per_pass: images of each process in one forward pass. The batch of a step stays that
            of the recipe and is divided into more or fewer passes. 0: as the recipe says.
        processes: number of processes that share each pass.
        own_data: the images are a plain folder with the user's own tables, in place of the
            recipe's data set. Such data have no official split, so a recipe with an official split
            draws its ratios by patient.
    """

    start: str = ""
    fold: int | None = None
    precision: str = ""
    images_per_pass: int = 0
    processes: int = 1
    own_data: bool = False


def chosen_recipe(name_or_path: str | Path, choices: Choices = Choices()) -> tuple[str, Recipe]:
    """The complete text and the values of a recipe, after the changes that the user asked for.

    Raises:
        UsageError: the recipe or its fold does not exist, or the batch cannot be divided evenly.
        CxrlocError: the file is not a valid recipe.
    """
    recipe = read_recipe(name_or_path)
    start, fold = choices.start, choices.fold
    changes: dict[str, Any] = {}
    if start:
        changes["start"] = " + ".join(Path(name).name for name in start.split(" + "))
    data: dict[str, Any] = _of_own_data(recipe) if choices.own_data else {}
    if fold is not None:
        data["split"] = data.get("split", {}) | {"fold": _known_fold(name_or_path, recipe, fold)}
    if data:
        changes["data"] = data
    for stage, config in (("fit", recipe.fit), ("head", recipe.head)):
        if config is None:
            continue
        changed: dict[str, Any] = {"precision": choices.precision} if choices.precision else {}
        if choices.images_per_pass:
            changed["accumulation"] = _passes(
                config.batch_size, choices.images_per_pass, choices.processes
            )
        if changed:
            changes[stage] = changed
    text = recipe_text(name_or_path, changes)
    chosen = recipe_of_text(text, str(name_or_path))
    return text, replace(chosen, start=start or chosen.start)


def _of_own_data(recipe: Recipe) -> dict[str, Any]:
    """The changes of a recipe's data for a plain folder of images with the user's own tables."""
    changes: dict[str, Any] = {"reader": "boxes", "images": []}
    return changes | ({"split": {"kind": "ratios"}} if recipe.data.split.kind == "official" else {})


def _known_fold(name_or_path: str | Path, recipe: Recipe, fold: int) -> int:
    folds = recipe.data.split.folds
    if not folds:
        raise UsageError(
            f"--fold {fold}: the recipe {name_or_path} has no folds; give it `folds` in "
            "[data.split]"
        )
    if not 0 <= fold < folds:
        raise UsageError(f"--fold {fold}: {name_or_path} has folds 0 to {folds - 1}")
    return fold


def _passes(batch_size: int, images_per_pass: int, processes: int) -> int:
    """The number of forward passes into which a batch is divided.

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
    """The values of a recipe, read by its name in `RECIPES` or from a TOML file.

    A file may extend another recipe: its top then names that recipe, as in
    `extends = "wang2017_resnet50_lse"`, by its name or by its path relative to the file. Such a
    file holds only the values that differ.

    Raises:
        UsageError: no recipe and no file has this name.
        CxrlocError: the file is not TOML, the recipe extends itself, or a key is unknown, missing
            or of the wrong kind; the message names the key.
    """
    return from_plain(Recipe, _read(name_or_path)[1], str(name_or_path))


def recipe_of_text(text: str, where: str) -> Recipe:
    """The values of a recipe, read from a complete text such as the one stored with weights.

    Args:
        text: the text, as `recipe_text` returns it.
        where: where the text comes from, for error messages.

    Raises:
        CxrlocError: the text is not TOML, or a key is unknown, missing or of the wrong kind.
    """
    return from_plain(Recipe, parse_toml(text, where), where)


def _read(name_or_path: str | Path) -> tuple[list[str], dict[str, Any]]:
    """The texts of the extended recipes and then of the recipe itself, and the merged values."""
    texts: dict[Path, str] = {}
    values: dict[str, Any] = {}
    path, extended_by = RECIPES.get(str(name_or_path), Path(name_or_path)), ""
    while path not in texts:
        texts[path], own_values = _parsed(path, extended_by)
        base = own_values.pop("extends", None)
        values = _merged(own_values, values)
        if base is None:
            return [*reversed(texts.values())], values
        extended_by = f"{path}: extends "
        path = RECIPES.get(str(base), path.parent / str(base))
    raise CxrlocError(f"{path}: extends itself")


def _parsed(path: Path, extended_by: str) -> tuple[str, dict[str, Any]]:
    """The text and the values of one file.

    Args:
        path: the file.
        extended_by: "FILE: extends " if another recipe extends this one, for error messages.
    """
    try:
        found = path.is_file()
    except ValueError:  # a NUL in the name
        found = False
    if not found:
        raise UsageError(f"{extended_by}{unknown_recipe(str(path))}")
    values = read_toml(path)
    try:
        return path.read_text(encoding="utf-8-sig"), values
    except UnicodeDecodeError as error:
        raise CxrlocError(f"{path}: not in UTF-8, as TOML must be: save it in UTF-8") from error


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both tables; the table above has priority where both have a key.

    Nested tables are merged in the same way. Some keys above also remove keys below: a length in
    steps removes the same length in epochs, and vice versa; another reader removes the table of
    phantoms; another pooling removes the parameters of the pooling below.

    >>> _merged({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}})
    {'a': 1, 'b': {'c': 4, 'd': 3}}
    >>> _merged({"reader": "phantom", "phantom": {"seed": 1}}, {"reader": "openi"})
    {'reader': 'openi'}
    >>> _merged({"epochs": 5}, {"steps": 100})
    {'steps': 100}
    """
    # TOML has no syntax to remove an inherited key, so a key that replaces another removes it.
    taken_out = {PHANTOM} if above.get("reader", PHANTOM) != PHANTOM else set()
    if above.get("pooling", below.get("pooling")) != below.get("pooling"):
        taken_out.add("pooling_parameters")  # these belong to the pooling below
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
