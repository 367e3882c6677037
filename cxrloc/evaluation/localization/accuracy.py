"""Localization accuracy and average false positives by the rule of Wang et al. 2017.

Source: Wang et al. 2017, section 4. The module `hits` defines when a box is correct.

    Acc(finding) = annotated boxes hit by at least one correct box / annotated boxes
    AFP(finding) = boxes of the finding that are not correct / annotated boxes of all findings

`Departs:` from the text's 983 images and 1,600 boxes: its own tables divide by the published 984
boxes. Here, AFP is also given per scored heatmap, which the tables of the paper do not print.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from cxrloc.evaluation.localization.hits import MatchRule, find_hits
from cxrloc.evaluation.localization.measure import Kind, Metric, measure, ratio
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, sums_by_patient
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling, resample_group

PUBLISHED_RULES = (
    *(MatchRule("iobb", threshold) for threshold in (0.1, 0.25, 0.5, 0.75, 0.9)),
    *(MatchRule("iou", threshold) for threshold in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
)
"""Wang et al. 2017, tables 4 and 7."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxCounts:
    """Counts by patient, from which a bootstrap over patients needs one matrix product.

    Counts of a random control are means over its draws, so they need not be whole.

    Attributes:
        annotated: annotated boxes.
        heatmaps: scored (image, finding) pairs.
        detections: detected boxes on scored pairs.
        hit: annotated boxes hit by at least one correct box.
        false_positives: detected boxes that are not correct, except those in ignored regions.
    """

    annotated: Float[np.ndarray, "patient finding"]
    heatmaps: Float[np.ndarray, "patient finding"]
    detections: Float[np.ndarray, "patient finding"]
    hit: Float[np.ndarray, "patient rule finding"]
    false_positives: Float[np.ndarray, "patient rule finding"]


def count_boxes(pairs: ScoredPairs, claims: PlacedBoxes, rules: Sequence[MatchRule]) -> BoxCounts:
    """Hits and false positives of boxes on scored pairs, for each rule."""
    found = find_hits(pairs, claims, rules)
    hit = [sums_by_patient(pairs, pairs.truth_pair[each]) for each in found.hit]
    false = [sums_by_patient(pairs, claims.pair[each]) for each in found.false]
    return BoxCounts(
        annotated=sums_by_patient(pairs, pairs.truth_pair),
        heatmaps=sums_by_patient(pairs, np.flatnonzero(pairs.scored)),
        detections=sums_by_patient(pairs, claims.pair),
        hit=np.stack(hit, axis=1),
        false_positives=np.stack(false, axis=1),
    )


def mean_counts(draws: Sequence[BoxCounts]) -> BoxCounts:
    """Counts averaged over the draws of a random control."""
    return BoxCounts(
        **{
            field.name: np.mean([getattr(draw, field.name) for draw in draws], axis=0)
            for field in fields(BoxCounts)
        }
    )


def accuracy_metric(
    pairs: ScoredPairs,
    counts: BoxCounts,
    rules: Sequence[MatchRule],
    subject: str = "",
    group: str = "all",
) -> Metric:
    """`accuracy`, one kind per rule: annotated boxes hit / annotated boxes.

    Accuracy always divides by all annotated boxes, whatever the population: if a pair has no
    detected box, its annotated boxes count as missed.
    """
    return Metric(
        kinds=_kinds("accuracy", rules),
        values=ratio(counts.hit, counts.annotated),
        divisor=counts.annotated,
        divided_by="annotated boxes",
        findings=pairs.findings,
        numerator=counts.hit,
        subject=subject,
        group=group,
    )


def false_positive_metrics(
    pairs: ScoredPairs,
    counts: BoxCounts,
    rules: Sequence[MatchRule],
    subject: str = "",
    group: str = "all",
) -> list[Metric]:
    """`afp` and `false_positives_per_heatmap` by each rule, and `boxes_per_heatmap`.

    The paper's AFP is the number of false positives of one finding divided by the annotated boxes
    of *all* findings (its tables divide by 984). The other two metrics divide by the finding's own
    scored heatmaps. The report page counts them anew for each position of its sliders:
    `report_page/scripts/scoring.js`.
    """
    boxes = counts.annotated.sum(axis=1, keepdims=True)
    parts = {
        "afp": (counts.false_positives, np.tile(boxes, len(pairs.findings))),
        "false_positives_per_heatmap": (counts.false_positives, counts.heatmaps),
        "boxes_per_heatmap": (counts.detections[:, None], counts.heatmaps),
    }
    words = {"afp": "annotated boxes of all findings"}
    return [
        Metric(
            kinds=(Kind(name),) if name == "boxes_per_heatmap" else _kinds(name, rules),
            values=ratio(top, bottom),
            divisor=bottom,
            divided_by=words.get(name, "scored heatmaps"),
            findings=pairs.findings,
            numerator=top,
            subject=subject,
            group=group,
            has_interval=False,
        )
        for name, (top, bottom) in parts.items()
    ]


def measure_counts(
    pairs: ScoredPairs, counts: BoxCounts, rules: Sequence[MatchRule]
) -> list[Measurement]:
    """Accuracy and false positives of one set of boxes, without intervals."""
    everyone = np.ones(pairs.patients, dtype=bool)
    draws = resample_group(counts.annotated > 0, everyone, Resampling(resamples=0))
    accuracy = accuracy_metric(pairs, counts, rules)
    return measure([accuracy, *false_positive_metrics(pairs, counts, rules)], draws)


def _kinds(metric: str, rules: Sequence[MatchRule]) -> tuple[Kind, ...]:
    return tuple(
        Kind(metric, rule.threshold, f"{rule.criterion} > {rule.threshold:g}") for rule in rules
    )
