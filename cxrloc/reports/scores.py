"""Precision, recall and F1 of labels against gold labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.types import CxrlocError, Label

Labels = Mapping[str, Mapping[str, Label]]
"""For each report id, the label of each finding that is mentioned."""

Interval = tuple[float, float]
"""Lower and upper end of an interval."""


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Counts of one finding, or their sums over findings (micro), and the ratios of these counts.

    A ratio whose divisor is 0 is None.
    """

    finding: str
    true_positives: int
    false_positives: int
    false_negatives: int
    precision: float | None
    recall: float | None
    f1: float | None


def label_score(finding: str, true_positives: int, false_positives: int, missed: int) -> LabelScore:
    """Precision, recall and F1 = 2 TP / (2 TP + FP + FN).

    >>> label_score("Edema", 3, 1, 2).f1
    0.6666666666666666
    """
    claimed, there = true_positives + false_positives, true_positives + missed
    return LabelScore(
        finding,
        true_positives,
        false_positives,
        missed,
        true_positives / claimed if claimed else None,
        true_positives / there if there else None,
        2 * true_positives / (claimed + there) if claimed + there else None,
    )


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


def score_labels(
    pairs: Bool[np.ndarray, "report finding two"], findings: Sequence[str]
) -> list[LabelScore]:
    """One score per finding, then `Total` over all and `Total without Hernia`.

    The gold standard of Open-i has no Hernia, though dozens of its reports name one, so there is
    also a total without Hernia.

    >>> pairs = np.array([[[True, True], [True, False]], [[False, True], [False, False]]])
    >>> [(s.finding, s.precision, s.recall) for s in score_labels(pairs, ("Edema", "Mass"))[:3]]
    [('Edema', 1.0, 0.5), ('Mass', 0.0, None), ('Total', 0.5, 0.5)]
    """
    claimed, true = pairs[..., 0], pairs[..., 1]
    counts = np.stack([claimed & true, claimed & ~true, ~claimed & true]).sum(axis=1)
    kept = np.array([finding != "Hernia" for finding in findings])
    return [
        *(label_score(f, *map(int, c)) for f, c in zip(findings, counts.T, strict=True)),
        label_score("Total", *map(int, counts.sum(axis=1))),
        label_score("Total without Hernia", *map(int, counts[:, kept].sum(axis=1))),
    ]


def score_intervals(
    pairs: Bool[np.ndarray, "report finding two"], findings: Sequence[str], samples: int, seed: int
) -> list[dict[str, Interval | None]]:
    """95 % intervals of precision, recall and F1 for every row of `score_labels`, in its order.

    The bootstrap resamples reports. Draws in which a ratio is not defined are left out; a ratio
    that is defined in no draw has no interval.
    """
    claimed, true = pairs[..., 0], pairs[..., 1]
    counts = np.stack([claimed & true, claimed & ~true, ~claimed & true], axis=-1).astype(float)
    kept = [finding != "Hernia" for finding in findings]
    totals = (counts.sum(axis=1), counts[:, kept].sum(axis=1))
    rows = np.concatenate([counts, np.stack(totals, axis=1)], axis=1)  # report row three
    generator = np.random.default_rng(seed)
    n = len(pairs)
    chances = np.full(n, 1 / n)
    drawn = [
        np.tensordot(generator.multinomial(n, chances).astype(float), rows, 1)
        for _ in range(samples)
    ]
    hit, wrong, missed = np.moveaxis(np.stack(drawn), 2, 0)  # sample row
    ratios = {
        "precision": (hit, hit + wrong),
        "recall": (hit, hit + missed),
        "f1": (2 * hit, 2 * hit + wrong + missed),
    }
    return [
        {name: _interval(part[:, row], whole[:, row]) for name, (part, whole) in ratios.items()}
        for row in range(rows.shape[1])
    ]


def _interval(
    part: Float[np.ndarray, " sample"], whole: Float[np.ndarray, " sample"]
) -> Interval | None:
    defined = whole > 0
    if not defined.any():
        return None
    low, high = np.quantile(part[defined] / whole[defined], (0.025, 0.975))
    return float(low), float(high)
