"""Correct detected boxes and annotated boxes that are hit, by the rule of Wang et al. 2017.

Source: Wang et al. 2017, section 4. A box is correct when IoU > T(IoU), or IoBB > T(IoBB),
strictly, with an annotated box of its own image and finding. `exceeds` is the only function that
applies this rule; hits, false positives and FROC all call it.

Two images with two annotated boxes each; a cross is a box that some detection hits:

    image 1:  [x] [x]     all hit
    image 2:  [x] [ ]     not all

Accuracy over boxes is 3/4, localization accuracy per image 1/2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from cxrloc.evaluation.localization.overlap import OVERLAPS, equal_keys, iobb, iou
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs

MATCHES_AT_ONCE = 200_000
"""Pairs of a detected and an annotated box that are compared at once: about 50 MB."""


@dataclass(frozen=True, slots=True)
class MatchRule:
    """The rule for a correct detection: its overlap with the truth is strictly above a threshold.

    Attributes:
        criterion: "iobb" (intersection over the detected box), "iou", or another name of
            `OVERLAPS`.
        threshold: in [0, 1).
    """

    criterion: str
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Hits and false positives of boxes, by each of several rules.

    Attributes:
        correct: detected boxes that hit an annotated box of their pair.
        hit: annotated boxes that at least one detected box of their pair hits.
        false: detected boxes that are not correct and do not lie in an ignored region.
    """

    correct: Bool[np.ndarray, "rule claim"]
    hit: Bool[np.ndarray, "rule truth"]
    false: Bool[np.ndarray, "rule claim"]


def exceeds(overlap: Float[np.ndarray, "*match"], threshold: float) -> Bool[np.ndarray, "*match"]:
    """Whether each overlap is above the threshold, strictly (Wang et al. 2017, section 4).

    >>> exceeds(np.array([0.25, 0.26]), 0.25)
    array([False,  True])
    """
    return np.asarray(overlap > threshold)


def is_correct(
    rule: MatchRule, detections: Float[np.ndarray, "..."], annotations: Float[np.ndarray, "..."]
) -> Bool[np.ndarray, "..."]:
    """Whether each detected box hits the annotated box at the same array position, by one rule.

    The last axis of both arrays holds x_min, y_min, x_max, y_max; the others broadcast.
    """
    return exceeds(OVERLAPS[rule.criterion](detections, annotations), rule.threshold)


def matches(
    pairs: ScoredPairs, claims: PlacedBoxes
) -> Iterator[tuple[Int[np.ndarray, " match"], Int[np.ndarray, " match"]]]:
    """Indices of all combinations of a detected and an annotated box of its pair, in blocks.

    Without blocks, 20,000 detected and 2,000 annotated boxes on one image would take 6 GB.
    """
    return _in_blocks(claims.pair, pairs.truth_pair, pairs.scored.size)


def find_hits(pairs: ScoredPairs, claims: PlacedBoxes, rules: Sequence[MatchRule]) -> Hits:
    """Correct detections, hit annotations and false positives by each rule."""
    correct = np.zeros((len(rules), claims.pair.size), dtype=bool)
    hit = np.zeros((len(rules), pairs.truth_pair.size), dtype=bool)
    criteria = dict.fromkeys(rule.criterion for rule in rules)
    for claim, truth in matches(pairs, claims):
        boxes, annotated = claims.boxes[claim], pairs.truth[truth]
        overlap = {name: OVERLAPS[name](boxes, annotated) for name in criteria}
        for row, rule in enumerate(rules):
            passes = exceeds(overlap[rule.criterion], rule.threshold)
            correct[row, claim[passes]] = True
            hit[row, truth[passes]] = True
    inside = share_in_regions(pairs, claims)
    neither = np.array([exceeds(inside, rule.threshold) for rule in rules])
    return Hits(correct, hit, ~correct & ~neither)


def share_in_regions(pairs: ScoredPairs, claims: PlacedBoxes) -> Float[np.ndarray, " claim"]:
    """The largest share of each detected box that lies in one ignored region of its pair.

    Lin et al. 2014 (COCO): a detection that matches no annotation is left out if |D ∩ R| / |D|
    reaches the threshold. D is the detected box and R a region marked `iscrowd`.
    """
    share = np.zeros(claims.pair.size)
    for claim, region in _in_blocks(claims.pair, pairs.ignored_pair, pairs.scored.size):
        np.maximum.at(share, claim, iobb(claims.boxes[claim], pairs.ignored[region]))
    return share


def groups_all_hit(
    hit: Bool[np.ndarray, " truth"], group: Int[np.ndarray, " truth"]
) -> tuple[Int[np.ndarray, " group"], Bool[np.ndarray, " group"]]:
    """The groups of annotated boxes, by ascending number, and whether all boxes of each are hit.

    If the groups are pairs, this is localization accuracy per image of one finding. If the groups
    are images, it is that of all findings at once.

    >>> groups_all_hit(np.array([True, True, True, False]), np.array([1, 1, 2, 2]))
    (array([1, 2]), array([ True, False]))
    """
    names, member = np.unique(group, return_inverse=True)
    all_hit = np.ones(names.size, dtype=bool)
    np.logical_and.at(all_hit, member, hit)
    return names, all_hit


def best_overlaps(pairs: ScoredPairs, claims: PlacedBoxes) -> Float[np.ndarray, " truth"]:
    """The largest IoU of each annotated box with a detected box; 0 where there is none."""
    best = np.zeros(pairs.truth_pair.size)
    for claim, truth in matches(pairs, claims):
        np.maximum.at(best, truth, iou(claims.boxes[claim], pairs.truth[truth]))
    return best


def centres_contained(pairs: ScoredPairs, claims: PlacedBoxes) -> Bool[np.ndarray, " truth"]:
    """Whether the centre of each annotated box lies in a detected box of its pair.

    Boxes are half-open at their borders. The measure serves findings that are smaller than a cell
    of the map's grid, whose boxes no detected box can meet by IoU: a nodule's median area is .0046
    of the image, the area of a cell of a 16 x 16 grid is .0039.
    """
    inside = np.zeros(pairs.truth_pair.size, dtype=bool)
    for claim, truth in matches(pairs, claims):
        box, annotated = claims.boxes[claim], pairs.truth[truth]
        centre = (annotated[:, :2] + annotated[:, 2:]) / 2
        within = ((box[:, :2] <= centre) & (centre < box[:, 2:])).all(axis=1)
        inside[truth[within]] = True
    return inside


def _in_blocks(
    claim_pair: Int[np.ndarray, " claim"], other_pair: Int[np.ndarray, " other"], pairs: int
) -> Iterator[tuple[Int[np.ndarray, " match"], Int[np.ndarray, " match"]]]:
    """Indices of all combinations on the same pair, in blocks of limited size."""
    ends = np.cumsum(np.bincount(other_pair, minlength=pairs)[claim_pair])
    start = 0
    while start < claim_pair.size:
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + MATCHES_AT_ONCE, side="right"))
        stop = max(stop, start + 1)  # one detection with very many annotations goes alone
        claim, other = equal_keys(claim_pair[start:stop], other_pair)
        yield claim + start, other
        start = stop
