"""Every classification number of the papers on one set of units, as a `ClassificationReport`.

For each group (all units; by view, sex and age) and each finding, a report holds AUC and average
precision, decisions at an operating point, Dong's decisions by rank, and calibration. All intervals
of a group come from the same resamples of patients.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Int

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.calibration import (
    CALIBRATIONS,
    calibrate,
    expected_calibration_error,
    reliability,
)
from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.operating_points import (
    SAME_PATIENTS,
    OperatingPoint,
    choose_operating_points,
)
from cxrloc.evaluation.classification.report_rows import (
    ACCURACY,
    FEW_UNITS,
    NO_INTERVAL,
    blank_row,
    decision_shares,
    few_patients_note,
    note_of_mean,
    ranking_shares,
)
from cxrloc.evaluation.classification.unit_statistics import (
    averaged_findings,
    defined_findings,
    patient_classes,
    rank_statistic,
    share_statistic,
)
from cxrloc.evaluation.classification.units import (
    ScoredUnits,
    are_probabilities,
    refuse_shared_patients,
    select_units,
)
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling, Statistic, bootstrap, varying_patients

METRICS = {
    "auc": "area under the ROC curve",
    "pr_average_precision": "area under the precision-recall curve",
    "sensitivity": "share of positives with a score at or above the threshold",
    "specificity": "share of negatives with a score below the threshold",
    "top1_sensitivity": "share of positives whose highest score is this finding's",
    "top1_specificity": "share of negatives whose highest score is not this finding's",
    "top3_sensitivity": "share of positives with this finding among the three highest scores",
    "argmax_accuracy": "share of units whose decision is right: of one output, a score of 0.5 or "
    "more; of several, the highest score, on units with one finding",
    "image_ranking_precision": "mean over units of the ranking precision of their findings",
    "image_list_precision": "the same of units with two findings or more, whose list holds only "
    "what is above the threshold",
    "ece": "expected calibration error, ten bins of equal width",
    "ece_platt": "the same after a sigmoid fitted on other patients",
    "ece_isotonic": "the same after isotonic regression fitted on other patients",
}
"""Metrics of a report with their descriptions, which are also the footnotes of the tables."""


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Rows whose numbers are still to be computed, and the statistic that gives their values."""

    rows: tuple[Measurement, ...]
    statistic: Statistic


@dataclass(frozen=True, slots=True)
class ReportScope:
    """The parts of a report beyond the numbers of all units.

    Attributes:
        groups: kinds of groups that are reported separately, out of "view", "sex" and "age"; a
            group needs 2 units or more.
        list_threshold: also judge the lists of findings with a score above it (Dong et al. 2017,
            task 3); None for no lists.
        means: further means over findings, by name: the findings of each.
    """

    groups: tuple[str, ...] = ("view", "sex", "age")
    list_threshold: float | None = None
    means: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def classify_units(
    units: ScoredUnits,
    resampling: Resampling = Resampling(),  # noqa: B008 (frozen)
    tuning: ScoredUnits | None = None,
    points: Mapping[str, OperatingPoint] | None = None,
    scope: ReportScope = ReportScope(),
) -> ClassificationReport:
    """The classification report of scores against truth.

    Args:
        units: what is judged.
        resampling: how intervals are made.
        tuning: units of other patients on which operating points are chosen (Youden) and
            calibration maps are fitted.
        points: operating points per finding, for instance a model card's; instead of `tuning`.
            With neither, points are chosen on the judged patients themselves, and every row that
            depends on them says so.
        scope: groups, lists and means that are reported in addition to the numbers of all units.

    Raises:
        CxrlocError: there are no units, or `tuning` shares patients with them.
    """
    if not units.unit_ids:
        raise CxrlocError("no unit has both a prediction and a record: nothing to score")
    if tuning is not None:
        refuse_shared_patients(tuning, units, "an operating point")
        points = choose_operating_points(tuning)
    elif points is None:
        points = choose_operating_points(units, chosen_on=SAME_PATIENTS)
    probabilities = are_probabilities(units.scores)
    calibrated = {"ece": units} if probabilities else {}
    if calibrated and tuning is not None:
        calibrated |= {f"ece_{method}": calibrate(tuning, units, method) for method in CALIBRATIONS}
    measurements: list[Measurement] = []
    for group, index in _groups(units, scope.groups):
        part = select_units(units, index)
        rows = _measure(part, group, points, resampling, scope)
        if len(units.findings) == 1 and not probabilities:
            # The two classes of one output are p and 1 - p.
            rows = [row for row in rows if row.metric != ACCURACY]
        rows += _undefined_rows(part, group, scope.list_threshold)
        for metric, mapped in calibrated.items():
            rows += _calibration_rows(select_units(mapped, index), group, metric)
        measurements += sorted(rows, key=_place((*units.findings, "mean", *scope.means)))
    return ClassificationReport(
        unit=units.unit,
        aggregation=units.aggregation,
        findings=units.findings,
        units=len(units.unit_ids),
        patients=len(set(units.patient_ids)),
        resamples=resampling.resamples,
        seed=resampling.seed,
        level=resampling.level,
        measurements=tuple(measurements),
        list_threshold=scope.list_threshold,
    )


def _groups(
    units: ScoredUnits, by: tuple[str, ...]
) -> Iterator[tuple[str, Int[np.ndarray, " chosen"]]]:
    """Names of the groups and their units; the group of all units comes first."""
    yield "all", np.arange(len(units.unit_ids))
    for name in by:
        words = np.asarray(units.groups[name])
        for word in sorted(set(units.groups[name]) - {""}):
            index = np.flatnonzero(words == word)
            if index.size > 1:
                yield f"{name} {word}", index


def _place(findings: tuple[str, ...]) -> Callable[[Measurement], tuple[int, int]]:
    """The sort key of the rows of a group: by metric, then by finding or mean as given."""
    metrics = {metric: place for place, metric in enumerate(METRICS)}
    places = {finding: place for place, finding in enumerate(findings)}
    return lambda row: (metrics[row.metric], places[row.finding])


def _measure(
    units: ScoredUnits,
    group: str,
    points: Mapping[str, OperatingPoint],
    resampling: Resampling,
    scope: ReportScope,
) -> list[Measurement]:
    classes = patient_classes(units)
    varies = varying_patients(classes)
    blocks = []
    if units.known.any():
        blocks.append(_share_block(units, group, points, scope.list_threshold, varies))
    if defined_findings(units).size:
        blocks.insert(0, _rank_block(units, group, scope.means, varies))
    rows = [row for block in blocks for row in block.rows]
    if resampling.resamples and rows:
        result = bootstrap(
            lambda counts: np.vstack([block.statistic(counts) for block in blocks]),
            classes,
            resampling,
        )
        rows = [
            _filled(row, *map(float, numbers))
            for row, *numbers in zip(rows, result.estimate, result.low, result.high, strict=True)
        ]
    elif rows:
        once = np.ones((len(set(units.patient_ids)), 1))
        values = np.concatenate([block.statistic(once)[:, 0] for block in blocks])
        rows = [replace(row, value=float(v)) for row, v in zip(rows, values, strict=True)]
    return rows


def _filled(row: Measurement, value: float, low: float, high: float) -> Measurement:
    if row.note.endswith(NO_INTERVAL):
        return replace(row, value=value)
    if np.isnan(low):
        return replace(row, value=value, note=FEW_UNITS)
    return replace(row, value=value, low=low, high=high)


def _rank_block(
    units: ScoredUnits,
    group: str,
    named: Mapping[str, tuple[str, ...]],
    varies: Bool[np.ndarray, " patient"],
) -> _Block:
    defined = defined_findings(units)
    means = averaged_findings(units, defined, named)
    rows = []
    both = (True, False)
    notes = {c: few_patients_note(units, c, both, varies) for c in defined.tolist()}
    for metric in ("auc", "pr_average_precision"):
        for column in defined:
            row = blank_row(units, group, metric, int(column))
            positives = row.positives or 0
            pairs = positives * (row.n - positives if metric == "auc" else 1)
            rows.append(replace(row, divisor=pairs, note=notes[int(column)]))
        for name, columns in means.items():
            row = replace(blank_row(units, group, metric, columns), finding=name)
            findings = tuple(units.findings[column] for column in columns)
            note = note_of_mean(findings, [notes[column] for column in columns.tolist()])
            rows.append(replace(row, divisor=columns.size, averaged=findings, note=note))
    return _Block(tuple(rows), rank_statistic(units, defined, list(means.values())))


def _share_block(
    units: ScoredUnits,
    group: str,
    points: Mapping[str, OperatingPoint],
    list_threshold: float | None,
    varies: Bool[np.ndarray, " patient"],
) -> _Block:
    """Numbers that are one sum over units divided by another."""
    decisions = [
        decision
        for column in range(len(units.findings))
        for decision in decision_shares(
            units, group, column, points.get(units.findings[column]), varies
        )
    ]
    decisions += ranking_shares(units, group, list_threshold, varies)
    defined = [decision for decision in decisions if decision[2].any()]
    return _Block(
        rows=tuple(replace(row, divisor=int(among.sum())) for row, _, among in defined),
        statistic=share_statistic(
            units,
            hits=np.array([np.where(among, hit, 0.0) for _, hit, among in defined]),
            among=np.array([among.astype(float) for _, _, among in defined]),
        ),
    )


def _calibration_rows(units: ScoredUnits, group: str, metric: str) -> list[Measurement]:
    rows = []
    for column in range(len(units.findings)):
        known = units.known[:, column]
        curve = reliability(units.truth[known, column], units.scores[known, column])
        row = blank_row(units, group, metric, column)
        value = expected_calibration_error(curve)
        note = "" if value is not None else "not defined: no unit with a known label"
        rows.append(replace(row, value=value, divisor=row.n, note=note))
    return rows


def _undefined_rows(
    units: ScoredUnits, group: str, list_threshold: float | None
) -> list[Measurement]:
    """Rows without numbers, whose notes say why a metric of a finding is not defined here."""
    rows = []
    if list_threshold is not None and (units.truth & units.known).sum(axis=1).max() < 2:
        row = blank_row(units, group, "image_list_precision", np.arange(len(units.findings)))
        note = f"not defined: none of {row.n} units has two findings"
        rows.append(replace(row, threshold=list_threshold, note=note))
    for column in sorted(set(range(len(units.findings))) - set(defined_findings(units).tolist())):
        for metric in ("auc", "pr_average_precision"):
            row = blank_row(units, group, metric, column)
            lacking = "negative" if row.positives else "positive"
            note = f"not defined: no {lacking} among {row.n} units"
            rows.append(replace(row, note=note))
    return rows
