"""Which annotated boxes are hit, and the images on which all are.

Two images with two annotated boxes each; a cross is a box that some detection hits:

    image 1:  [x] [x]     all hit
    image 2:  [x] [ ]     not all

Accuracy over boxes is 3/4, localization accuracy per image 1/2.
"""

import numpy as np
from jaxtyping import Bool, Int

from cxrloc.evaluation.localization.box_accuracy import OVERLAPS
from cxrloc.evaluation.localization.overlap import equal_keys
from cxrloc.evaluation.localization.scored_pairs import Claims, ScoredPairs
from cxrloc.types import MatchRule


def hit_annotations(
    pairs: ScoredPairs, claims: Claims, rule: MatchRule
) -> Bool[np.ndarray, " truth"]:
    """Which annotated boxes a detection of their pair meets above (strictly) the threshold.

    The share of them is accuracy by `rule.criterion`, which `OVERLAPS` names by its divisor: the
    detected box (Wang et al. 2017's IoBB), the annotated box, the smaller of both, or the union.
    """
    claim, truth = equal_keys(claims.pair, pairs.truth_pair)
    overlap = OVERLAPS[rule.criterion](claims.boxes[claim], pairs.truth[truth])
    hit = np.zeros(pairs.truth_pair.size, dtype=bool)
    hit[truth[overlap > rule.threshold]] = True
    return hit


def groups_all_hit(
    hit: Bool[np.ndarray, " truth"], group: Int[np.ndarray, " truth"]
) -> tuple[Int[np.ndarray, " group"], Bool[np.ndarray, " group"]]:
    """The groups of annotated boxes, by ascending number, and whether all boxes of each are hit.

    With a pair's number as group this is localization accuracy per image of one finding, with the
    image's number that of all findings at once.

    >>> groups_all_hit(np.array([True, True, True, False]), np.array([1, 1, 2, 2]))
    (array([1, 2]), array([ True, False]))
    """
    names, member = np.unique(group, return_inverse=True)
    all_hit = np.ones(names.size, dtype=bool)
    np.logical_and.at(all_hit, member, hit)
    return names, all_hit
