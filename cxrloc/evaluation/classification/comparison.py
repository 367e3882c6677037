"""Paired differences, rank correlations and disagreements of runs on the same units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from jaxtyping import Float

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.agreement import disagreements, rank_correlations
from cxrloc.evaluation.classification.report_rows import (
    FEW_CARRIERS,
    NONE_VARIES,
    few_patients_note,
)
from cxrloc.evaluation.classification.unit_statistics import (
    averaged_findings,
    defined_findings,
    patient_classes,
    rank_statistic,
)
from cxrloc.evaluation.classification.units import (
    Aggregation,
    ScoredUnits,
    Unit,
    aligned,
    score_units,
)
from cxrloc.evaluation.resampling import (
    Bootstrap,
    Resampling,
    bootstrap,
    two_sided_p,
    varying_patients,
)
from cxrloc.evaluation.significance import delong, delong_p, holm
from cxrloc.types import Predictions, Record


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of run B minus that of run A on the same units: a row of `differences.csv`.

    Attributes:
        finding: finding, or "mean" over those that are defined.
        metric: "auc" or "pr_average_precision".
        run_a: name of the run that is subtracted.
        run_b: name of the other run.
        value_a: the metric of run A.
        value_b: the metric of run B.
        difference: value_b - value_a.
        low: lower end of the paired bootstrap interval.
        high: upper end.
        p_bootstrap: two-sided, from the same resamples.
        p_holm: `p_bootstrap` adjusted over the findings (Holm); None for the mean.
        p_delong: DeLong's test clustered by patient; AUCs of one finding only.
        n: units compared.
        positives: those with the finding.
    """

    finding: str
    metric: str
    run_a: str
    run_b: str
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_holm: float | None
    p_delong: float | None
    n: int
    positives: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A unit and a finding whose ranks differ much between runs, with the score of each run."""

    unit_id: str
    finding: str
    truth: bool | None
    disagreement: float
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two or more runs on the units and findings they share.

    Attributes:
        runs: names.
        unit: "image", "study" or "patient".
        units: units compared.
        patients: patients compared, the unit of the bootstrap.
        left_out: per run, its units that another run lacks.
        undefined: findings that lack positives or negatives, or have too few patients in one
            class.
        differences: all pairs of runs, in the order of `runs`.
        rank_correlations: Spearman's correlations, averaged over the findings `correlated`.
        correlated: findings for which no run gives all units the same score.
        disagreements: the most disputed pairs first.
    """

    runs: tuple[str, ...]
    unit: str
    units: int
    patients: int
    left_out: tuple[int, ...]
    undefined: tuple[str, ...]
    differences: tuple[Difference, ...]
    rank_correlations: Float[np.ndarray, "run run"]
    correlated: tuple[str, ...]
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a difference: the weighted mean of a metric over several models."""

    name: str
    weights: tuple[float, ...]


def compare_predictions(
    runs: Mapping[str, Predictions],
    records: Sequence[Record],
    unit: Unit = "image",
    aggregation: Aggregation = "max",
    resampling: Resampling = Resampling(),  # noqa: B008 (frozen)
    most: int = 50,
) -> Comparison:
    """The comparison of two or more runs on the images that all of them predicted.

    Args:
        runs: predictions by name; a difference is a later run minus an earlier one.
        records: the data set that was predicted.
        unit: what is scored.
        aggregation: how a unit's images become its score.
        resampling: how intervals are made; both runs of a pair use the same resamples of patients.
        most: length of the list of disagreements.

    Raises:
        CxrlocError: fewer than two runs, or nothing in common.
    """
    if len(runs) < 2:
        raise CxrlocError("a comparison needs two runs or more: name another one")
    scored = [score_units(run, records, unit, aggregation) for run in runs.values()]
    models = aligned(scored)
    names = tuple(runs)
    differences = []
    for a, b in combinations(range(len(names)), 2):
        side_a, side_b = (
            Side(names[i], tuple(float(i == j) for j in range(len(names)))) for i in (a, b)
        )
        differences += paired_differences(models, side_a, side_b, resampling)
    scores = np.array([model.scores for model in models])
    correlations, correlated = rank_correlations(scores)
    first = models[0]
    compared = {difference.finding for difference in differences}
    return Comparison(
        runs=names,
        unit=unit,
        units=len(first.unit_ids),
        patients=len(set(first.patient_ids)),
        left_out=tuple(len(run.unit_ids) - len(first.unit_ids) for run in scored),
        undefined=tuple(finding for finding in first.findings if finding not in compared),
        differences=tuple(differences),
        rank_correlations=correlations,
        correlated=tuple(np.array(first.findings)[correlated].tolist()),
        disagreements=_disputed(first, scores, most),
    )


def paired_differences(
    models: Sequence[ScoredUnits], a: Side, b: Side, resampling: Resampling
) -> list[Difference]:
    """Differences of AUC and average precision, side B minus side A, per finding and for the mean.

    Each resample of patients is scored by both sides, so variation that the two sides share
    cancels. The interval of a paired difference is therefore narrower than the two separate
    intervals suggest.

    Args:
        models: aligned units of each model.
        a: the side that is subtracted; its weights over the models add up to 1.
        b: the side from which `a` is subtracted; its weights add up to 1 too.
        resampling: how intervals are made; needs at least one resample.
    """
    first = _comparable(models[0])
    defined = defined_findings(first)
    if not defined.size:
        return []
    used = [i for i in range(len(models)) if a.weights[i] or b.weights[i]]
    averaged = averaged_findings(first, defined)["mean"]
    statistics = [
        rank_statistic(replace(models[i], known=first.known), defined, [averaged]) for i in used
    ]
    weights = np.array([[side.weights[i] for i in used] for side in (a, b)])

    def sides(counts: Float[np.ndarray, "patient resample"]) -> Float[np.ndarray, "_ resample"]:
        values = np.array([statistic(counts) for statistic in statistics])
        value_a, value_b = np.einsum("sm,mvr->svr", weights, values)
        return np.concatenate([value_a, value_b, value_b - value_a])

    result = bootstrap(sides, patient_classes(first), resampling)
    p_delong = [_delong_p(models, int(column), first, a, b) for column in defined]
    return _rows(first, (a.name, b.name), result, p_delong)


def _rows(
    units: ScoredUnits, names: tuple[str, str], result: Bootstrap, p_delong: list[float | None]
) -> list[Difference]:
    """One row per metric and defined finding, and one for their mean."""
    defined = defined_findings(units)
    averaged = averaged_findings(units, defined)["mean"]
    value_a, value_b, difference = np.split(result.estimate, 3)
    low, high = (np.split(limits, 3)[2] for limits in (result.low, result.high))
    p_values = np.array([two_sided_p(row) for row in np.split(result.distribution, 3)[2]])
    rows = []
    for start, metric in ((0, "auc"), (defined.size + 1, "pr_average_precision")):
        p_holm = holm(p_values[start : start + defined.size])
        for index in range(defined.size + 1):
            at, is_mean = start + index, index == defined.size
            columns = averaged if is_mean else defined[index : index + 1]
            known = units.known[:, columns]
            rows.append(
                Difference(
                    finding="mean" if is_mean else units.findings[defined[index]],
                    metric=metric,
                    run_a=names[0],
                    run_b=names[1],
                    value_a=float(value_a[at]),
                    value_b=float(value_b[at]),
                    difference=float(difference[at]),
                    low=float(low[at]),
                    high=float(high[at]),
                    p_bootstrap=float(p_values[at]),
                    p_holm=None if is_mean else float(p_holm[index]),
                    p_delong=None if is_mean or metric != "auc" else p_delong[index],
                    n=int(known.any(axis=1).sum()),
                    positives=int((known & units.truth[:, columns]).sum()),
                )
            )
    return rows


def _comparable(units: ScoredUnits) -> ScoredUnits:
    """The units without the findings that have too few patients in a class for an interval.

    They leave one by one, those with fewer than two patients first, because the resamples no
    longer keep the classes of a finding that has left, and so the patients of others may vary.
    """
    while True:
        varies = varying_patients(patient_classes(units))
        column_of = {
            few_patients_note(units, column, (True, False), varies): column
            for column in np.flatnonzero(units.known.any(axis=0)).tolist()
        }
        column = column_of.get(FEW_CARRIERS, column_of.get(NONE_VARIES))
        if column is None:
            return units
        known = units.known.copy()
        known[:, column] = False
        units = replace(units, known=known)


def _delong_p(
    models: Sequence[ScoredUnits], column: int, units: ScoredUnits, a: Side, b: Side
) -> float | None:
    known = units.known[:, column]
    areas, covariance = delong(
        units.truth[known, column],
        np.array([model.scores[known, column] for model in models]),
        units.patient[known],
    )
    return delong_p(areas, covariance, np.subtract(b.weights, a.weights))


def _disputed(
    units: ScoredUnits, scores: Float[np.ndarray, "run unit finding"], most: int
) -> tuple[Disagreement, ...]:
    return tuple(
        Disagreement(
            unit_id=units.unit_ids[unit],
            finding=units.findings[finding],
            truth=bool(units.truth[unit, finding]) if units.known[unit, finding] else None,
            disagreement=float(value),
            scores=tuple(map(float, scores[:, unit, finding])),
        )
        for unit, finding, value in zip(*disagreements(scores, most), strict=True)
    )
