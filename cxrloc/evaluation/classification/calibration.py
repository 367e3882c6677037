"""Calibration: the distance of probabilities from observed frequencies, and its correction.

A calibration map is fitted on a tuning part and applied to other patients. `calibrate` raises an
error if the two parts share patients.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.units import ScoredUnits, refuse_shared_patients


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """A reliability curve: the bins of predicted probability that contain at least one unit.

    Attributes:
        predicted: mean probability in the bin.
        observed: share of positives in the bin.
        units: units in the bin.
    """

    predicted: Float[np.ndarray, " bin"]
    observed: Float[np.ndarray, " bin"]
    units: Int[np.ndarray, " bin"]


def reliability(
    truth: Bool[np.ndarray, " unit"],
    probabilities: Float[np.ndarray, " unit"],
    bins: int = 10,
) -> Reliability:
    """Observed against predicted frequency, in bins of equal width.

    An edge belongs to the bin below it, as in `sklearn.calibration.calibration_curve`.

    Raises:
        CxrlocError: a probability lies outside [0, 1].

    >>> curve = reliability(np.array([True, False, True]), np.array([0.2, 0.4, 0.9]), bins=2)
    >>> curve.predicted.round(3), curve.observed, curve.units
    (array([0.3, 0.9]), array([0.5, 1. ]), array([2, 1]))
    """
    if probabilities.size and not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise CxrlocError("calibration needs probabilities in [0, 1]: apply the sigmoid to logits")
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.searchsorted(inner, probabilities)
    units = np.bincount(bin_of, minlength=bins)
    filled = units > 0
    return Reliability(
        predicted=np.bincount(bin_of, probabilities, minlength=bins)[filled] / units[filled],
        observed=np.bincount(bin_of, truth, minlength=bins)[filled] / units[filled],
        units=units[filled],
    )


def expected_calibration_error(curve: Reliability) -> float | None:
    """Mean distance between observed and predicted frequency, weighted by units.

    Source: Naeini et al. 2015. ECE = sum_b n_b / n |observed_b - predicted_b|. It depends on the
    bins, and grows when there are few units per bin. None without units.

    >>> half, one, two = np.array([0.5, 1.0]), np.array([0.5, 0.8]), np.array([3, 1])
    >>> round(expected_calibration_error(Reliability(one, half, two)), 3)
    0.05
    """
    if not curve.units.sum():
        return None
    return float(np.average(np.abs(curve.observed - curve.predicted), weights=curve.units))


def platt(
    tuning_truth: Bool[np.ndarray, " tuning"],
    tuning_probabilities: Float[np.ndarray, " tuning"],
    probabilities: Float[np.ndarray, " unit"],
) -> Float[np.ndarray, " unit"]:
    """Probabilities calibrated by a sigmoid that is fitted to the logits of the tuning part.

    Source: Platt 1999. p' = 1 / (1 + exp(-(A logit p + B))), with A and B of `platt_coefficients`.
    """
    slope, intercept = platt_coefficients(tuning_truth, tuning_probabilities)
    return np.asarray(expit(slope * _logits(probabilities) + intercept))


def platt_coefficients(
    tuning_truth: Bool[np.ndarray, " tuning"],
    tuning_probabilities: Float[np.ndarray, " tuning"],
) -> tuple[float, float]:
    """Slope A and intercept B of Platt's sigmoid over the logits of the tuning part.

    Source: Platt 1999. The fit is unpenalised, with his targets (N+ + 1) / (N+ + 2) and
    1 / (N- + 2) in place of 1 and 0, so that separable data have a fit. Probabilities of 0 and 1
    are taken as 1e-7 and 1 - 1e-7.
    """
    positives = tuning_truth.sum()
    high = (positives + 1) / (positives + 2)
    low = 1 / (tuning_truth.size - positives + 2)
    target = np.where(tuning_truth, high, low)
    features = _logits(tuning_probabilities)
    # A soft target t is one unit of each class, with weights t and 1 - t.
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        np.concatenate([features, features])[:, None],
        np.repeat([True, False], features.size),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def isotonic(
    tuning_truth: Bool[np.ndarray, " tuning"],
    tuning_probabilities: Float[np.ndarray, " tuning"],
    probabilities: Float[np.ndarray, " unit"],
) -> Float[np.ndarray, " unit"]:
    """Probabilities calibrated by the rising step function that fits the tuning part best.

    Source: Zadrozny and Elkan 2002; linear between the steps and constant outside them, as in
    scikit-learn. The function makes some scores equal, so it can change an AUC slightly.
    """
    steps = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    steps.fit(tuning_probabilities, tuning_truth.astype(float))
    return np.asarray(steps.predict(probabilities), dtype=float)


CALIBRATIONS: dict[str, Callable[..., Float[np.ndarray, " unit"]]] = {
    "platt": platt,
    "isotonic": isotonic,
}
"""Calibration maps: (tuning truth, tuning probabilities, probabilities) -> probabilities."""


def calibrate(tuning: ScoredUnits, judged: ScoredUnits, method: str) -> ScoredUnits:
    """The judged units with probabilities that are calibrated on the tuning part.

    Findings for which the tuning part lacks a class (or that it does not have) are left out.

    Raises:
        CxrlocError: a patient is in both parts.
    """
    refuse_shared_patients(tuning, judged, "calibration")
    kept, columns = [], []
    for index, finding in enumerate(judged.findings):
        if finding not in tuning.findings:
            continue
        source = tuning.findings.index(finding)
        known = tuning.known[:, source]
        truth = tuning.truth[known, source]
        if truth.all() or not truth.any():
            continue
        kept.append(index)
        tuned = tuning.scores[known, source]
        columns.append(CALIBRATIONS[method](truth, tuned, judged.scores[:, index]))
    return replace(
        judged,
        findings=tuple(judged.findings[i] for i in kept),
        scores=np.array(columns).reshape(len(kept), len(judged.unit_ids)).T,
        truth=judged.truth[:, kept],
        known=judged.known[:, kept],
    )


def _logits(probabilities: Float[np.ndarray, " unit"]) -> Float[np.ndarray, " unit"]:
    return np.asarray(logit(np.clip(probabilities, 1e-7, 1 - 1e-7)))
