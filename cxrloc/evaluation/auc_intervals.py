"""AUC and average precision under resampling of patients, and DeLong's variance.

Scores are sorted once per finding. After that a resample costs two sparse products and a
cumulative sum: images enter only as how many positives and negatives each patient has between
one distinct score of a positive and the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.special import ndtr
from scipy.stats import rankdata


@dataclass(frozen=True, slots=True, eq=False)
class PatientRanking:
    """One finding's units in the order of their scores, counted by patient.

    With K distinct scores of positives, u_0 > ... > u_(K-1):

    Attributes:
        positives: [K, patient], positives that score u_k.
        negatives: [K + 1, patient], negatives below exactly k of the u.
        ties: [K + 1, patient], for negatives that score as some u: +1 where they would stand if
            ties went to the positives, -1 where they do stand.
    """

    positives: csr_array
    negatives: csr_array
    ties: csr_array


def rank_by_patient(
    truth: Bool[np.ndarray, " unit"],
    scores: Float[np.ndarray, " unit"],
    patient: Int[np.ndarray, " unit"],
    patients: int,
) -> PatientRanking:
    """Sort one finding's scores once; both classes must be present.

    Args:
        truth: positives.
        scores: larger speaks more for the finding.
        patient: index of each unit's patient.
        patients: number of patients, also of those without a unit here.
    """
    levels = np.unique(scores[truth])
    count = levels.size
    level = count - 1 - np.searchsorted(levels, scores[truth])
    above = count - np.searchsorted(levels, scores[~truth], side="right")
    at_or_above = count - np.searchsorted(levels, scores[~truth], side="left")
    tied = above != at_or_above

    def counted(
        row: Int[np.ndarray, " n"], column: Int[np.ndarray, " n"], rows: int, sign: float = 1.0
    ) -> csr_array:
        return csr_array((np.full(row.size, sign), (row, column)), shape=(rows, patients))

    negative = patient[~truth]
    return PatientRanking(
        positives=counted(level, patient[truth], count),
        negatives=counted(above, negative, count + 1),
        ties=counted(at_or_above[tied], negative[tied], count + 1)
        + counted(above[tied], negative[tied], count + 1, sign=-1.0),
    )


def resampled_rank_statistics(
    ranking: PatientRanking, counts: Float[np.ndarray, "patient resample"]
) -> tuple[Float[np.ndarray, " resample"], Float[np.ndarray, " resample"]]:
    """AUC and precision-recall average precision for each column of patient counts.

    AUC = sum over negatives of (positives above + half the positives level with it) / (m n);
    AP = (1/m) sum_k positives_k TP_k / (TP_k + FP_k), with TP_k and FP_k the positives and
    negatives that score u_k or more. Counts are whole numbers below 2^53, so both equal
    scikit-learn's values with the counts as weights to the last digits.

    >>> truth, patient = np.array([True, True, False, False]), np.array([0, 1, 0, 1])
    >>> ranking = rank_by_patient(truth, np.array([0.9, 0.4, 0.4, 0.1]), patient, patients=2)
    >>> resampled_rank_statistics(ranking, np.array([[1.0, 2.0], [1.0, 0.0]]))
    (array([0.875, 1. ]), array([0.83333333, 1. ]))
    """
    positives = ranking.positives @ counts  # level resample
    negatives = ranking.negatives @ counts  # gap resample
    true_positives = np.cumsum(positives, axis=0)
    false_positives = np.cumsum(negatives[:-1], axis=0)
    m, n = true_positives[-1], false_positives[-1] + negatives[-1]
    standing = negatives[1:] + 0.5 * (ranking.ties @ counts)[1:]
    auc = np.einsum("kr,kr->r", true_positives, standing) / (m * n)
    # Ties count against precision: negatives level with u_k are at or above it.
    called = true_positives + false_positives
    precision = np.divide(true_positives, called, out=called, where=called > 0)
    return auc, np.einsum("kr,kr->r", positives, precision) / m


def delong(
    truth: Bool[np.ndarray, " unit"],
    scores: Float[np.ndarray, "model unit"],
    patient_ids: Sequence[str],
) -> tuple[Float[np.ndarray, " model"], Float[np.ndarray, "model model"]]:
    """AUCs of models on the same units, and the covariance matrix of the AUCs.

    Source: DeLong, DeLong and Clarke-Pearson 1988; structural components by midranks (Sun and Xu
    2014); units of one patient as a cluster (Obuchowski 1997, eq. 4). With V10_i the share of
    negatives that positive i outscores, V01_j the share of positives that outscore negative j,
    each minus the AUC and summed over a patient p to A_p and B_p:

    S = I10/(I10 - 1) sum A A' / m^2 + I01/(I01 - 1) sum B B' / n^2 + 2 I/(I - 1) sum A B' / (m n)

    with I10, I01 the patients who have positives, negatives, and I all patients. With one unit
    per patient it is DeLong's matrix; DeLong's own takes the images of a patient as independent
    and is then too narrow. Large-sample theory: near AUC 1 or with few positive patients the
    bootstrap is the better interval. The variances are nan for fewer than two patients in a class.

    >>> truth = np.array([True, True, False, False])
    >>> areas, covariance = delong(truth, np.array([[0.9, 0.4, 0.5, 0.1]]), list("abcd"))
    >>> areas, covariance
    (array([0.75]), array([[0.125]]))
    """
    names, patient = np.unique(np.asarray(patient_ids), return_inverse=True)
    m, n = int(truth.sum()), int((~truth).sum())
    everyone = rankdata(scores, axis=1)
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


def delong_p(areas: Float[np.ndarray, "2"], covariance: Float[np.ndarray, "2 2"]) -> float | None:
    """Two-sided p-value that two AUCs on the same units are equal.

    z = (AUC_1 - AUC_2) / sqrt(S_11 + S_22 - 2 S_12). None where the difference has no variance.

    >>> delong_p(np.array([0.8, 0.8]), np.array([[0.01, 0.0], [0.0, 0.01]]))
    1.0
    """
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if not variance > 0:
        return None
    return float(2 * ndtr(-abs(areas[0] - areas[1]) / np.sqrt(variance)))


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
