"""DeLong's covariance of AUCs, clustered by patient, and correction for several tests."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import ndtr
from scipy.stats import rankdata


def delong(
    truth: Bool[np.ndarray, " unit"],
    scores: Float[np.ndarray, "model unit"],
    patient: Int[np.ndarray, " unit"],
) -> tuple[Float[np.ndarray, " model"], Float[np.ndarray, "model model"]]:
    """AUCs of models on the same units, and the covariance matrix of these AUCs.

    Source: DeLong, DeLong and Clarke-Pearson 1988; structural components by midranks (Sun and Xu
    2014); units of one patient as a cluster (Obuchowski 1997). With V10_i the share of
    negatives that positive i outscores, V01_j the share of positives that outscore negative j,
    each minus the AUC and summed over a patient p to A_p and B_p:

    S = I10/(I10 - 1) sum A A' / m^2 + I01/(I01 - 1) sum B B' / n^2 + 2 I/(I - 1) sum A B' / (m n)

    with I10, I01 the patients who have positives, negatives, and I all patients. With one unit
    per patient, S is DeLong's matrix. DeLong's original matrix assumes that the images of a patient
    are independent, so its intervals are too narrow. S is a large-sample result: near AUC 1 or with
    few positive patients, the bootstrap is the better interval. The variances are nan for fewer
    than two patients in a class.

    >>> truth = np.array([True, True, False, False])
    >>> areas, covariance = delong(truth, np.array([[0.9, 0.4, 0.5, 0.1]]), np.arange(4))
    >>> areas, covariance
    (array([0.75]), array([[0.125]]))
    """
    names, patient = np.unique(patient, return_inverse=True)
    m, n = int(truth.sum()), int((~truth).sum())
    everyone = rankdata(scores, axis=1)
    # A rank among all units minus the rank within the own class counts units of the other class.
    over_negatives = (everyone[:, truth] - rankdata(scores[:, truth], axis=1)) / n
    under_positives = 1 - (everyone[:, ~truth] - rankdata(scores[:, ~truth], axis=1)) / m
    areas = over_negatives.mean(axis=1)
    of_positives = _by_patient(over_negatives - areas[:, None], patient[truth], names.size)
    of_negatives = _by_patient(under_positives - areas[:, None], patient[~truth], names.size)
    crossed = of_positives @ of_negatives.T / (m * n)
    covariance = (
        _unbiased(np.unique(patient[truth]).size) * of_positives @ of_positives.T / m**2
        + _unbiased(np.unique(patient[~truth]).size) * of_negatives @ of_negatives.T / n**2
        + _unbiased(names.size) * (crossed + crossed.T)
    )
    return areas, covariance


def delong_p(
    areas: Float[np.ndarray, " model"],
    covariance: Float[np.ndarray, "model model"],
    contrast: Float[np.ndarray, " model"],
) -> float | None:
    """Two-sided p-value of the hypothesis that a contrast of AUCs, such as (-1, 1), is 0.

    z = c A / sqrt(c S c'). None where the contrast has no variance.

    >>> areas, covariance = np.array([0.8, 0.8]), np.array([[0.01, 0.0], [0.0, 0.01]])
    >>> delong_p(areas, covariance, np.array([-1.0, 1.0]))
    1.0
    """
    variance = contrast @ covariance @ contrast
    if not variance > 1e-15:
        return None
    return float(2 * ndtr(-abs(contrast @ areas) / np.sqrt(variance)))


def holm(p_values: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Holm's step-down adjustment for several tests (here: one per finding).

    Source: Holm 1979. Sorted p_(1) <= ... <= p_(k): adjusted p_(i) is the maximum over j <= i of
    (k - j + 1) p_(j), at most 1.

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p_values, kind="stable")
    stepped = p_values[order] * np.arange(p_values.size, 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def _by_patient(
    components: Float[np.ndarray, "model unit"], patient: Int[np.ndarray, " unit"], patients: int
) -> Float[np.ndarray, "model patient"]:
    return np.array([np.bincount(patient, row, minlength=patients) for row in components])


def _unbiased(patients: int) -> float:
    return patients / (patients - 1) if patients > 1 else np.nan
