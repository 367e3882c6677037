"""When a box counts as correct; comparing boxes in blocks changes only the memory use."""

from dataclasses import replace

import numpy as np
import pytest

from cxrloc.evaluation.localization import hits as module
from cxrloc.evaluation.localization.accuracy import count_boxes
from cxrloc.evaluation.localization.box_metrics import box_metrics
from cxrloc.evaluation.localization.froc import froc_events
from cxrloc.evaluation.localization.hits import (
    MatchRule,
    best_overlaps,
    centres_contained,
    exceeds,
    find_hits,
    groups_all_hit,
    is_correct,
    matches,
)
from cxrloc.evaluation.localization.overlap import OVERLAPS
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, scored_pairs
from cxrloc.types import Annotation, Box
from tests.evaluation.localization.drawn_truth import drawn_record, random_claims


def test_an_overlap_of_exactly_the_threshold_is_no_hit_anywhere() -> None:
    """The detection is a quarter of the annotated box: its IoU is 1/4, its IoBB 1."""
    assert exceeds(np.array([0.24, 0.25, 0.26]), 0.25).tolist() == [False, False, True]
    pairs = scored_pairs([drawn_record("a", [0, 0, 4, 4])])
    claims = PlacedBoxes(np.array([[0.0, 0.0, 2.0, 2.0]]), np.zeros(1, dtype=int), np.ones(1))
    at, below = MatchRule("iou", 0.25), MatchRule("iou", 0.24)
    assert find_hits(pairs, claims, [at, below]).hit.tolist() == [[False], [True]]
    assert not is_correct(at, claims.boxes[0], pairs.truth[0])
    assert [froc_events(pairs, claims, rule)[0].found.tolist() for rule in (at, below)] == [
        [False],
        [True],
    ]


def test_accuracies_and_image_accuracy_ask_for_more_than_the_threshold() -> None:
    """Half of the annotated box is detected: IoU, and the share of the annotated box, are 1/2."""
    pairs = scored_pairs([drawn_record("a", [0, 0, 4, 4])])
    claims = PlacedBoxes(np.array([[0.0, 0.0, 4.0, 2.0]]), np.zeros(1, dtype=int), np.ones(1))
    at_half = {
        (metric.kinds[0].metric, metric.findings[0]): metric.values(np.ones((1, 1)))[0, 0]
        for metric in box_metrics(pairs, claims)
        if metric.kinds[0].at == 0.5 and metric.values is not None
    }
    assert at_half["box_accuracy_over_union", "Mass"] == 0.0
    assert at_half["box_accuracy_over_annotated", "Mass"] == 0.0
    assert at_half["box_accuracy_over_detected", "Mass"] == 1.0
    assert at_half["image_accuracy", "Mass"] == at_half["image_accuracy", "all findings"] == 0.0


def crowded() -> tuple[ScoredPairs, PlacedBoxes]:
    return random_claims(12, ("Effusion", "Mass"), seed=3)


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_blocks_give_what_one_comparison_gives(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, claims = crowded()
    rules = [MatchRule(criterion, 0.2) for criterion in OVERLAPS]
    whole = find_hits(pairs, claims, rules)
    best = best_overlaps(pairs, claims)
    monkeypatch.setattr(module, "MATCHES_AT_ONCE", at_once)
    parts = find_hits(pairs, claims, rules)
    assert np.array_equal(parts.hit, whole.hit)
    assert np.array_equal(parts.correct, whole.correct)
    assert np.array_equal(best_overlaps(pairs, claims), best)
    assert whole.hit.any()
    assert not whole.hit.all()


def test_no_block_holds_more_matches_than_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes of one image are compared with each other all: 20,000 x 2,000 would take 6 GB."""
    monkeypatch.setattr(module, "MATCHES_AT_ONCE", 1000)
    boxes = [[i, 0, i + 5, 5] for i in range(40)]
    pairs = scored_pairs([drawn_record("a", *boxes)])
    claims = PlacedBoxes(np.tile([[0.0, 0.0, 9.0, 9.0]], (300, 1)), np.zeros(300, dtype=int))
    sizes = [claim.size for claim, _ in matches(pairs, claims)]
    assert sum(sizes) == 300 * 40
    assert max(sizes) <= 1000


def test_accuracy_by_each_divisor() -> None:
    """The detection covers half of the box and is half outside: 1/2, 1/2, 1/2 and 1/3."""
    pairs, _ = random_claims(1, ("Mass",), seed=0)
    x_min, y_min, x_max, y_max = pairs.truth[0]
    width = x_max - x_min
    claims = PlacedBoxes(
        np.array([[x_min + width / 2, y_min, x_max + width / 2, y_max]]), np.zeros(1, dtype=int)
    )
    for criterion, overlap in {
        "iobb": 1 / 2,
        "intersection_over_annotated": 1 / 2,
        "intersection_over_smaller": 1 / 2,
        "iou": 1 / 3,
    }.items():
        rules = [MatchRule(criterion, overlap + e) for e in (-0.01, 0.01)]
        found = find_hits(pairs, claims, rules)
        assert found.hit[:, 0].tolist() == [True, False], criterion
        assert found.correct[:, 0].tolist() == [True, False], criterion


def test_an_image_counts_when_all_its_boxes_are_hit() -> None:
    hit = np.array([True, True, True, False])
    assert groups_all_hit(hit, np.array([4, 4, 7, 7]))[1].tolist() == [True, False]


@pytest.mark.parametrize(
    ("box", "hit", "false"),
    [
        ([0, 0, 10, 10], True, False),
        ([30, 30, 50, 50], False, False),  # in the region
        ([20, 30, 40, 50], False, True),  # half of it: IoBB is not above 1/2
        ([70, 70, 90, 90], False, True),
    ],
)
def test_a_box_in_an_ignored_region_is_neither_right_nor_wrong(
    box: list[float], hit: bool, false: bool
) -> None:
    """COCO's `iscrowd`: findings there were not drawn one by one."""
    region = (Annotation("a", "Mass", Box(30.0, 30.0, 60.0, 60.0)),)
    pairs = scored_pairs([replace(drawn_record("a", [0, 0, 10, 10]), ignored=region)])
    claims = PlacedBoxes(np.array([box], dtype=float), np.zeros(1, dtype=int), np.ones(1))
    found = find_hits(pairs, claims, [MatchRule("iou", 0.5)])
    assert (found.hit[0, 0], found.false[0, 0]) == (hit, false)
    assert count_boxes(pairs, claims, [MatchRule("iou", 0.5)]).false_positives.sum() == false
    (events,) = froc_events(pairs, claims, MatchRule("iou", 0.5))
    assert events.found.tolist() == [True] * hit + [False] * false


def test_a_region_of_another_finding_or_image_changes_nothing() -> None:
    region = (Annotation("a", "Nodule", Box(30.0, 30.0, 60.0, 60.0)),)
    pairs = scored_pairs([replace(drawn_record("a", [0, 0, 10, 10]), ignored=region)])
    claims = PlacedBoxes(np.array([[30.0, 30.0, 50.0, 50.0]]), np.zeros(1, dtype=int))
    assert find_hits(pairs, claims, [MatchRule("iou", 0.5)]).false.all()
    assert pairs.findings == ("Mass",)


@pytest.mark.parametrize(
    ("box", "contained"),
    [
        ([5, 5, 6, 6], True),  # the centre of 0 to 10 is 5: the lower border belongs to the box
        ([4, 4, 5, 6], False),  # the upper one does not
        ([0, 0, 100, 100], True),
        ([6, 0, 10, 10], False),
    ],
)
def test_a_centre_is_contained_in_half_open_boxes(box: list[float], contained: bool) -> None:
    pairs = scored_pairs([drawn_record("a", [0, 0, 10, 10])])
    claims = PlacedBoxes(np.array([box], dtype=float), np.zeros(1, dtype=int), np.ones(1))
    assert centres_contained(pairs, claims).tolist() == [contained]
    (metric,) = (
        each
        for each in box_metrics(pairs, claims)
        if each.kinds[0].metric == "centre_containment" and each.values is not None
    )
    assert metric.values(np.ones((1, 1)))[0, 0] == contained
