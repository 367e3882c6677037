"""Thresholds that turn scores into decisions, and the sensitivity and specificity of decisions.

A score at or above the threshold is positive. On the patients on whom a threshold was chosen, its
numbers are too optimistic, so every `OperatingPoint` says on whom it was chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.evaluation.classification.ranking import roc
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.models.model import Model
from cxrloc.models.provenance import calibrated_probability, operating_point

SAME_PATIENTS = "the same patients"
OTHER_PATIENTS = "other patients"
UNNAMED_PATIENTS = "patients that its card does not name"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold, the rule that chose it and the patients it was chosen on."""

    threshold: float
    rule: str
    chosen_on: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of a two-class confusion matrix."""

    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int


def confusion(truth: Bool[np.ndarray, " unit"], called: Bool[np.ndarray, " unit"]) -> Confusion:
    """Counts of decisions against truth.

    Sensitivity = TP / (TP + FN), specificity = TN / (TN + FP): `sensitivity`, `specificity`.

    >>> confusion(np.array([True, True, False]), np.array([True, False, False]))
    Confusion(true_positives=1, false_negatives=1, false_positives=0, true_negatives=1)
    """
    return Confusion(
        true_positives=int(np.sum(truth & called)),
        false_negatives=int(np.sum(truth & ~called)),
        false_positives=int(np.sum(~truth & called)),
        true_negatives=int(np.sum(~truth & ~called)),
    )


def sensitivity(counts: Confusion) -> float | None:
    """Share of the positives that are called positive; None without positives.

    >>> sensitivity(Confusion(3, 1, 0, 0))
    0.75
    """
    positives = counts.true_positives + counts.false_negatives
    return counts.true_positives / positives if positives else None


def specificity(counts: Confusion) -> float | None:
    """Share of the negatives that are called negative; None without negatives.

    >>> specificity(Confusion(3, 1, 1, 4))
    0.8
    """
    negatives = counts.true_negatives + counts.false_positives
    return counts.true_negatives / negatives if negatives else None


def card_operating_points(models: Sequence[Model], overlap: bool) -> dict[str, OperatingPoint]:
    """Operating points from the models' cards; for an ensemble, the mean over its models.

    They are thresholds of calibrated probabilities, where the cards have calibrations. If one of
    the models has no point for a finding, the ensemble has none for it either.

    Args:
        models: whose cards give the points.
        overlap: the models chose their points or weights on some of the scored patients.
    """
    named = all(model.card.validation_patients for model in models)
    chosen_on = SAME_PATIENTS if overlap else OTHER_PATIENTS if named else UNNAMED_PATIENTS
    points = {
        finding: operating_point(models, finding)
        for finding in (models[0].card.operating_points if models else ())
    }
    return {
        finding: OperatingPoint(
            calibrated_probability(models, finding, raw), "model card", chosen_on
        )
        for finding, raw in points.items()
        if raw is not None
    }


def choose_operating_point(
    truth: Bool[np.ndarray, " unit"],
    scores: Float[np.ndarray, " unit"],
    chosen_on: str = OTHER_PATIENTS,
) -> OperatingPoint | None:
    """The threshold with the largest Youden index on the ROC curve of a tuning part.

    Source: Youden 1950; used by Baltruschat et al. 2019, section 3. The index is
    sensitivity + specificity - 1. Of several thresholds with the same index the highest is taken.
    If it is best to call nothing positive, the threshold is the next number above the highest
    score. The result is None if the tuning part has only one class.

    >>> truth, scores = np.array([True, False, True, False]), np.array([0.9, 0.6, 0.5, 0.1])
    >>> choose_operating_point(truth, scores).threshold
    0.9
    """
    curve = roc(truth, scores)
    if curve is None:
        return None
    index = curve.sensitivity - curve.false_positive_rate
    # In floating point, 2/3 - 0 and 1 - 1/3 differ in the last bit, but they must count as equal.
    threshold = curve.thresholds[int(np.argmax(index > index.max() - 1e-12))]
    if np.isinf(threshold):
        threshold = np.nextafter(curve.thresholds[1], np.inf)
    return OperatingPoint(threshold=float(threshold), rule="youden", chosen_on=chosen_on)


def choose_operating_points(
    tuning: ScoredUnits, chosen_on: str = OTHER_PATIENTS
) -> dict[str, OperatingPoint]:
    """An operating point per finding; findings with only one class in the tuning part have none."""
    points = {}
    for column, finding in enumerate(tuning.findings):
        known = tuning.known[:, column]
        truth, scores = tuning.truth[known, column], tuning.scores[known, column]
        point = choose_operating_point(truth, scores, chosen_on)
        if point is not None:
            points[finding] = point
    return points


def known_or_chosen_points(
    models: Sequence[Model], tuning: ScoredUnits | None, judged: ScoredUnits, overlap: bool
) -> dict[str, OperatingPoint]:
    """Operating points from the tuning part, else of the models, else from the scored patients.

    Args:
        models: the models that are scored; none for scores of a file.
        tuning: units of other patients, if a part was drawn to choose points on.
        judged: the units that are scored.
        overlap: as for `card_operating_points`.
    """
    if tuning is not None:
        return choose_operating_points(tuning)
    known = card_operating_points(models, overlap)
    points = {finding: point for finding, point in known.items() if finding in judged.findings}
    return points or choose_operating_points(judged, chosen_on=SAME_PATIENTS)
