"""A model: a network with the preprocessing and the card that belong to its weights."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.datasets.identifiers import patient_key
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
        training_patients: `hashed_patient` of everyone whose image trained it.
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


def hashed_patient(patient_id: str) -> str:
    """A patient's id as weights carry it: enough to recognise, not to read.

    >>> hashed_patient("00000032")
    'd6163f2399e9f31e'
    """
    return hashlib.sha256(f"cxrloc training patient {patient_id}".encode()).hexdigest()[:16]


def hashes_of(patient_id: str) -> frozenset[str]:
    """The hashes under which a card may list a patient, however a table writes the id.

    Cards list the hash of `patient_key`; earlier ones that of the id as it was written, which has
    eight digits in ChestX-ray14's layout of phantoms.

    >>> hashed_patient("1") in hashes_of("1.0")
    True
    """
    key = patient_key(patient_id)
    return frozenset(map(hashed_patient, (patient_id, key, key.zfill(8))))
