"""Precision, recall and F1 of labels against gold labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling, interval
from cxrloc.reports.label_file import Labels
from cxrloc.types import Label


def outcomes(
    labels: Labels, gold: Labels, findings: Sequence[str], positive: frozenset[Label]
) -> Bool[np.ndarray, "report finding two"]:
    """Claimed and true positives of every report of the gold labels, findings in the given order.

    Args:
        labels: labels read from the reports.
        gold: gold labels; their reports are scored, and a label of 1 is true.
        findings: findings in the order of the columns.
        positive: labels that count as a claim: {1}, or {1, -1} for the reading beside it.

    Raises:
        CxrlocError: a report with gold labels was not labelled.
    """
    if missing := sorted(set(gold) - set(labels)):
        raise CxrlocError(
            f"{len(missing)} reports of the gold labels are missing, as {missing[0]!r}"
        )
    pairs = [
        [
            (labels[report].get(finding) in positive, truth.get(finding) == Label.POSITIVE)
            for finding in findings
        ]
        for report, truth in sorted(gold.items())
    ]
    return np.array(pairs, dtype=bool).reshape(len(gold), len(findings), 2)


METRICS = ("precision", "recall", "f1")
"""What is measured of every finding, in this order."""

TOTAL, WITHOUT_HERNIA = "Total", "Total without Hernia"


def totals_of(findings: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The totals (micro averages) of a vocabulary, each with the findings that it sums.

    The gold standard of Open-i has no Hernia, though dozens of its reports name one, so there is
    also a total without Hernia.

    >>> totals_of(["Mass", "Hernia"])
    {'Total': ('Mass', 'Hernia'), 'Total without Hernia': ('Mass',)}
    """
    totals = {TOTAL: tuple(findings)}
    if "Hernia" in findings:
        totals[WITHOUT_HERNIA] = tuple(name for name in findings if name != "Hernia")
    return totals


@dataclass(frozen=True, slots=True)
class LabelScoring:
    """What is scored of a labeler, and how intervals are made.

    Attributes:
        findings: the findings, in the order of the columns.
        totals: sums over some of the findings, by their names.
        reading: which labels count as claims, in words; the group of every measurement.
        resampling: of the bootstrap over reports.
    """

    findings: Sequence[str]
    totals: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reading: str = "all"
    resampling: Resampling = field(default_factory=lambda: Resampling(resamples=0))


def score_labels(
    pairs: Bool[np.ndarray, "report finding two"], scoring: LabelScoring
) -> list[Measurement]:
    """Precision, recall and F1 = 2 TP / (2 TP + FP + FN) of every finding, then of every total.

    A ratio whose divisor is 0 is not defined. Draws in which a ratio is not defined are left out of
    its interval.

    >>> pairs = np.array([[[True, True], [True, False]], [[False, True], [False, False]]])
    >>> scores = score_labels(pairs, LabelScoring(("Edema", "Mass"), {"Total": ("Edema", "Mass")}))
    >>> [(s.finding, s.value) for s in scores if s.metric == "recall"]
    [('Edema', 0.5), ('Mass', None), ('Total', 0.5)]
    """
    claimed, true = pairs[..., 0], pairs[..., 1]
    counts = np.stack([claimed & true, claimed & ~true, ~claimed & true], axis=-1).astype(float)
    sums = [
        counts[:, [scoring.findings.index(name) for name in total]].sum(axis=1)
        for total in scoring.totals.values()
    ]
    rows = np.stack([*np.moveaxis(counts, 1, 0), *sums], axis=1)  # report row three
    drawn = _drawn(rows, scoring)
    names = (*scoring.findings, *scoring.totals)
    averaged = {name: tuple(total) for name, total in scoring.totals.items()}
    found = []
    for row, name in enumerate(names):
        exact, sampled = _ratios(rows[:, row].sum(axis=0)[:, None]), _ratios(drawn[:, row].T)
        for metric in METRICS:
            (top,), (bottom,) = exact[metric]
            low, high = _interval(*sampled[metric], scoring.resampling.level)
            found.append(
                Measurement(
                    metric=metric,
                    finding=name,
                    value=float(top / bottom) if bottom else None,
                    low=low,
                    high=high,
                    group=scoring.reading,
                    n=len(pairs),
                    positives=int(rows[:, row, [0, 2]].sum()),
                    numerator=float(top),
                    divisor=float(bottom),
                    divided_by=_DIVIDED_BY[metric],
                    averaged=averaged.get(name, ()),
                    note="" if bottom else f"not defined: no {_DIVIDED_BY[metric]}",
                )
            )
    return found


_DIVIDED_BY = {
    "precision": "labels claimed",
    "recall": "labels in the gold standard",
    "f1": "labels claimed and labels in the gold standard",
}


def _drawn(
    rows: Float[np.ndarray, "report row three"], scoring: LabelScoring
) -> Float[np.ndarray, "sample row three"]:
    """The counts in each resample of the reports."""
    generator = np.random.default_rng(scoring.resampling.seed)
    n = len(rows)
    chances = np.full(n, 1 / max(n, 1))
    draws = generator.multinomial(n, chances, size=scoring.resampling.resamples).astype(float)
    return np.array([np.tensordot(draw, rows, 1) for draw in draws]).reshape(-1, *rows.shape[1:])


def _ratios(
    counts: Float[np.ndarray, "three sample"],
) -> dict[str, tuple[Float[np.ndarray, " sample"], Float[np.ndarray, " sample"]]]:
    """Dividend and divisor of each of `METRICS`, from counts of hit, wrong and missed labels."""
    hit, wrong, missed = counts
    return {
        "precision": (hit, hit + wrong),
        "recall": (hit, hit + missed),
        "f1": (2 * hit, 2 * hit + wrong + missed),
    }


def _interval(
    part: Float[np.ndarray, " sample"], whole: Float[np.ndarray, " sample"], level: float
) -> tuple[float, float] | tuple[None, None]:
    """The interval of a ratio over the draws that define it; none if no draw does."""
    defined = whole > 0
    if not defined.any():
        return None, None
    low, high = interval(part[defined] / whole[defined], level)
    return float(low), float(high)
