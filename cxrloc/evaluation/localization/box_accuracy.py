"""Localization accuracy and average false positives by the rule of Wang et al. 2017.

Source: Wang et al. 2017, section 4. A box is correct when IoU > T(IoU), or IoBB > T(IoBB),
strictly, with an annotated box of its own image and finding.

    Acc(finding) = annotated boxes hit by at least one correct box / annotated boxes
    AFP(finding) = boxes of the finding that are not correct / annotated boxes of all findings

`Departs:` from the text's 983 images and 1,600 boxes: its own tables divide by the published 984
boxes. AFP is also given per scored heatmap, which the tables do not print.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from cxrloc.evaluation.localization.overlap import (
    equal_keys,
    intersection_over_annotated,
    intersection_over_smaller,
    iobb,
    iou,
)
from cxrloc.evaluation.localization.scored_pairs import Claims, ScoredPairs
from cxrloc.types import LocalizationReport, MatchRule

OVERLAPS: dict[str, Callable[..., Float[np.ndarray, "..."]]] = {
    "iobb": iobb,
    "iou": iou,
    "intersection_over_annotated": intersection_over_annotated,
    "intersection_over_smaller": intersection_over_smaller,
}
"""Overlap of a detected and an annotated box, by criterion; tables print the first two."""

PUBLISHED_RULES = (
    *(MatchRule("iobb", threshold) for threshold in (0.1, 0.25, 0.5, 0.75, 0.9)),
    *(MatchRule("iou", threshold) for threshold in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
)
"""Wang et al. 2017, tables 4 and 7."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxCounts:
    """What is counted, by patient, so that a bootstrap over patients is one product.

    A control's counts are means over its draws.
    """

    annotated: Float[np.ndarray, "patient finding"]
    heatmaps: Float[np.ndarray, "patient finding"]
    detections: Float[np.ndarray, "patient finding"]
    hit: Float[np.ndarray, "patient rule finding"]
    false_positives: Float[np.ndarray, "patient rule finding"]


def count_boxes(pairs: ScoredPairs, claims: Claims, rules: Sequence[MatchRule]) -> BoxCounts:
    """Hits and false positives of boxes on scored pairs, by each rule."""
    claim, truth = equal_keys(claims.pair, pairs.truth_pair)
    correct, hit = [], []
    for rule in rules:
        overlap = OVERLAPS[rule.criterion](claims.boxes[claim], pairs.truth[truth])
        passes = overlap > rule.threshold
        correct.append(_any(passes, claim, claims.pair.size))
        hit.append(_any(passes, truth, pairs.truth_pair.size))
    scored = np.flatnonzero(pairs.scored)
    return BoxCounts(
        annotated=_by_patient(pairs, pairs.truth_pair),
        heatmaps=_by_patient(pairs, scored),
        detections=_by_patient(pairs, claims.pair),
        hit=np.stack([_by_patient(pairs, pairs.truth_pair[each]) for each in hit], axis=1),
        false_positives=np.stack([_by_patient(pairs, claims.pair[~e]) for e in correct], axis=1),
    )


def mean_counts(draws: Sequence[BoxCounts]) -> BoxCounts:
    """Counts averaged over the draws of a random control."""
    return BoxCounts(
        **{
            field.name: np.mean([getattr(draw, field.name) for draw in draws], axis=0)
            for field in fields(BoxCounts)
        }
    )


def accuracy(
    counts: BoxCounts, weights: Float[np.ndarray, "patient resample"]
) -> Float[np.ndarray, "rule column resample"]:
    """Acc of every finding and, last, their mean, with patients counted `weights` times.

    A finding whose patients all have weight 0 gets 0.
    """
    annotated = counts.annotated.T @ weights  # finding resample
    hit = np.tensordot(counts.hit, weights, axes=(0, 0))  # rule finding resample
    return _with_mean(hit / np.maximum(annotated, 1.0))


def localization_report(
    pairs: ScoredPairs, counts: BoxCounts, rules: Sequence[MatchRule], left_out: int = 0
) -> LocalizationReport:
    """Rates and the counts behind them; intervals are still unknown (NaN)."""
    annotated, heatmaps, detections = (
        _with_sum(each.sum(axis=0))
        for each in (counts.annotated, counts.heatmaps, counts.detections)
    )
    false_positives = counts.false_positives.sum(axis=0)  # rule finding
    divisor = pairs.truth_pair.size
    estimate = accuracy(counts, np.ones((pairs.patients, 1)))[:, :, 0]
    per_heatmap = np.full_like(false_positives, np.nan)
    np.divide(false_positives, heatmaps[:-1], out=per_heatmap, where=heatmaps[:-1] > 0)
    return LocalizationReport(
        population=pairs.population,
        images=len(pairs.image_ids),
        patients=pairs.patients,
        left_out=left_out,
        divisor=divisor,
        rules=tuple(rules),
        findings=(*pairs.findings, "mean"),
        annotated=annotated,
        heatmaps=heatmaps,
        detections=detections,
        hit=_with_sum(counts.hit.sum(axis=0)),
        false_positives=_with_sum(false_positives),
        accuracy=estimate,
        accuracy_low=np.full_like(estimate, np.nan),
        accuracy_high=np.full_like(estimate, np.nan),
        afp=_with_mean((false_positives / divisor)[:, :, None])[:, :, 0],
        false_positives_per_heatmap=_with_mean(per_heatmap[:, :, None])[:, :, 0],
    )


def _any(
    passes: Bool[np.ndarray, " match"], index: Int[np.ndarray, " match"], size: int
) -> Bool[np.ndarray, " n"]:
    """Which of `size` entries have at least one match that passes."""
    found = np.zeros(size, dtype=bool)
    found[index[passes]] = True
    return found


def _by_patient(
    pairs: ScoredPairs, pair: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "patient finding"]:
    """How many of these pairs each patient has, by finding."""
    image, finding = np.divmod(pair, len(pairs.findings))
    cell = pairs.patient[image] * len(pairs.findings) + finding
    shape = (pairs.patients, len(pairs.findings))
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(float)


def _with_mean(
    rates: Float[np.ndarray, "rule finding resample"],
) -> Float[np.ndarray, "rule column resample"]:
    return np.concatenate([rates, rates.mean(axis=1, keepdims=True)], axis=1)


def _with_sum(counts: Float[np.ndarray, "*rule finding"]) -> Float[np.ndarray, "*rule column"]:
    return np.concatenate([counts, counts.sum(axis=-1, keepdims=True)], axis=-1)
