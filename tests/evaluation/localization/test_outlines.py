"""Boxes against polygons and masks that can be checked by hand; oracles are shapely and pixels."""

import numpy as np
import pytest
import shapely

from cxrloc.datasets.shapes import mask_of_pixels, mask_pixels
from cxrloc.evaluation.localization.accuracy import count_boxes, measure_counts
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.measure import measure
from cxrloc.evaluation.localization.outlines import (
    mask_rectangles,
    outline_metrics,
    outline_overlaps,
)
from cxrloc.evaluation.localization.overlap import iobb, iou
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, scored_pairs
from cxrloc.evaluation.resampling import Resampling, resample_group
from cxrloc.types import Mask, Outline
from tests.evaluation.localization.drawn_truth import drawn_record

L_SHAPE = Outline((((0, 0), (40, 0), (40, 20), (20, 20), (20, 60), (0, 60)),))
"""40 x 60 pixels, of which the lower right 20 x 40 are empty; area 1600."""

L_PIXELS = np.zeros((100, 100), dtype=bool)
L_PIXELS[:60, :20] = L_PIXELS[:20, :40] = True

RULES = [MatchRule("iobb", 0.5), MatchRule("iou", 0.3)]


def placed(box: list[float]) -> PlacedBoxes:
    return PlacedBoxes(np.array([box], dtype=float), np.zeros(1, dtype=int))


def truth_of(shape: Outline | Mask | None) -> ScoredPairs:
    return scored_pairs([drawn_record("a", [0, 0, 40, 60], shape=shape)])


@pytest.mark.parametrize("shape", [L_SHAPE, mask_of_pixels(L_PIXELS)], ids=["polygon", "mask"])
@pytest.mark.parametrize(
    ("box", "expected_iou", "expected_iobb"),
    [
        ([20, 20, 40, 60], 0.0, 0.0),  # the empty corner of the box around the L
        ([0, 0, 40, 60], 1600 / 2400, 1600 / 2400),
        ([0, 0, 20, 60], 1200 / 1600, 1.0),
        ([10, 10, 30, 30], 300 / (1600 + 400 - 300), 300 / 400),
        ([0, 0, 0.5, 0.5], 0.25 / 1600, 1.0),  # a part of one pixel
    ],
)
def test_overlaps_that_a_hand_can_check(
    shape: Outline | Mask, box: list[float], expected_iou: float, expected_iobb: float
) -> None:
    overlaps = outline_overlaps(truth_of(shape), placed(box).boxes, np.zeros(1, dtype=int))
    assert overlaps["iou"][0] == pytest.approx(expected_iou)
    assert overlaps["iobb"][0] == pytest.approx(expected_iobb)


def test_a_truth_that_is_a_box_has_the_overlaps_of_boxes() -> None:
    boxes = np.array([[5.0, 5.0, 45.0, 30.0], [50.0, 50.0, 60.0, 60.0]])
    overlaps = outline_overlaps(truth_of(None), boxes, np.zeros(2, dtype=int))
    truth = np.array([0.0, 0.0, 40.0, 60.0])
    np.testing.assert_allclose(overlaps["iou"], iou(boxes, truth))
    np.testing.assert_allclose(overlaps["iobb"], iobb(boxes, truth))


def test_polygons_that_overlap_or_cross_themselves_count_once() -> None:
    square = ((0, 0), (20, 0), (20, 20), (0, 20))
    bow_tie = ((0, 0), (20, 20), (20, 0), (0, 20))
    for outline, area in ((Outline((square, square)), 400), (Outline((bow_tie,)), 200)):
        overlaps = outline_overlaps(
            truth_of(outline), np.array([[0.0, 0.0, 20.0, 20.0]]), np.zeros(1, dtype=int)
        )
        assert overlaps["iobb"][0] == pytest.approx(area / 400)


@pytest.mark.parametrize("seed", range(3))
def test_rectangles_of_a_mask_are_its_pixels_and_do_not_overlap(seed: int) -> None:
    pixels = np.random.default_rng(seed).random((7, 5)) < 0.5
    mask = mask_of_pixels(pixels)
    parts = mask_rectangles(mask, np.array([50.0, 14.0]))
    union = shapely.union_all(shapely.box(*parts.T))
    assert union.area == pytest.approx(mask_pixels(mask).sum() * 10 * 2)
    assert shapely.area(shapely.box(*parts.T)).sum() == pytest.approx(union.area)


def test_a_box_in_the_empty_corner_hits_the_box_but_not_the_outline() -> None:
    pairs, claims = truth_of(L_SHAPE), placed([20, 20, 40, 60])
    by_box = measure_counts(pairs, count_boxes(pairs, claims, RULES), RULES)
    assert {row.match: row.value for row in by_box if row.metric == "accuracy"} == {
        "iobb > 0.5": 1.0,
        "iou > 0.3": 1.0,
    }
    draws = resample_group(np.ones((1, 1), dtype=bool), np.ones(1, dtype=bool), Resampling(0))
    by_outline = measure(outline_metrics(pairs, claims, RULES), draws)
    assert {row.match: row.value for row in by_outline if row.finding == "Mass"} == {
        "outline iobb > 0.5": 0.0,
        "outline iou > 0.3": 0.0,
    }


def test_truth_that_is_boxes_alone_has_no_outline_metrics() -> None:
    assert outline_metrics(truth_of(None), placed([0, 0, 1, 1]), RULES) == []
