"""AUC and average precision under resampling of patients.

Scores are sorted once per finding. After that, a resample costs two sparse products and a
cumulative sum. For this, each patient's positives and negatives are counted between every two
neighbouring distinct scores of positives.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array


@dataclass(frozen=True, slots=True, eq=False)
class PatientRanking:
    """The units of one finding in the order of their scores, counted by patient.

    With K distinct scores of positives, u_0 > ... > u_(K-1):

    Attributes:
        positives: [K, patient], positives that score u_k.
        negatives: [K + 1, patient], negatives below exactly k of the u.
        ties: [K + 1, patient], a correction for negatives with the same score as a positive: +1 at
            the place where they would be counted if ties favoured the positives, -1 at the place
            where `negatives` counts them.
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
    """The units of one finding, sorted by score and counted by patient.

    Args:
        truth: positives.
        scores: a larger score means that the finding is more likely.
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
    # Row k: negatives below exactly u_0, ..., u_k; one tied with u_k is half here, half a row
    # before.
    standing = negatives[1:] + 0.5 * (ranking.ties @ counts)[1:]
    auc = np.einsum("kr,kr->r", true_positives, standing) / (m * n)
    # Ties count against precision: negatives level with u_k are at or above it.
    called = true_positives + false_positives
    precision = np.divide(true_positives, called, out=called, where=called > 0)
    return auc, np.einsum("kr,kr->r", positives, precision) / m
