"""RoDeO: classification, place and shape of boxes after one assignment per image.

Meissen et al. 2023, "Robust detection outcome: a metric for pathology detection in medical images"
(MIDL). In each image, detected boxes of all findings are assigned one to one to annotated boxes.
Boxes that are left over count as 0 in each of three scores:

- localization: exp(-ln 2 x d^2), where d is the distance of the centres, along each axis in units
  of the annotated box's side (Eq. 2); a centre on the border of the box, d = 1/2, gives 0.84;
- shape: IoU of the two boxes when their centres are put on each other (Eq. 3);
- classification: Matthews correlation of the findings of assigned boxes, at least 0 (Eq. 4).

RoDeO is the harmonic mean of the three (Eq. 6). One image with one finding:

    annotated [0, 0, 2, 2]   detected [1, 0, 3, 2]   d = 1/2, so 2^(-1/4) = 0.84; shape 1
                             detected [5, 5, 7, 7]   not assigned: all scores are halved
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from cxrloc.evaluation.localization.hits import MATCHES_AT_ONCE, share_in_regions
from cxrloc.evaluation.localization.measure import ALL_FINDINGS, Kind, Metric
from cxrloc.evaluation.localization.overlap import iou
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, sums_by_patient

KINDS = tuple(
    Kind(name, None, "assigned one to one")
    for name in ("rodeo", "rodeo_localization", "rodeo_shape", "rodeo_classification")
)

GIVEN_FINDINGS = "boxes are of annotated findings alone, so their findings are known beforehand"


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """The assignment of all images.

    Attributes:
        claim: detected boxes with an annotated box.
        truth: their annotated boxes.
        surplus: which detected boxes are left over; those in an ignored region do not count.
        missed: which annotated boxes are left over.
    """

    claim: Int[np.ndarray, " match"]
    truth: Int[np.ndarray, " match"]
    surplus: Bool[np.ndarray, " claim"]
    missed: Bool[np.ndarray, " annotated"]


def assign_boxes(pairs: ScoredPairs, claims: PlacedBoxes) -> Assigned:
    """The assignment of each image with the highest sum of generalised IoU and equal findings.

    An equal finding counts as much as the Matthews correlation between the findings detected and
    annotated in the images, at least 0 (Meissen et al. 2023, section 3, as in the authors'
    program). So if detected findings say nothing, place alone decides.
    """
    count = len(pairs.findings)
    claim_image, claim_finding = np.divmod(claims.pair, count)
    truth_image, truth_finding = np.divmod(pairs.truth_pair, count)
    weight = max(0.0, _agreement(pairs, claims))
    claim_order = np.argsort(claim_image, kind="stable")
    truth_order = np.argsort(truth_image, kind="stable")
    matches = []
    for image in np.intersect1d(claim_image, truth_image):
        ends = (image, image + 1)
        claims_of_image = claim_order[
            slice(*np.searchsorted(claim_image, ends, sorter=claim_order))
        ]
        annotated = truth_order[slice(*np.searchsorted(truth_image, ends, sorter=truth_order))]
        gain = np.empty((claims_of_image.size, annotated.size))
        for start in range(
            0, claims_of_image.size, at_once := max(1, MATCHES_AT_ONCE // annotated.size)
        ):
            some = claims_of_image[start : start + at_once]
            same = claim_finding[some, None] == truth_finding[annotated]
            place = generalised_iou(claims.boxes[some, None], pairs.truth[annotated])
            gain[start : start + at_once] = place + weight * same
        row, column = linear_sum_assignment(gain, maximize=True)
        matches.append(np.stack([claims_of_image[row], annotated[column]]))
    claim, truth = np.concatenate([np.empty((2, 0), dtype=int), *matches], axis=1)
    surplus = share_in_regions(pairs, claims) <= 0.5
    surplus[claim] = False
    missed = np.ones(len(pairs.truth), dtype=bool)
    missed[truth] = False
    return Assigned(claim, truth, surplus, missed)


def _agreement(pairs: ScoredPairs, claims: PlacedBoxes) -> float:
    """Matthews correlation of the pairs with a detected and with an annotated box; 0 if undefined.

    It is the correlation coefficient of the two indicators.
    """
    present = np.zeros((2, pairs.scored.size))
    present[0, claims.pair], present[1, pairs.truth_pair] = 1.0, 1.0
    detected, annotated = present - present.mean(axis=1, keepdims=True)
    scale = np.sqrt((detected**2).sum() * (annotated**2).sum())
    return float((detected * annotated).sum() / scale) if scale else 0.0


def generalised_iou(
    boxes: Float[np.ndarray, "*match 4"], others: Float[np.ndarray, "*other 4"]
) -> Float[np.ndarray, "..."]:
    """IoU minus the share of the smallest box around both that neither covers.

    Rezatofighi et al. 2019, algorithm 1. It is in (-1, 1], and falls with the distance of boxes
    that do not touch.

    >>> generalised_iou(np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[3.0, 0.0, 4.0, 1.0]]))
    array([-0.5])
    """
    low = np.minimum(boxes[..., :2], others[..., :2])
    around = np.prod(np.maximum(boxes[..., 2:], others[..., 2:]) - low, axis=-1)
    overlap = iou(boxes, others)
    areas = np.prod(boxes[..., 2:] - boxes[..., :2], -1) + np.prod(
        others[..., 2:] - others[..., :2], -1
    )
    union = areas / (1 + overlap)  # IoU = (areas - union) / union
    return np.asarray(overlap - (around - union) / around)


def place_scores(
    boxes: Float[np.ndarray, "match 4"], truth: Float[np.ndarray, "match 4"]
) -> Float[np.ndarray, " match"]:
    """2^(-d^2) for the distance d of the centres, in units of the annotated boxes' sides."""
    sides = truth[:, 2:] - truth[:, :2]
    apart = (boxes[:, :2] + boxes[:, 2:] - truth[:, :2] - truth[:, 2:]) / 2 / sides
    return np.asarray(np.exp2(-(apart**2).sum(axis=1)))


def shape_scores(
    boxes: Float[np.ndarray, "match 4"], truth: Float[np.ndarray, "match 4"]
) -> Float[np.ndarray, " match"]:
    """IoU of boxes that are moved so that their centres are the same."""
    sides, others = boxes[:, 2:] - boxes[:, :2], truth[:, 2:] - truth[:, :2]
    intersection = np.minimum(sides, others).prod(axis=1)
    return np.asarray(intersection / (sides.prod(axis=1) + others.prod(axis=1) - intersection))


def rodeo_metrics(pairs: ScoredPairs, claims: PlacedBoxes) -> list[Metric]:
    """`rodeo` and its three parts, for each finding and for all findings together.

    Assigned boxes belong to the finding that is annotated, boxes left over to their own finding.
    The assignment is made once, and not anew in each resample.
    """
    if len(pairs.findings) < 2:
        return []  # one finding has no correlation
    note = GIVEN_FINDINGS if pairs.population == "annotated" else ""
    assigned = assign_boxes(pairs, claims)
    boxes, truth = claims.boxes[assigned.claim], pairs.truth[assigned.truth]
    pair = pairs.truth_pair[assigned.truth]
    same = (claims.pair[assigned.claim] == pair).astype(float)
    parts = (np.ones(len(pair)), place_scores(boxes, truth), shape_scores(boxes, truth), same)
    sums = sums_by_patient(pairs, pair, np.stack(parts, axis=1))  # patient finding part
    left_over = sums_by_patient(pairs, claims.pair[assigned.surplus])
    left_over += sums_by_patient(pairs, pairs.truth_pair[assigned.missed])
    everything = (sums.sum(axis=1, keepdims=True), left_over.sum(axis=1, keepdims=True))
    count = len(pairs.findings)
    metrics = (
        _metric(sums, left_over, pairs.findings, count),
        _metric(*everything, ALL_FINDINGS, count),
    )
    return [replace(metric, note=note) for metric in metrics]


def _metric(
    sums: Float[np.ndarray, "patient finding part"],
    left_over: Float[np.ndarray, "patient finding"],
    names: tuple[str, ...],
    findings: int,
) -> Metric:
    """A metric from sums over assigned boxes: their number, place, shape and equal findings."""

    def values(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        matched, place, shape, same = np.einsum("pfk,pr->kfr", sums, weights)
        everything = matched + np.einsum("pf,pr->fr", left_over, weights)
        # Every assigned box has one detected and one annotated finding of C. Then the Matthews
        # correlation of the indicators of all findings is (C a - 1) / (C - 1), a = same / matched.
        agreeing = (findings * same - matched) / (findings - 1)
        three = _shares(np.stack([place, shape, np.maximum(agreeing, 0.0)]), everything)
        a, b, c = three
        return np.concatenate([_shares(3 * a * b * c, a * b + b * c + c * a), *three])

    divisor = sums[:, :, 0] + left_over
    return Metric(KINDS, values, divisor, "assigned, surplus and missed boxes", names)


def _shares(
    top: Float[np.ndarray, "*row finding resample"], bottom: Float[np.ndarray, "finding resample"]
) -> Float[np.ndarray, "*row finding resample"]:
    """The quotients; 0 where nothing is divided."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
