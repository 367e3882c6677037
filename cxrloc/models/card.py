"""The card of a model: what it says about its origin, its training data, its scores and limits.

Nothing here imports torch, because graphs run without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cxrloc.datasets.identifiers import patient_key
from cxrloc.errors import CxrlocError
from cxrloc.files.keys import has_key, keyed_patient
from cxrloc.findings import standard_findings
from cxrloc.models.probabilities import PROBABILITIES


@dataclass(frozen=True, slots=True)
class DistanceRule:
    """From which distance on an image is outside, and what that rule does to other images.

    Attributes:
        threshold: images with a larger distance are outside.
        variance: of the features in every direction that is not in `TypicalFeatures.directions`.
        measured_images: number of validation images of patients who did not choose the threshold.
        measured_outside: share of these images that is outside.
    """

    threshold: float
    variance: float
    measured_images: int
    measured_outside: float


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The description of a model: its origin, its training data, its scores and its limits.

    Attributes:
        name: the name that is printed in every output.
        trained_on: data set and number of images, in words.
        findings: names of the outputs, in order. These names, and those of the tables by finding
            below, are kept in their standard spelling (`findings.standard_finding`), so that they
            are those of every data set.
        probabilities: how logits become probabilities, a name of `PROBABILITIES`.
        views: projections among the training images (`View` values); others give a warning.
        operating_points: for each finding, the probability at or above which it counts as present.
        box_thresholds: grey level (0 to 255) of each finding for the box rule "one-box", chosen on
            boxes of validation images or on lesions drawn into them; `provenance` says on which.
        calibration: for each finding, the coefficients A and B of `probabilities.calibrated`, which
            turn a raw probability into that of a patient of the training set; fitted on the
            validation images.
        prevalence: for each finding, its share of the training set's images, which `calibration`
            is made for.
        auc: area under the ROC curve of each finding on the validation images.
        training_patients: all patients whose images trained the model, as `card_patient` writes
            them: ids for public data sets, keyed hashes for private ones.
        patients_beside: private patients were not hashed, since there was no key; they are listed
            in a file beside the weights, and not in the card (`models.patient_list`).
        validation_patients: all patients whose images did not train the model, but were used to
            choose its weights and operating points and to measure the AUC; empty where these
            patients are not known.
        training_images: number of training images.
        limits: one sentence that is shown with every picture.
        recipe: the TOML text of the recipe that trained the model.
        may_have_seen: data sets ("ChestX-ray14") any image of which may have been used in training,
            where `training_patients` does not list the patients.
        provenance: hashes of split and training data, seed, versions of packages.
        distance: from which distance on an image is unlike those that the model was made for; None
            where it is not known.
        data_sets: names of the data sets whose patients the card lists, because patient ids are
            unique only within one data set. A name is that of the reader, or the one given by
            `--dataset`. Empty where the data sets are not known.
        licence: licence of the weights, as their authors give it; empty where it is not known.

    Raises:
        CxrlocError: `probabilities` is unknown, or a calibration is not a slope above 0 and an
            intercept.
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
    licence: str = ""
    distance: DistanceRule | None = None
    patients_beside: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", standard_findings(self.findings))
        for name in _BY_FINDING:
            values = getattr(self, name)
            standard = dict(zip(standard_findings(values), values.values(), strict=True))
            object.__setattr__(self, name, standard)
        if self.probabilities not in PROBABILITIES:
            raise CxrlocError(
                f"probabilities {self.probabilities!r}: choose one of {', '.join(PROBABILITIES)}"
            )
        for finding, coefficients in self.calibration.items():
            # A negative slope would reverse the ranking of the patients, and a slope of 0 would
            # give all of them the same probability.
            if len(coefficients) != 2 or not coefficients[0] > 0:
                raise CxrlocError(
                    f"calibration of {finding}: {list(coefficients)}, but a slope above 0 and an "
                    "intercept are needed"
                )


_BY_FINDING = ("operating_points", "auc", "box_thresholds", "calibration", "prevalence")
"""Fields of a card that are tables by finding."""


KEYED = "keyed:"
"""Prefix of the keyed hashes among a card's patients; entries without it are plain ids."""


def card_patient(patient_id: str, public: bool) -> str:
    """A patient as a card lists it: the id of a public data set, or a keyed hash of a private one.

    Ids are normalised by `patient_key`. A hash without a key would not protect the patient: there
    are so few possible ids that all of them can be tried.

    >>> card_patient("00000032", public=True)
    '32'
    """
    key = patient_key(patient_id)
    return key if public else KEYED + keyed_patient(key)


def card_patients(patient_id: str) -> frozenset[str]:
    """All entries by which a card may list a patient; different spellings of an id are equal.

    Without the owner's key in the environment, keyed entries cannot be recognised and are left out.

    >>> "1" in card_patients("1.0")
    True
    """
    keys = {card_patient(patient_id, public=True)}
    return frozenset(keys | ({card_patient(patient_id, public=False)} if has_key() else set()))


def needs_key(card: ModelCard) -> bool:
    """Whether a card lists patients by keyed hashes while the key is not in the environment."""
    return not has_key() and any(name.startswith(KEYED) for name in card.training_patients)
