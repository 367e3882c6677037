"""FROC: sensitivity for boxes against false positives per image, as the score threshold falls.

Two images have one annotated box each. Their detections by falling score (x hits the annotated box,
- hits none):

    score            .9  .8  .7  .6
                      x   -   x   -
    sensitivity      1/2 1/2  1   1
    false positives   0   1   1   2   over 2 images: 0, 1/2, 1/2, 1

So the sensitivity at 1/4 false positives per image is 1/2, and from 1/2 on it is 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from cxrloc.evaluation.localization.hits import (
    MatchRule,
    exceeds,
    is_correct,
    matches,
    share_in_regions,
)
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, sums_by_patient

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Allowed false positives per image. The mean sensitivity at these rates is the FROC score (LUNA16,
Setio et al. 2017)."""


@dataclass(frozen=True, slots=True, eq=False)
class FrocEvents:
    """Hits and false positives of one finding in the order in which a falling threshold adds them.

    Attributes:
        patient: the patient of each event.
        found: an annotated box is hit for the first time; otherwise a false positive.
        last_of_score: no later event has the same score.
        boxes: annotated boxes by patient.
        images: scored images by patient.
    """

    patient: Int[np.ndarray, " event"]
    found: Bool[np.ndarray, " event"]
    last_of_score: Bool[np.ndarray, " event"]
    boxes: Float[np.ndarray, " patient"]
    images: Float[np.ndarray, " patient"]


def froc_events(pairs: ScoredPairs, claims: PlacedBoxes, rule: MatchRule) -> list[FrocEvents]:
    """The events of every finding, from boxes that all have scores.

    A detection that hits an annotated box of its pair is not a false positive, even if the box was
    hit before. A detection in an ignored region is not a false positive either. Images are those of
    the population: with "annotated" they all carry the finding, with "all" they are every image.
    """
    assert claims.score is not None
    findings = len(pairs.findings)
    best = np.full(pairs.truth_pair.size, -np.inf)
    false = ~exceeds(share_in_regions(pairs, claims), rule.threshold)
    for claim, truth in matches(pairs, claims):
        hits = is_correct(rule, claims.boxes[claim], pairs.truth[truth])
        np.maximum.at(best, truth[hits], claims.score[claim[hits]])
        false[claim[hits]] = False
    found = np.flatnonzero(best > -np.inf)
    score = np.concatenate([best[found], claims.score[false]])
    pair = np.concatenate([pairs.truth_pair[found], claims.pair[false]])
    is_found = np.arange(pair.size) < found.size
    boxes = sums_by_patient(pairs, pairs.truth_pair)
    images = sums_by_patient(pairs, np.flatnonzero(pairs.scored))
    events = []
    for finding in range(findings):
        indices = np.flatnonzero(pair % findings == finding)
        indices = indices[np.argsort(-score[indices], kind="stable")]
        events.append(
            FrocEvents(
                patient=pairs.patient[pair[indices] // findings],
                found=is_found[indices],
                last_of_score=np.diff(score[indices], append=-np.inf) != 0,
                boxes=boxes[:, finding],
                images=images[:, finding],
            )
        )
    return events


def froc_sensitivity(
    events: FrocEvents,
    weights: Float[np.ndarray, "patient resample"],
    rates: tuple[float, ...] = RATES,
) -> Float[np.ndarray, "rate resample"]:
    """The highest sensitivity at each allowed rate of false positives per image.

    `weights` says how often each patient counts; 1 for every patient gives the values of the set
    itself. The result is 0 where no box is annotated. `Departs:` from LUNA16's program, which
    interpolates between points of the curve: here each value is that of an existing threshold.

    The example of this module:

    >>> events = FrocEvents(
    ...     patient=np.array([0, 1, 1, 0]),
    ...     found=np.array([True, False, True, False]),
    ...     last_of_score=np.ones(4, dtype=bool),
    ...     boxes=np.ones(2),
    ...     images=np.ones(2),
    ... )
    >>> froc_sensitivity(events, np.ones((2, 1)), rates=(0.25, 0.5))
    array([[0.5],
           [1. ]])
    """
    event_weights = weights[events.patient]
    found = np.cumsum(event_weights * events.found[:, None], axis=0)[events.last_of_score]
    false = np.cumsum(event_weights * ~events.found[:, None], axis=0)[events.last_of_score]
    found = np.concatenate([np.zeros((1, weights.shape[1])), found])  # nothing called yet
    boxes, images = events.boxes @ weights, events.images @ weights
    sensitivity = found / np.maximum(boxes, 1.0)
    # False positives never decrease, so the number of allowed rows is the row of the last allowed
    # threshold; row 0 is the threshold above all scores.
    reached = np.array([(false <= rate * images).sum(axis=0) for rate in rates])
    return np.asarray(np.take_along_axis(sensitivity, reached, axis=0))
