"""A model: a network with the preprocessing and the card that belong to its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.datasets.identifiers import patient_key
from cxrloc.files.keys import has_key, keyed_patient
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.probabilities import PROBABILITIES
from cxrloc.types import CxrlocError


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Where a model comes from and what it is good for.

    Attributes:
        name: as printed in every output.
        trained_on: data set and number of images, in words.
        findings: names of the outputs, in order.
        probabilities: how logits become probabilities, a name of `PROBABILITIES`.
        views: projections among the training images (`View` values); others give a warning.
        operating_points: probability from which a finding counts as present.
        box_thresholds: grey level (0 to 255) of each finding for the box rule "one-box", chosen on
            training patients.
        calibration: by finding, A and B by which a raw probability becomes that of a patient of the
            training set (`probabilities.calibrated`); fitted on the validation images.
        prevalence: share of the training set's images with a finding, for which `calibration` is.
        auc: area under the ROC curve of a finding on the validation images.
        training_patients: everyone whose image trained it, as `card_patient` writes them: ids of
            public data sets, keyed hashes of private ones.
        validation_patients: of everyone whose image trained nothing, but chose the weights and
            operating points and gave the AUC; empty where it is not known who did.
        training_images: how many images did.
        limits: one sentence for every picture.
        recipe: the TOML text it was trained by.
        may_have_seen: data sets ("ChestX-ray14") of which any image may have trained it, where
            `training_patients` does not say.
        provenance: hashes of split and training data, seed, versions of packages.
        data_sets: names of the data sets whose patients the card lists: their readers' names, or
            what `--dataset` called them; the patient 1 of one is not that of another. Empty where
            that is not known.

    Raises:
        CxrlocError: there are no such probabilities.
    """

    name: str
    trained_on: str
    findings: tuple[str, ...]
    views: tuple[str, ...] = ()
    operating_points: Mapping[str, float] = field(default_factory=dict)
    auc: Mapping[str, float] = field(default_factory=dict)
    box_thresholds: Mapping[str, float] = field(default_factory=dict)
    calibration: Mapping[str, Sequence[float]] = field(default_factory=dict)
    prevalence: Mapping[str, float] = field(default_factory=dict)
    training_patients: tuple[str, ...] = ()
    validation_patients: tuple[str, ...] = ()
    training_images: int = 0
    limits: str = ""
    recipe: str = ""
    may_have_seen: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    probabilities: str = "sigmoid"
    data_sets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.probabilities not in PROBABILITIES:
            raise CxrlocError(
                f"probabilities {self.probabilities!r}: choose one of {', '.join(PROBABILITIES)}"
            )
        for finding, coefficients in self.calibration.items():
            # A slope that is not above 0 would turn the order of the patients round.
            if len(coefficients) != 2 or not coefficients[0] > 0:
                raise CxrlocError(
                    f"calibration of {finding}: {list(coefficients)}, but a slope above 0 and an "
                    "intercept are needed"
                )


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network with what belongs to its weights.

    Attributes:
        network: one of `networks.NETWORKS` in evaluation mode, or one's own `LocalizingNetwork`.
        config: what the network was built from; None for one's own network.
        preprocessing: how it wants its images.
        card: origin, findings, views, limits.
        sha256: of the file, in hexadecimal; empty for one's own network.
    """

    network: nn.Module
    config: LocalizerConfig | None
    preprocessing: Preprocessing
    card: ModelCard
    sha256: str = ""

    def probabilities(
        self, logits: Float[Tensor, "image finding"]
    ) -> Float[Tensor, "image finding"]:
        """Of all findings, in the order of the card's."""
        return PROBABILITIES[self.card.probabilities](logits)


KEYED = "keyed:"
"""Before the keyed hashes among a card's patients; the others are ids as they are."""


def card_patient(patient_id: str, public: bool) -> str:
    """A patient as a card lists it: the id of a public data set, or a keyed hash of a private one.

    Ids are those of `patient_key`. An unkeyed hash would hide nothing: the few ids that there are
    can all be tried.

    >>> card_patient("00000032", public=True)
    '32'
    """
    key = patient_key(patient_id)
    return key if public else KEYED + keyed_patient(key)


def card_patients(patient_id: str) -> frozenset[str]:
    """All entries under which a card may list a patient, however a table writes the id.

    Without the owner's key in the environment, keyed entries cannot be recognised.

    >>> "1" in card_patients("1.0")
    True
    """
    own = {card_patient(patient_id, public=True)}
    return frozenset(own | ({card_patient(patient_id, public=False)} if has_key() else set()))


def needs_key(card: ModelCard) -> bool:
    """Whether a card lists patients by keyed hashes, and the key is not in the environment."""
    return not has_key() and any(name.startswith(KEYED) for name in card.training_patients)
