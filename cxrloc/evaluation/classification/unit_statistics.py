"""Patient classes and statistics of scored units, as the bootstrap needs them.

The report of one model and the comparison of several use the same functions.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from cxrloc.evaluation.classification.auc_intervals import (
    rank_by_patient,
    resampled_rank_statistics,
)
from cxrloc.evaluation.classification.truth import ATTRIBUTES
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.evaluation.resampling import Statistic


def patient_classes(units: ScoredUnits) -> Bool[np.ndarray, "patient class"]:
    """Which patients have positives and negatives of each finding; empty classes are left out."""
    classes = np.hstack([units.truth & units.known, ~units.truth & units.known])
    carries = _members(units) @ classes.astype(float) > 0
    return carries[:, carries.any(axis=0)]


def defined_findings(units: ScoredUnits) -> Int[np.ndarray, " defined"]:
    """Columns of the findings that have both positives and negatives among the units."""
    positives = (units.truth & units.known).any(axis=0)
    return np.flatnonzero(positives & (~units.truth & units.known).any(axis=0))


def averaged_findings(
    units: ScoredUnits,
    defined: Int[np.ndarray, " defined"],
    named: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Int[np.ndarray, " averaged"]]:
    """Columns of the findings that enter each mean, by the name of the mean.

    No other function decides which findings a mean includes.

    "mean" is over the defined findings without `truth.ATTRIBUTES`, as in Baltruschat et al. 2019;
    where a model has nothing but such outputs, they are averaged. Other means are over the
    findings of a published table: five in Pham et al. 2019, and No Finding too in Rubin et al.
    2018. A named mean that is the same as "mean", or of which a finding is not defined, is left
    out.

    Args:
        units: what is scored.
        defined: columns of the findings with both classes.
        named: findings of further means, by name.
    """
    findings = [column for column in defined if units.findings[column] not in ATTRIBUTES]
    means = {"mean": np.array(findings, dtype=int) if findings else defined}
    place = {units.findings[column]: column for column in defined}
    for name, members in named.items():
        if set(members) <= place.keys():
            columns = np.array(sorted(place[finding] for finding in members))
            if not np.array_equal(columns, means["mean"]):
                means[name] = columns
    return means


def rank_statistic(
    units: ScoredUnits,
    defined: Int[np.ndarray, " defined"],
    means: Sequence[Int[np.ndarray, " averaged"]],
) -> Statistic:
    """Values of each defined finding, then of each mean: the AUCs, then the average precisions."""
    in_means = [np.isin(defined, columns) for columns in means]
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
        averages = np.array([values[inside].mean(axis=0) for inside in in_means])
        joined = np.concatenate([values, averages])  # finding and mean, metric, resample
        return joined.transpose(1, 0, 2).reshape(-1, counts.shape[1])

    return statistic


def share_statistic(
    units: ScoredUnits,
    hits: Float[np.ndarray, "value unit"],
    among: Float[np.ndarray, "value unit"],
) -> Statistic:
    """Values that are one sum over units divided by another, such as hits over positives.

    NaN where the divisor is 0 in a resample. Resampling guarantees only that every resample
    contains both classes of every finding.
    """
    members = _members(units)
    numerator, denominator = ((members @ sums.T).T for sums in (hits, among))

    def statistic(
        counts: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        total, divisor = numerator @ counts, denominator @ counts
        return np.divide(total, divisor, out=np.full_like(total, np.nan), where=divisor > 0)

    return statistic


def _members(units: ScoredUnits) -> csr_array:
    """The matrix of patients (rows) and units (columns): 1 where the unit is of the patient.

    Its product with a matrix sums the units of each patient.
    """
    return csr_array((np.ones(units.patient.size), (units.patient, np.arange(units.patient.size))))
