"""Thresholds that turn scores into decisions, and what the decisions are worth.

A score at or above the threshold is positive. A threshold chosen on the patients it is judged on
flatters the model, so every `OperatingPoint` says on whom it was chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.evaluation.classification.ranking import Roc, roc

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


def _youden(curve: Roc, target: float) -> int:
    index = curve.sensitivity - curve.false_positive_rate
    # 2/3 - 0 and 1 - 1/3 differ in their last bit: equal indices must tie.
    return int(np.argmax(index > index.max() - 1e-12))


def _fixed_sensitivity(curve: Roc, target: float) -> int:
    return int(np.argmax(curve.sensitivity >= target))


def _fixed_specificity(curve: Roc, target: float) -> int:
    # 1 - 0.7 is a little more than 0.3 in floats: the share of counts k/n meets its target exactly.
    enough = curve.false_positive_rate <= 1 - target + 1e-12
    return int(np.flatnonzero(enough)[-1])


OPERATING_POINTS: dict[str, Callable[[Roc, float], int]] = {
    "youden": _youden,
    "sensitivity": _fixed_sensitivity,
    "specificity": _fixed_specificity,
}
"""Rules: the index of the chosen point of an ROC curve, given the rule's target."""


def choose_operating_point(
    truth: Bool[np.ndarray, " unit"],
    scores: Float[np.ndarray, " unit"],
    rule: str = "youden",
    target: float = 0.9,
    chosen_on: str = OTHER_PATIENTS,
) -> OperatingPoint | None:
    """The threshold that a rule picks on the ROC curve of a tuning part.

    - `youden`: largest sensitivity + specificity - 1 (Youden 1950; used by Baltruschat et al.
      2019, section 3); of several the highest threshold. `target` has no meaning here.
    - `sensitivity`: the highest threshold whose sensitivity is at least `target`.
    - `specificity`: the lowest threshold whose specificity is at least `target`.

    Where nothing may be called positive, the threshold is the next number above the highest
    score. None where the tuning part lacks a class.

    >>> truth, scores = np.array([True, False, True, False]), np.array([0.9, 0.6, 0.5, 0.1])
    >>> choose_operating_point(truth, scores, "sensitivity", target=1.0).threshold
    0.5
    >>> choose_operating_point(truth, scores, "specificity", target=1.0).threshold
    0.9
    """
    curve = roc(truth, scores)
    if curve is None:
        return None
    threshold = curve.thresholds[OPERATING_POINTS[rule](curve, target)]
    if np.isinf(threshold):
        threshold = np.nextafter(curve.thresholds[1], np.inf)
    name = rule if rule == "youden" else f"{rule} >= {target:g}"
    return OperatingPoint(threshold=float(threshold), rule=name, chosen_on=chosen_on)
