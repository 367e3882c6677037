"""What is known about weights that are adopted: what the user says, completed by a preset."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cxrloc.errors import UsageError
from cxrloc.findings import CHESTXRAY8, CHESTXRAY14, CHEXPERT14
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.presets import PRESETS, Preset

LEFT_OUT = "-"
"""What stands in place of a finding for an output that is left out."""

TOKENS = ("class", "patches", "both")
"""What the prediction of a transformer reads: the class token, the mean of the patch tokens, or
both, with the class token first (as DINOv2's and Hugging Face's classifiers do)."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What is known about weights that are adopted.

    Attributes:
        architecture: name in torchvision or timm, such as "densenet121", "timm:resnet18".
        findings: names of the outputs, in their order; `LEFT_OUT` leaves an output out.
        preprocessing: how images were prepared for the network.
        card: what is known about the model; its findings are filled in.
        tokens: one of `TOKENS`; empty: as the classifier does in its library.
        pooling: a pooling of logit maps in place of the average, such as "pcam".
        key: where in the file the weights are (`read_checkpoint`).
        without: patterns of weights that the classifier does not use, such as "criterion.*".
    """

    architecture: str
    findings: tuple[str, ...]
    preprocessing: Preprocessing
    card: ModelCard
    tokens: str = ""
    pooling: str = ""
    key: str = ""
    without: tuple[str, ...] = ()

    @property
    def outputs(self) -> list[int]:
        """Positions of the outputs that are not left out."""
        return [row for row, finding in enumerate(self.findings) if finding != LEFT_OUT]


VOCABULARIES = {"chestxray8": CHESTXRAY8, "chestxray14": CHESTXRAY14, "chexpert14": CHEXPERT14}
"""Lists of findings that an option can name."""

UNKNOWN = "images that the user did not name"


@dataclass(frozen=True, slots=True)
class AdoptOptions:
    """What the user says about the weights; what is left empty is taken from the preset.

    Attributes:
        architecture: name in torchvision or timm.
        findings: a file with one name per line, names with commas between, or a name of
            `VOCABULARIES`.
        preset: a name of `PRESETS`.
        size: rows and columns of the network's input; 0: the preset's.
        mean: of the grey levels in [0, 1], for one or three channels.
        std: as `mean`.
        tokens: as in `Adoption`, like `pooling`, `key` and `without`.
        name: name of the model; empty: that of its file.
        trained_on: data set, in words.
        may_have_seen: data sets whose images may have been used in training.
        licence: licence of the weights.
        probabilities: "sigmoid" or "softmax".
    """

    architecture: str = ""
    findings: str = ""
    preset: str = "imagenet"
    size: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    tokens: str = ""
    pooling: str = ""
    key: str = ""
    without: tuple[str, ...] = ()
    name: str = ""
    trained_on: str = ""
    may_have_seen: tuple[str, ...] = ()
    licence: str = ""
    probabilities: str = ""


def adoption_of(options: AdoptOptions, name: str) -> Adoption:
    """What the user says about the weights, completed by the preset.

    Raises:
        UsageError: the preset does not exist, or neither it nor the user names architecture or
            findings.
    """
    if options.preset not in PRESETS:
        raise UsageError(f"--preset {options.preset}: choose from {', '.join(PRESETS)}")
    preset = PRESETS[options.preset]
    findings = findings_of(options.findings) if options.findings else preset.findings
    architecture = options.architecture or preset.architecture
    for option, value in (("--architecture", architecture), ("--findings", findings)):
        if not value:
            raise UsageError(f"{option} is needed: the preset {options.preset} does not say it")
    return Adoption(
        architecture,
        findings,
        _preprocessing(preset.preprocessing, options),
        _card(preset, options, name),
        options.tokens,
        options.pooling or preset.pooling,
        options.key,
        (*options.without, *preset.without),
    )


def findings_of(text: str) -> tuple[str, ...]:
    """The findings that a file, a list or a name of `VOCABULARIES` gives, in their order.

    Raises:
        UsageError: the file does not exist, or is not text in UTF-8.

    >>> findings_of("Mass, Nodule")
    ('Mass', 'Nodule')
    """
    if text.lower() in VOCABULARIES:
        return VOCABULARIES[text.lower()]
    path = Path(text)
    is_file = "," not in text and path.is_file()
    if not is_file and path.suffix in (".txt", ".csv"):
        raise UsageError(f"--findings {text}: no such file")
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines() if is_file else text.split(",")
    except UnicodeDecodeError as error:
        raise UsageError(f"--findings {text}: not a text file in UTF-8") from error
    return tuple(name.strip() for name in names if name.strip())


def _preprocessing(preset: Preprocessing, options: AdoptOptions) -> Preprocessing:
    """The preset's preprocessing with the size, mean and deviation that the user asked for."""
    changes: dict[str, Any] = {}
    if options.size:
        margin = round(preset.crop_from * options.size / preset.size) - options.size
        larger = options.size + 2 * round(margin / 2) if preset.crop_from else 0
        changes |= {"size": options.size, "crop_from": larger}
    for what, values in (("mean", options.mean), ("std", options.std)):
        if values:
            changes[what] = values
    if len(options.mean or preset.mean) != len(options.std or preset.std):
        raise UsageError("--mean and --std need the same number of values, 1 or 3")
    return replace(preset, **changes)


def _card(preset: Preset, options: AdoptOptions, name: str) -> ModelCard:
    provenance: Mapping[str, str] = {"source": preset.source} if preset.source else {}
    limits = f"Adopted, research only. {preset.limits}".strip()
    may_have_seen = options.may_have_seen or preset.may_have_seen
    if may_have_seen:
        limits += f" It may have seen any image of {', '.join(may_have_seen)}."
    return ModelCard(
        name=name,
        trained_on=options.trained_on or preset.trained_on or UNKNOWN,
        findings=(),
        views=preset.views,
        limits=limits,
        may_have_seen=may_have_seen,
        provenance=provenance,
        probabilities=options.probabilities or preset.probabilities,
        licence=options.licence or preset.licence,
    )
