"""A training run as one TOML file: frozen dataclasses, where an unknown key is an error."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from cxrloc.datasets import READERS
from cxrloc.datasets.batches import SAMPLERS
from cxrloc.datasets.splits import SplitConfig
from cxrloc.images.augment import Augmentation
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.metadata import from_plain
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.uncertainty import POLICIES
from cxrloc.types import CxrlocError, UsageError, View

RECIPES = {path.stem: path for path in sorted((Path(__file__).parent / "recipes").glob("*.toml"))}
"""Recipes inside the package: name -> file."""

PHANTOM = "phantom"
"""The reader that needs no folder: phantoms are drawn."""


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
class DataConfig:
    """What to learn from.

    Attributes:
        reader: a name of `datasets.READERS`, or "phantom".
        images: folders of images below the data folder, in place of the published ones.
        split: into training, validation and test, by patient; phantoms have their own.
        views: projections to keep; empty: all.
        uncertain: what uncertain labels teach, a name of `POLICIES`; they are never scored.
        not_mentioned: a finding without a label is "negative" or "unknown".
        shuffle_labels: the labels of the training images are exchanged at random, for a control
            that can learn nothing.
        phantom: which phantoms.

    Raises:
        CxrlocError: a value is none of those.
    """

    reader: str
    images: tuple[str, ...] = ()
    split: SplitConfig = field(default_factory=SplitConfig)
    views: tuple[str, ...] = ()
    uncertain: str = "ignore"
    not_mentioned: str = "negative"
    shuffle_labels: bool = False
    phantom: PhantomData | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("reader", self.reader, (*READERS, PHANTOM)),
            ("uncertain", self.uncertain, POLICIES),
            ("not_mentioned", self.not_mentioned, ("negative", "unknown")),
            *(("view", view, tuple(View)) for view in self.views),
        ):
            if value not in known:
                raise CxrlocError(f"{what} {value!r} is unknown: choose one of {', '.join(known)}")
        if (self.reader == PHANTOM) != (self.phantom is not None):
            raise CxrlocError(f"the reader {PHANTOM!r} and the table [data.phantom] go together")


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a training run depends on, beside the data.

    Attributes:
        title: one line for `cxrloc recipes`.
        source: paper, table and row; empty for our own.
        start: first weights: "scratch", "imagenet" (of the backbone), or a file: a model that
            `cxrloc train` wrote, or ImageNet weights of the backbone.
        data: what to learn from.
        preprocessing: how images reach the network.
        augmentation: how they are changed at random while training.
        network: what is trained.
        fit: how.
    """

    title: str
    data: DataConfig
    preprocessing: Preprocessing
    network: LocalizerConfig
    fit: FitConfig
    source: str = ""
    start: str = "scratch"
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if len(self.preprocessing.mean) != self.network.input_channels:
            raise CxrlocError(
                f"{len(self.preprocessing.mean)} means in [preprocessing] for "
                f"{self.network.input_channels} input_channels in [network]"
            )
        if self.fit.sampling not in SAMPLERS:
            raise CxrlocError(
                f"sampling {self.fit.sampling!r}: choose one of {', '.join(SAMPLERS)}"
            )


def recipe_text(name_or_path: str | Path) -> str:
    """The TOML text of a recipe by its name in `RECIPES`, or of a file.

    Raises:
        UsageError: there is neither.
    """
    path = RECIPES.get(str(name_or_path), Path(name_or_path))
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{name_or_path}: neither a readable TOML file nor one of the recipes "
            f"{', '.join(RECIPES)}"
        ) from error


def read_recipe(name_or_path: str | Path) -> Recipe:
    """A recipe by its name in `RECIPES`, or from a TOML file.

    Raises:
        UsageError: there is none.
        CxrlocError: it is not TOML, or a key is unknown, missing or of the wrong kind; the
            message names it.
    """
    text = recipe_text(name_or_path)
    try:
        return from_plain(Recipe, tomllib.loads(text), str(name_or_path))
    except tomllib.TOMLDecodeError as error:
        raise CxrlocError(f"{name_or_path}: not TOML: {error}") from error
