"""Rows of a classification report without values: their counts and notes, and what is divided."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from cxrloc.evaluation.classification.operating_points import OperatingPoint
from cxrloc.evaluation.classification.populations import label_counts
from cxrloc.evaluation.classification.ranking import image_ranking_precision, in_top
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.evaluation.measurement import Measurement

ACCURACY, ARGMAX_OF_TWO = "argmax_accuracy", 0.5
FEW_CARRIERS = "no interval: a class has fewer than 2 patients"
NONE_VARIES = "no interval: too few patients, those of a class are the same in every resample"
NONE_AVERAGED = "no interval: none of these findings has one"
NO_INTERVAL = (FEW_CARRIERS, NONE_VARIES, NONE_AVERAGED)
FEW_UNITS = "no interval: too few units, some resamples have none"

Share = tuple[Measurement, Float[np.ndarray, " unit"], Bool[np.ndarray, " unit"]]
"""A row, each unit's contribution to the numerator, and the units in the divisor."""


def blank_row(
    units: ScoredUnits, group: str, metric: str, columns: int | Int[np.ndarray, " averaged"]
) -> Measurement:
    """A row with its counts and without a value; a row of several columns is their mean."""
    chosen = np.atleast_1d(columns)
    known, truth = units.known[:, chosen], units.truth[:, chosen]
    return Measurement(
        finding=units.findings[columns] if isinstance(columns, int) else "mean",
        group=group,
        metric=metric,
        value=None,
        low=None,
        high=None,
        n=int(known.any(axis=1).sum()),
        positives=int((known & truth).sum()),
        divisor=0,
    )


def few_patients_note(
    units: ScoredUnits,
    column: int,
    classes: tuple[bool, ...],
    varies: Bool[np.ndarray, " patient"],
) -> str:
    """A note if a finding's positives, or its negatives, are of too few patients for an interval.

    Args:
        units: what is scored.
        column: of the finding.
        classes: True for its positives, False for its negatives.
        varies: the patients whose weights differ between resamples (`varying_patients`).
    """
    known, truth = units.known[:, column], units.truth[:, column]
    carriers = [np.unique(units.patient[known & (truth == positive)]) for positive in classes]
    if min(patients.size for patients in carriers) < 2:
        return FEW_CARRIERS
    return "" if all(varies[patients].any() for patients in carriers) else NONE_VARIES


def note_of_mean(findings: Sequence[str], notes: Sequence[str]) -> str:
    """The findings that a mean is over, and how many of them have no interval.

    >>> print(note_of_mean(["Mass", "Edema"], ["", FEW_CARRIERS]))  # doctest: +NORMALIZE_WHITESPACE
    mean over Mass, Edema; 1 of these findings has no interval, so the interval of the mean may be
    too narrow
    """
    averaged, fixed = f"mean over {', '.join(findings)}", sum(map(bool, notes))
    if not fixed:
        return averaged
    if fixed == len(notes):
        return f"{averaged}; {NONE_AVERAGED}"
    have = "has" if fixed == 1 else "have"
    return (
        f"{averaged}; {fixed} of these findings {have} no interval, so the interval of the mean "
        "may be too narrow"
    )


def ranking_shares(
    units: ScoredUnits,
    group: str,
    list_threshold: float | None,
    varies: Bool[np.ndarray, " patient"],
) -> Iterator[Share]:
    """Rows about the order of each unit's own findings."""
    truth = units.truth & units.known
    has = truth.sum(axis=1)
    metrics: list[tuple[str, int, float | None]] = [("image_ranking_precision", 1, None)]
    if list_threshold is not None:
        metrics.append(("image_list_precision", 2, list_threshold))
    shares: list[Share] = []
    for metric, fewest, threshold in metrics:
        row = blank_row(units, group, metric, np.arange(len(units.findings)))
        precision = np.zeros(has.size)
        precision[has > 0] = image_ranking_precision(truth, units.scores, threshold)
        shares.append((replace(row, threshold=threshold), precision, has >= fewest))
    for row, right, among in (*shares, _argmax_share(units, group)):
        note = "" if varies[units.patient[among]].any() else NONE_VARIES
        yield replace(row, note=note), right, among


def _argmax_share(units: ScoredUnits, group: str) -> Share:
    """Accuracy of the most probable class (Dong et al. 2017, section V.B and V.C).

    One output p stands for the two classes p and 1 - p, as in the paper's normal against abnormal;
    0.5 counts as positive. Several outputs are classes where a unit has exactly one label; a tie
    for the highest score counts against the model.
    """
    if len(units.findings) == 1:
        called = units.scores[:, 0] >= ARGMAX_OF_TWO
        right, among = called == units.truth[:, 0], units.known[:, 0]
        row = replace(blank_row(units, group, ACCURACY, 0), threshold=ARGMAX_OF_TWO)
        return row, right.astype(float), among
    surely, _ = in_top(units.scores, 1)
    right = (surely & units.truth & units.known).any(axis=1)
    row = blank_row(units, group, ACCURACY, np.arange(len(units.findings)))
    return row, right.astype(float), label_counts(units) == 1


def decision_shares(
    units: ScoredUnits,
    group: str,
    column: int,
    point: OperatingPoint | None,
    varies: Bool[np.ndarray, " patient"],
) -> Iterator[Share]:
    """Rows about decisions on one finding, at an operating point and by rank."""
    truth, known = units.truth[:, column], units.known[:, column]
    first_surely, first_possibly = (inside[:, column] for inside in in_top(units.scores, 1))
    third_surely, _ = (inside[:, column] for inside in in_top(units.scores, 3))
    decisions = {
        "top1_sensitivity": (first_surely, True),
        "top1_specificity": (~first_possibly, False),
        "top3_sensitivity": (third_surely, True),
    }
    if point is not None:
        called = units.scores[:, column] >= point.threshold
        decisions |= {"sensitivity": (called, True), "specificity": (~called, False)}
    for metric, (hit, positive) in decisions.items():
        among = known & (truth == positive)
        note = few_patients_note(units, column, (positive,), varies) if among.any() else ""
        row = replace(blank_row(units, group, metric, column), note=note)
        if point is not None and metric in ("sensitivity", "specificity"):
            chosen_on = f"{point.rule}, {point.chosen_on}"
            row = replace(row, threshold=point.threshold, chosen_on=chosen_on)
        yield row, hit.astype(float), among
