"""A training run as one TOML file: frozen dataclasses, where an unknown key is an error."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cxrloc.datasets import READERS
from cxrloc.datasets.batches import SAMPLERS
from cxrloc.datasets.pairs import PAIRINGS
from cxrloc.datasets.splits import SplitConfig
from cxrloc.images.augment import Augmentation
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.metadata import from_plain
from cxrloc.training.conditional import CONDITIONS
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.schedules import LENGTHS
from cxrloc.training.uncertainty import POLICIES
from cxrloc.types import CxrlocError, UsageError, View

RECIPES = {path.stem: path for path in sorted((Path(__file__).parent / "recipes").glob("*.toml"))}
"""Recipes inside the package: name -> file."""

_CHOICES = re.compile(r"^# (?:Departs|Open): .*(?:\n#  .*)*", re.MULTILINE)
"""Comments that a recipe passes on to those that extend it."""

PHANTOM = "phantom"
"""The reader that needs no folder: phantoms are drawn."""


EITHER_OR = [{"steps", "epochs"}, *({steps, epochs} for steps, epochs in LENGTHS.items())]
"""Keys of one length, in steps and in epochs."""


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
        uncertain: what uncertain labels teach, a name of `POLICIES`.
        uncertain_truth: what uncertain labels are in validation: "unknown" leaves them out,
            "negative" counts them as absent (Rubin et al. 2018, section 5.3).
        no_finding: when an image has "No Finding": "labels" goes by all labels of the image,
            "outputs" by the findings of the network alone (Rubin et al. 2018: an image with
            Emphysema alone has none of the 13 findings).
        boxed_patients: where the patients go for whom an expert drew a box in ChestX-ray14:
            "test" puts them into the test part whatever is drawn; "left_out" keeps them out of
            all three parts, so that the ratios hold among the others; "drawn" splits them like
            everybody else, after which `bench` refuses the model on those who trained it.
        not_mentioned: a finding without a label is "negative" or "unknown".
        condition: labels to learn given others, a name of `CONDITIONS`, along CheXpert's tree.
        pairing: which pairs a study gives to a network of two views, a name of `PAIRINGS`.
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
    uncertain_truth: str = "unknown"
    no_finding: str = "labels"
    boxed_patients: str = "test"
    not_mentioned: str = "negative"
    condition: str = ""
    pairing: str = "first"
    shuffle_labels: bool = False
    phantom: PhantomData | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("reader", self.reader, (*READERS, PHANTOM)),
            ("uncertain", self.uncertain, POLICIES),
            ("uncertain_truth", self.uncertain_truth, ("unknown", "negative")),
            ("no_finding", self.no_finding, ("labels", "outputs")),
            ("boxed_patients", self.boxed_patients, ("test", "left_out", "drawn")),
            ("condition", self.condition, ("", *CONDITIONS)),
            ("pairing", self.pairing, PAIRINGS),
            ("not_mentioned", self.not_mentioned, ("negative", "unknown")),
            *(("view", view, tuple(View)) for view in self.views),
        ):
            if value not in known:
                raise CxrlocError(f"{what} {value!r} is unknown: choose one of {', '.join(known)}")
        if (self.reader == PHANTOM) != (self.phantom is not None):
            raise CxrlocError(f"the reader {PHANTOM!r} and the table [data.phantom] go together")
        if self.phantom is not None and self.split.folds:
            raise CxrlocError(f"the reader {PHANTOM!r} has a split of its own, without folds")


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a training run depends on, beside the data.

    Attributes:
        title: one line for `cxrloc recipes`.
        source: paper, table and row; empty for our own.
        start: first weights: "scratch", "imagenet" (of the backbone), or a file: a model that
            `cxrloc train` wrote, or ImageNet weights of the backbone; for a DualNet also a frontal
            and a lateral model, with " + " between.
        data: what to learn from.
        preprocessing: how images reach the network.
        augmentation: how they are changed at random while training.
        network: what is trained.
        fit: how.
        head: a second stage with the backbone frozen, on all labels, whatever condition the first
            has; None: none.
    """

    title: str
    data: DataConfig
    preprocessing: Preprocessing
    network: LocalizerConfig
    fit: FitConfig
    source: str = ""
    start: str = "scratch"
    augmentation: Augmentation = field(default_factory=Augmentation)
    head: FitConfig | None = None

    def __post_init__(self) -> None:
        if self.head is not None and self.head.backbone_rate:
            raise CxrlocError("[head] is the stage with a frozen backbone: backbone_rate = 0")
        if self.head is not None and self.network.transition_channels != 0:
            raise CxrlocError(
                "[head] trains the prediction layer alone, and a transition layer would train with "
                "it: transition_channels = 0 in [network]"
            )
        if len(self.preprocessing.mean) != self.network.input_channels:
            raise CxrlocError(
                f"{len(self.preprocessing.mean)} means in [preprocessing] for "
                f"{self.network.input_channels} input_channels in [network]"
            )
        for stage in (self.fit, self.head or self.fit):
            if stage.sampling not in SAMPLERS:
                raise CxrlocError(
                    f"sampling {stage.sampling!r}: choose one of {', '.join(SAMPLERS)}"
                )


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
    return "\n".join([*inherited, *comments, *_toml_lines(values), ""])


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
    try:
        return from_plain(Recipe, tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise CxrlocError(f"{where}: not TOML: {error}") from error


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
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        alike = get_close_matches(path.name, RECIPES)
        hint = f"did you mean {', '.join(alike)}? " if alike else ""
        raise UsageError(
            f"{extended_by}{path}: neither a readable TOML file nor one of the recipes: {hint}"
            "`cxrloc recipes` lists them"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise CxrlocError(f"{path}: not TOML: {error}") from error


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both tables; where both have a key, the value of the upper one.

    Tables inside them are merged in the same way. A length that the upper table gives in steps
    takes out the same length in epochs, and the other way round; the table of phantoms is taken
    out where the upper table names another reader.

    >>> _merged({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}})
    {'a': 1, 'b': {'c': 4, 'd': 3}}
    >>> _merged({"reader": "phantom", "phantom": {"seed": 1}}, {"reader": "openi"})
    {'reader': 'openi'}
    >>> _merged({"epochs": 5}, {"steps": 100})
    {'steps': 100}
    """
    # TOML cannot take a key out, so these keys take out the one that they stand for.
    taken_out = {PHANTOM} if above.get("reader", PHANTOM) != PHANTOM else set()
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


def _toml_lines(values: Mapping[str, Any], table: str = "") -> list[str]:
    """Strings, numbers, booleans and lists of them are written alike in JSON and in TOML.

    >>> _toml_lines({"a": {"b": [1e-06, "c"]}, "d": True})
    ['d = true', '[a]', 'b = [1e-06, "c"]']
    """
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    plain = (f"{k} = {json.dumps(v)}" for k, v in values.items() if k not in tables)
    lines = [*plain]
    for key, value in tables.items():
        lines += [f"[{table}{key}]", *_toml_lines(value, f"{table}{key}.")]
    return lines
