"""Metrics of boxes from any tool: hits by four divisors, FROC, detection average precision."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.evaluation.localization.box_selection import DELTAS
from cxrloc.evaluation.localization.detection_ap import (
    COCO_THRESHOLDS,
    detection_average_precision,
    match_detections,
)
from cxrloc.evaluation.localization.froc import RATES, froc_events, froc_sensitivity
from cxrloc.evaluation.localization.hits import (
    MatchRule,
    centres_contained,
    find_hits,
    groups_all_hit,
)
from cxrloc.evaluation.localization.measure import ALL_FINDINGS, Kind, Metric, ratio
from cxrloc.evaluation.localization.rodeo import rodeo_metrics
from cxrloc.evaluation.localization.scored_pairs import (
    PlacedBoxes,
    ScoredPairs,
    place_of,
    sums_by_patient,
)
from cxrloc.evaluation.localization.threshold_choice import best_score

IOU = 0.5
"""The IoU at which detections match for FROC and for the operating point."""

NO_SCORES = "not defined: a detection has no score, so they cannot be put in order"

_BOXES, _IMAGES = "annotated boxes", "images with an annotated box"
_DIVISORS = {
    "iobb": "detected",
    "intersection_over_annotated": "annotated",
    "intersection_over_smaller": "smaller",
    "iou": "union",
}


def box_metrics(pairs: ScoredPairs, claims: PlacedBoxes) -> list[Metric]:
    """Every metric of boxes for which no threshold has to be chosen.

    - `box_accuracy_over_*`: annotated boxes hit / annotated boxes, for each divisor of the overlap;
    - `centre_containment`: annotated boxes whose centre a detected box contains / annotated boxes;
    - `image_accuracy`: pairs (and, for "all findings", images) with all annotated boxes hit;
    - `froc_sensitivity` at false positives per image, and `froc_score`, their mean;
    - `detection_average_precision` at IoU thresholds, and `detection_average_precision_coco`;
    - `rodeo` and its parts, if there are several findings.

    FROC and average precision order the boxes by score, so they are not defined if a box has no
    score.
    """
    return [
        *_hit_metrics(pairs, claims),
        _centre_metric(pairs, claims),
        *_image_metrics(pairs, claims),
        _froc_metric(pairs, claims),
        _average_precision_metric(pairs, claims),
        *rodeo_metrics(pairs, claims),
    ]


def operating_metrics(
    pairs: ScoredPairs, claims: PlacedBoxes, tuning: Bool[np.ndarray, " patient"], chosen_on: str
) -> list[Metric]:
    """`detection_sensitivity`, `_precision` and `_f1` above each finding's best score on tuning.

    Detections match at IoU 0.5, one to one. The best score is the threshold with the highest F1.
    The list is empty for detections without scores.
    """
    if claims.score is None:
        return []
    matches = match_detections(pairs, claims, [IOU])
    patient, finding = place_of(pairs, matches.pair)
    matched = matches.matched[0]
    boxes = sums_by_patient(pairs, pairs.truth_pair)
    threshold = np.array(
        [
            best_score(matched[is_tuning], matches.score[is_tuning], boxes[tuning, column].sum())
            for column in range(len(pairs.findings))
            for is_tuning in [tuning[patient] & (finding == column) & ~matches.left_out[0]]
        ]
    )
    called = (matches.score >= threshold[finding]) & ~matches.left_out[0]
    calls = sums_by_patient(pairs, matches.pair[called])
    true = sums_by_patient(pairs, matches.pair[called & matched])
    kinds = {
        "sensitivity": (true, boxes, _BOXES),
        "precision": (true, calls, "detections"),
        "f1": (2 * true, calls + boxes, "detections and annotated boxes"),
    }
    return [
        Metric(
            (Kind(f"detection_{name}", IOU, f"iou >= {IOU:g}"),),
            ratio(top, bottom),
            bottom,
            words,
            pairs.findings,
            threshold,
            chosen_on,
        )
        for name, (top, bottom, words) in kinds.items()
    ]


def _hit_metrics(pairs: ScoredPairs, claims: PlacedBoxes) -> Iterator[Metric]:
    boxes = sums_by_patient(pairs, pairs.truth_pair)
    rules = [MatchRule(criterion, at) for criterion in _DIVISORS for at in DELTAS]
    for rule, hit in zip(rules, find_hits(pairs, claims, rules).hit, strict=True):
        hits = sums_by_patient(pairs, pairs.truth_pair[hit])
        name = f"box_accuracy_over_{_DIVISORS[rule.criterion]}"
        kind = Kind(name, rule.threshold, f"{rule.criterion} > {rule.threshold:g}")
        yield Metric((kind,), ratio(hits, boxes), boxes, _BOXES, pairs.findings)


def _centre_metric(pairs: ScoredPairs, claims: PlacedBoxes) -> Metric:
    boxes = sums_by_patient(pairs, pairs.truth_pair)
    contained = sums_by_patient(pairs, pairs.truth_pair[centres_contained(pairs, claims)])
    kinds = (Kind("centre_containment", None, "centre in a detected box"),)
    return Metric(kinds, ratio(contained, boxes), boxes, _BOXES, pairs.findings)


def _image_metrics(pairs: ScoredPairs, claims: PlacedBoxes) -> Iterator[Metric]:
    rules = [MatchRule("iou", at) for at in DELTAS]
    for rule, hit in zip(rules, find_hits(pairs, claims, rules).hit, strict=True):
        kinds = (Kind("image_accuracy", rule.threshold, f"iou > {rule.threshold:g}"),)
        pair, all_hit = groups_all_hit(hit, pairs.truth_pair)
        top, bottom = sums_by_patient(pairs, pair[all_hit]), sums_by_patient(pairs, pair)
        yield Metric(kinds, ratio(top, bottom), bottom, _IMAGES, pairs.findings)
        image, all_hit = groups_all_hit(hit, pairs.truth_pair // len(pairs.findings))
        top, bottom = (
            np.bincount(pairs.patient[each], minlength=pairs.patients)[:, None].astype(float)
            for each in (image[all_hit], image)
        )
        yield Metric(kinds, ratio(top, bottom), bottom, _IMAGES, ALL_FINDINGS)


def _froc_metric(pairs: ScoredPairs, claims: PlacedBoxes) -> Metric:
    match = f"iou > {IOU:g}"
    boxes = sums_by_patient(pairs, pairs.truth_pair)
    kinds = (
        *(Kind("froc_sensitivity", rate, match) for rate in RATES),
        Kind("froc_score", None, match),
    )
    if claims.score is None:
        return Metric(kinds, None, boxes, _BOXES, pairs.findings, note=NO_SCORES)
    events = froc_events(pairs, claims, MatchRule("iou", IOU))

    def values(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        curves = np.stack([froc_sensitivity(each, weights) for each in events], axis=1)
        return np.concatenate([*curves, curves.mean(axis=0)])  # rate, finding, resample

    return Metric(kinds, values, boxes, _BOXES, pairs.findings)


def _average_precision_metric(pairs: ScoredPairs, claims: PlacedBoxes) -> Metric:
    name = "detection_average_precision"
    single = (Kind(name, at, f"iou >= {at:g}") for at in DELTAS)
    kinds = (*single, Kind(f"{name}_coco", None, "iou >= 0.5, 0.55, ... 0.95"))
    boxes = sums_by_patient(pairs, pairs.truth_pair)
    if claims.score is None:
        return Metric(kinds, None, boxes, _BOXES, pairs.findings, note=NO_SCORES)
    thresholds = tuple(sorted({*DELTAS, *COCO_THRESHOLDS}))
    in_coco = [thresholds.index(each) for each in COCO_THRESHOLDS]
    alone = [thresholds.index(each) for each in DELTAS]
    matches = match_detections(pairs, claims, thresholds)
    patient, finding = place_of(pairs, matches.pair)
    columns = [np.flatnonzero(finding == column) for column in range(len(pairs.findings))]

    def values(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        precision = np.stack(
            [
                detection_average_precision(
                    matches.matched[:, chosen],
                    patient[chosen],
                    boxes[:, column],
                    weights,
                    matches.left_out[:, chosen],
                )
                for column, chosen in enumerate(columns)
            ],
            axis=1,
        )  # threshold finding resample
        return np.concatenate([*precision[alone], precision[in_coco].mean(axis=0)])

    return Metric(kinds, values, boxes, _BOXES, pairs.findings)
