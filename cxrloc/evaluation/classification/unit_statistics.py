"""Scored units as the resampling sees them: patients, the classes they carry, statistics.

Both the report of one model and the comparison of several are built on these.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from cxrloc.evaluation.classification.auc_intervals import (
    rank_by_patient,
    resampled_rank_statistics,
)
from cxrloc.evaluation.classification.units import ATTRIBUTES, ScoredUnits
from cxrloc.evaluation.resampling import Statistic


def patient_classes(units: ScoredUnits) -> Bool[np.ndarray, "patient class"]:
    """Which patients carry each finding's positives and negatives; classes without any left out."""
    classes = np.hstack([units.truth & units.known, ~units.truth & units.known])
    carries = _members(units) @ classes.astype(float) > 0
    return carries[:, carries.any(axis=0)]


def defined_findings(units: ScoredUnits) -> Int[np.ndarray, " defined"]:
    """Columns of the findings that have both positives and negatives among the units."""
    positives = (units.truth & units.known).any(axis=0)
    return np.flatnonzero(positives & (~units.truth & units.known).any(axis=0))


def averaged_findings(
    units: ScoredUnits, defined: Int[np.ndarray, " defined"]
) -> Int[np.ndarray, " averaged"]:
    """The defined columns that a mean over findings takes in: all but `units.ATTRIBUTES`.

    `Departs:` Rubin et al. 2018 average over No Finding too. Where a model has nothing but such
    outputs, they are averaged.
    """
    findings = [column for column in defined if units.findings[column] not in ATTRIBUTES]
    return np.array(findings, dtype=int) if findings else defined


def rank_statistic(units: ScoredUnits, defined: Int[np.ndarray, " defined"]) -> Statistic:
    """Per defined finding and then their mean: the AUCs, followed by the average precisions."""
    in_mean = np.isin(defined, averaged_findings(units, defined))
    patients = len(set(units.patient_ids))
    rankings = []
    for column in defined:
        known = units.known[:, column]
        truth, scores = units.truth[known, column], units.scores[known, column]
        rankings.append(rank_by_patient(truth, scores, units.patient[known], patients))

    def statistic(
        counts: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        values = np.array([resampled_rank_statistics(ranking, counts) for ranking in rankings])
        means = values[in_mean].mean(axis=0, keepdims=True)
        return np.concatenate([values, means]).transpose(1, 0, 2).reshape(-1, counts.shape[1])

    return statistic


def share_statistic(
    units: ScoredUnits,
    hits: Float[np.ndarray, "value unit"],
    among: Float[np.ndarray, "value unit"],
) -> Statistic:
    """Values that are one sum over units divided by another, such as hits over positives."""
    members = _members(units)
    numerator, denominator = ((members @ sums.T).T for sums in (hits, among))
    return lambda counts: (numerator @ counts) / (denominator @ counts)


def _members(units: ScoredUnits) -> csr_array:
    """1 where a patient (row) has a unit (column): times a matrix it sums units by patient."""
    return csr_array((np.ones(units.patient.size), (units.patient, np.arange(units.patient.size))))
