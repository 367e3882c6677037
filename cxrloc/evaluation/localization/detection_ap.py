"""Average precision of detections, with the same values as COCO's evaluation.

Detections of one finding by falling score (x matches an annotated box, - matches none), for two
annotated boxes:

    x  -  x        precision 1, 1/2, 2/3; recall 1/2, 1/2, 1

The precision at a recall is the highest precision at this or any larger recall: 1 up to recall 1/2,
then 2/3. Over the 101 recalls 0, 0.01, ... 1: (51 x 1 + 50 x 2/3) / 101 = 0.835.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from cxrloc.evaluation.localization.hits import share_in_regions
from cxrloc.evaluation.localization.overlap import iou
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""IoU thresholds whose mean is COCO's AP."""

MOST_DETECTIONS = 100
"""Detections kept per image and finding, those with the highest scores (COCO's maxDets)."""

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, eq=False)
class MatchedDetections:
    """Detections of all findings by falling score, and whether each matched an annotated box.

    Attributes:
        pair: each detection's pair.
        score: its score.
        matched: whether the detection has a box of its own, at each IoU threshold.
        left_out: the detection is not matched and lies in an ignored region, so that it counts
            neither as right nor as wrong.
    """

    pair: Int[np.ndarray, " detection"]
    score: Float[np.ndarray, " detection"]
    matched: Bool[np.ndarray, "threshold detection"]
    left_out: Bool[np.ndarray, "threshold detection"]


def match_detections(
    pairs: ScoredPairs, claims: PlacedBoxes, thresholds: Sequence[float]
) -> MatchedDetections:
    """Detections, matched one to one to annotated boxes by falling score within each pair.

    Lin et al. 2014 (COCO), as `pycocotools.cocoeval` does: each detection takes the box with the
    highest IoU among the boxes that are not taken yet, if this IoU is at least the threshold. Of
    boxes with equal IoU, the last is taken. Of detections with equal scores, the one listed first
    comes first.
    """
    assert claims.score is not None
    order = np.lexsort((-claims.score, claims.pair))
    pair, score, boxes = claims.pair[order], claims.score[order], claims.boxes[order]
    first = np.searchsorted(pair, pair)
    kept = np.arange(pair.size) - first < MOST_DETECTIONS
    pair, score, boxes = pair[kept], score[kept], boxes[kept]
    matched = np.zeros((len(thresholds), pair.size), dtype=bool)
    # The annotated boxes of a pair stay in the order of the file, which decides between equals.
    by_pair = np.argsort(pairs.truth_pair, kind="stable")
    truth, truth_pair = pairs.truth[by_pair], pairs.truth_pair[by_pair]
    for number in np.intersect1d(pair, truth_pair):
        start, stop = np.searchsorted(pair, [number, number + 1])
        truth_of_pair = slice(*np.searchsorted(truth_pair, [number, number + 1]))
        overlap = iou(boxes[start:stop, None], truth[truth_of_pair])
        for row, threshold in enumerate(thresholds):
            matched[row, start:stop] = _take_boxes(overlap, threshold)
    inside = share_in_regions(pairs, PlacedBoxes(boxes, pair))
    # COCO's rule is "at least the threshold", but a pair without an ignored region has share 0.
    left_out = ~matched & (inside > 0) & (inside >= np.array(thresholds)[:, None])
    by_score = np.argsort(-score, kind="stable")
    return MatchedDetections(
        pair[by_score], score[by_score], matched[:, by_score], left_out[:, by_score]
    )


def detection_average_precision(
    matched: Bool[np.ndarray, "threshold detection"],
    patient: Int[np.ndarray, " detection"],
    boxes: Float[np.ndarray, " patient"],
    weights: Float[np.ndarray, "patient resample"],
    left_out: Bool[np.ndarray, "threshold detection"] | None = None,
) -> Float[np.ndarray, "threshold resample"]:
    """AP of one finding at each IoU threshold, with patients counted `weights` times.

    This is precision over recall, interpolated at COCO's 101 recalls; the precision is 0 at recalls
    that are not reached.
    Not the average precision of a classifier (`pr_average_precision` of `classify`).

    Args:
        matched: detections of the finding by falling score.
        patient: the patient of each detection.
        boxes: annotated boxes of each patient.
        weights: how often each patient counts; 1 for every patient gives the AP of the set itself.
        left_out: detections that are neither right nor wrong; None for none.

    The example of this module:

    >>> matched = np.array([[True, False, True]])
    >>> detection_average_precision(
    ...     matched, np.zeros(3, dtype=int), np.array([2.0]), np.ones((1, 1))
    ... ).round(3)
    array([[0.835]])
    """
    detection_weights = weights[patient]
    everything, annotated = np.cumsum(detection_weights, axis=0), np.maximum(boxes @ weights, 1.0)
    rows = []
    for row, each in enumerate(matched):
        called = everything
        if left_out is not None and left_out[row].any():
            called = np.cumsum(detection_weights * ~left_out[row][:, None], axis=0)
        rows.append(_interpolated(detection_weights[each], called[each], annotated))
    return np.array(rows).reshape(len(matched), weights.shape[1])


def _interpolated(
    true: Float[np.ndarray, "match resample"],
    called: Float[np.ndarray, "match resample"],
    annotated: Float[np.ndarray, " resample"],
) -> Float[np.ndarray, " resample"]:
    """Mean precision over the recalls, from matched detections only: others never raise it."""
    found = np.cumsum(true, axis=0)
    # pycocotools adds the same tiny number to the divisor.
    precision = found / (called + np.spacing(1.0))
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    # The last row is the precision at recalls that are not reached.
    best = np.concatenate([best, np.zeros((1, annotated.size))])
    recall = found / annotated
    reached = np.array([np.searchsorted(column, _RECALLS) for column in recall.T])
    return np.asarray(np.take_along_axis(best, reached.T, axis=0).mean(axis=0))


def _take_boxes(
    overlap: Float[np.ndarray, "detection box"], threshold: float
) -> Bool[np.ndarray, " detection"]:
    free = np.ones(overlap.shape[1], dtype=bool)
    matched = np.zeros(overlap.shape[0], dtype=bool)
    for detection, row in enumerate(overlap):
        candidates = np.where(free, row, -1.0)[::-1]  # of equal IoUs, the last box
        best = row.size - 1 - int(candidates.argmax())
        if free[best] and row[best] >= threshold:
            free[best] = False
            matched[detection] = True
    return matched
