"""A training run as one TOML file: frozen dataclasses, where an unknown key is an error."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.metadata import from_plain
from cxrloc.training.fit import FitConfig
from cxrloc.types import CxrlocError

RECIPES = {path.stem: path for path in sorted((Path(__file__).parent / "recipes").glob("*.toml"))}
"""Recipes inside the package: name -> file."""


@dataclass(frozen=True, slots=True)
class PhantomData:
    """Synthetic radiographs to learn from: drawn by seed and index, nothing is downloaded.

    Attributes:
        seed: of the phantoms.
        training_images: phantoms 0, 1, ... of that seed.
        validation_images: the phantoms after those.
    """

    seed: int
    training_images: int
    validation_images: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a training run depends on.

    Attributes:
        title: one line for `cxrloc recipes`.
        batch_size: images per step.
        data: what to learn from.
        preprocessing: how images reach the network.
        network: what is trained.
        fit: how.
    """

    title: str
    batch_size: int
    data: PhantomData
    preprocessing: Preprocessing
    network: LocalizerConfig
    fit: FitConfig


def recipe_text(name_or_path: str | Path) -> str:
    """The TOML text of a recipe by its name in `RECIPES`, or of a file.

    Raises:
        CxrlocError: there is neither.
    """
    path = RECIPES.get(str(name_or_path), Path(name_or_path))
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CxrlocError(
            f"{name_or_path}: neither a readable TOML file nor one of the recipes "
            f"{', '.join(RECIPES)}"
        ) from error


def read_recipe(name_or_path: str | Path) -> Recipe:
    """A recipe by its name in `RECIPES`, or from a TOML file.

    Raises:
        CxrlocError: there is none, it is not TOML, or a key is unknown, missing or of the wrong
            kind; the message names it.
    """
    text = recipe_text(name_or_path)
    try:
        return from_plain(Recipe, tomllib.loads(text), str(name_or_path))
    except tomllib.TOMLDecodeError as error:
        raise CxrlocError(f"{name_or_path}: not TOML: {error}") from error
