"""Controls: the scores of boxes that do not depend on the image."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrloc.datasets.boxes import read_boxed_images
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.localization.accuracy import PUBLISHED_RULES, count_boxes, measure_counts
from cxrloc.evaluation.localization.controls import (
    boxes_of_maps,
    finder_of,
    oracle_maps,
    permuted,
    place_heatmaps,
    prior_mean,
    prior_medoid,
    random_maps,
)
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.overlap import iou
from cxrloc.evaluation.localization.scored_pairs import (
    PlacedBoxes,
    ScoredPairs,
    place_detections,
    scored_pairs,
)
from cxrloc.evaluation.localization.tables import grid
from cxrloc.localization.box_rules import BoxRule
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.types import Affine, Annotation, Box, Heatmaps, Record


def record(image_id: str, patient: str, finding: str, *corners: float, size: int = 100) -> Record:
    truth = Annotation(image_id, finding, Box(*map(float, corners)))
    return Record(
        image_id, patient, image_id, None, annotations=(truth,), annotation_frame=(size, size)
    )


FOUR_MASSES = [
    record("a0", "a", "Mass", 0, 0, 10, 10),
    record("a1", "a", "Mass", 80, 80, 90, 90),
    record("b0", "b", "Mass", 0, 0, 20, 20),
    record("c0", "c", "Mass", 0, 0, 40, 40, size=200),  # the same share of a larger image
]


def test_the_mean_box_is_that_of_other_patients_in_shares_of_the_image() -> None:
    claims = prior_mean(scored_pairs(FOUR_MASSES))
    by_image = dict(zip([FOUR_MASSES[pair].image_id for pair in claims.pair], claims.boxes))  # noqa: B905
    np.testing.assert_allclose(by_image["a0"], [0, 0, 20, 20])
    np.testing.assert_allclose(by_image["a1"], [0, 0, 20, 20])
    np.testing.assert_allclose(by_image["b0"], np.array([80, 80, 120, 120]) / 3)
    np.testing.assert_allclose(by_image["c0"], np.array([80, 80, 120, 120]) / 3 * 2)


def test_the_medoid_is_the_box_of_another_patient_most_like_the_others() -> None:
    claims = prior_medoid(scored_pairs(FOUR_MASSES))
    by_image = dict(zip([FOUR_MASSES[pair].image_id for pair in claims.pair], claims.boxes))  # noqa: B905
    np.testing.assert_allclose(by_image["a0"], [0, 0, 20, 20])  # of b and c, which agree
    np.testing.assert_allclose(by_image["b0"], [0, 0, 10, 10])  # a0 has IoU 1/4 with c, a1 none
    np.testing.assert_allclose(by_image["c0"], [0, 0, 20, 20])


def test_a_finding_of_one_patient_has_no_prior_box() -> None:
    pairs = scored_pairs([*FOUR_MASSES, record("d0", "d", "Nodule", 0, 0, 5, 5)])
    nodule = pairs.findings.index("Nodule")
    for claims in (prior_mean(pairs), prior_medoid(pairs)):
        assert claims.pair.size == 4
        assert nodule not in claims.pair % 2


def many_pairs(patients: list[int]) -> ScoredPairs:
    return scored_pairs(
        [record(f"{i}", f"{name}", "Mass", i, 0, i + 1, 1) for i, name in enumerate(patients)]
    )


@given(st.lists(st.integers(0, 6), min_size=2, max_size=25), st.integers(0, 100))
def test_permuted_boxes_come_from_another_patient_and_none_is_lost(
    patients: list[int], seed: int
) -> None:
    pairs = many_pairs(patients)
    own = PlacedBoxes(pairs.truth, pairs.truth_pair)
    moved = permuted(pairs, own, np.random.default_rng(seed))
    donor = moved.boxes[:, 0].round().astype(int)  # x_min is the image's number
    assert np.all(pairs.patient[donor] != pairs.patient[moved.pair])
    assert np.unique(moved.pair).size == np.unique(donor).size == moved.pair.size
    most = max(map(patients.count, patients))
    if 2 * most <= len(patients):
        assert moved.pair.size == len(patients)


def test_permuted_boxes_of_annotated_pairs_stay_on_annotated_pairs() -> None:
    records = [record(f"{i}", f"{i}", "Mass", i, 0, i + 1, 1) for i in range(6)]
    records += [Record(f"{i}", f"{i}", f"{i}", None, annotation_frame=(100, 100)) for i in (6, 7)]
    pairs = scored_pairs(records, "all")
    every = np.arange(8)
    boxes = np.stack([every, every * 0, every + 1, every * 0 + 1], axis=1).astype(float)
    moved = permuted(pairs, PlacedBoxes(boxes, every), np.random.default_rng(0))
    assert np.array_equal(moved.boxes[:, 0].round() > 5, moved.pair > 5)


def heatmap(image_id: str, scores: np.ndarray, size: int = 100) -> Heatmaps:
    rows, columns = scores.shape
    to_image = Affine(xx=size / columns, yy=size / rows)
    return Heatmaps(image_id, ("Mass",), scores[None], to_image, size, size)


def test_the_oracle_map_holds_the_share_of_each_cell_that_the_box_covers() -> None:
    pairs = scored_pairs([record("a", "a", "Mass", 25, 0, 75, 75)])
    (maps,) = place_heatmaps(pairs, [heatmap("a", np.zeros((2, 2)))])
    claims = oracle_maps(pairs, [maps], finder_of(pairs, BoxRule(thresholds=(60.0,))))
    # Cells: .5 .5 / .25 .25, scaled to 255 and 0: above 60 down to 3/4 of the second row's centre.
    expected = 25 + 50 * (1 - 60 / 255)
    np.testing.assert_allclose(claims.boxes, [[0, 0, 100, expected]])


def test_an_oracle_on_a_grid_that_fits_the_box_finds_it() -> None:
    pairs = scored_pairs([record("a", "a", "Mass", 25, 25, 75, 50)])
    maps = place_heatmaps(pairs, [heatmap("a", np.zeros((100, 100)))])
    claims = oracle_maps(pairs, maps, finder_of(pairs, BoxRule(thresholds=(127.5,))))
    assert iou(claims.boxes, pairs.truth)[0] > 0.999


def test_random_maps_follow_their_seed_and_are_alike_everywhere() -> None:
    pairs = scored_pairs(FOUR_MASSES)
    maps = place_heatmaps(pairs, [heatmap(r.image_id, np.zeros((16, 16))) for r in FOUR_MASSES])
    one, same, other = (
        random_maps(maps, finder_of(pairs, BoxRule()), np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.boxes, same.boxes)
    assert one.boxes.shape != other.boxes.shape or not np.allclose(one.boxes, other.boxes)
    assert set(one.pair) == {0, 1, 2, 3}


@settings(max_examples=20)
@given(st.integers(0, 100))
def test_maps_give_the_boxes_that_detections_are_made_of(seed: int) -> None:
    generator = np.random.default_rng(seed)
    pairs = scored_pairs(FOUR_MASSES)
    heatmaps = [
        Heatmaps(
            r.image_id,
            ("Mass",),
            generator.standard_normal(((1, 4, 4), (1, 5, 6))[i % 2]),
            Affine(xx=30.0, x0=-10.0, yy=25.0, y0=3.0),  # reaches over the image: cut there
            100,
            100,
        )
        for i, r in enumerate(FOUR_MASSES)
    ]
    detections = [d for h in heatmaps for d in detections_from_heatmaps(h, [1.0], [60.0, 180.0])]
    claims, left_out = place_detections(pairs, detections)
    ours = boxes_of_maps(place_heatmaps(pairs, heatmaps), finder_of(pairs, BoxRule()))
    assert left_out == 0

    def in_order(each: PlacedBoxes) -> np.ndarray:
        rows = np.column_stack([each.pair, each.boxes])
        return rows[np.lexsort(rows.T)]

    np.testing.assert_allclose(in_order(ours), in_order(claims))


def test_a_turned_heatmap_is_refused() -> None:
    to_image = Affine(xx=0.0, xy=1.0, yx=1.0)
    turned = Heatmaps("a0", ("Mass",), np.zeros((1, 2, 2)), to_image, 100, 100)
    with pytest.raises(CxrlocError, match="turned"):
        place_heatmaps(scored_pairs(FOUR_MASSES), [turned])


@pytest.fixture(scope="module")
def published(shared: Path) -> ScoredPairs:
    records = read_boxed_images(shared / "data" / "chestxray14" / "BBox_List_2017.csv")
    return scored_pairs([replace(each, patient_id=each.image_id[:8]) for each in records])


def test_the_mean_prior_on_the_published_boxes(published: ScoredPairs) -> None:
    rules = [MatchRule("iou", t) for t in (0.3, 0.5, 0.7)] + [MatchRule("iobb", 0.5)]
    counts = count_boxes(published, prior_mean(published), rules)
    scores = grid(measure_counts(published, counts, rules), "accuracy")
    heart = scores[:, published.findings.index("Cardiomegaly")]
    np.testing.assert_allclose(heart, [0.99, 0.85, 0.36, 0.98], atol=0.0051)


def test_the_medoid_prior_on_the_published_boxes(published: ScoredPairs) -> None:
    rules = [rule for rule in PUBLISHED_RULES if rule.criterion == "iou"]
    counts = count_boxes(published, prior_medoid(published), rules)
    mean = grid(measure_counts(published, counts, rules), "accuracy")[:, -1]
    np.testing.assert_allclose(mean, [0.52, 0.33, 0.24, 0.19, 0.15, 0.09, 0.04], atol=0.0051)
