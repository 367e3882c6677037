"""Points against boxes, polygons and masks; shapely is the oracle of distances."""

import numpy as np
import pytest
import shapely

from cxrloc.datasets.chexlocalize import Point
from cxrloc.datasets.shapes import mask_of_pixels
from cxrloc.evaluation.localization.controls import place_heatmaps
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.pointing import (
    TOLERANCE,
    Points,
    distances_to_truth,
    highest_points,
    pairs_hit,
    place_points,
)
from cxrloc.evaluation.localization.scored_pairs import scored_pairs
from cxrloc.types import Affine, Heatmaps, Outline
from tests.evaluation.localization.drawn_truth import drawn_record, whole_map


def test_the_drawn_example() -> None:
    pairs = scored_pairs([drawn_record("a", [3, 0, 4, 1], size=(1, 4))])
    heatmap = Heatmaps("a", ("Mass",), np.array([[[1.0, 9.0, 2.0, 5.0]]]), Affine(), 1, 4)
    points = highest_points(place_heatmaps(pairs, [heatmap]))
    assert points.places.tolist() == [[1.5, 0.5]]
    assert distances_to_truth(pairs, points).tolist() == [1.5]
    assert [bool(pairs_hit(pairs, points, t)[0]) for t in (0.0, 1.49, 1.5)] == [False, False, True]


def test_the_highest_point_is_in_the_image_and_a_flat_map_has_none() -> None:
    records = [drawn_record(name, [0, 0, 50, 50]) for name in "abc"]
    pairs = scored_pairs(records)
    # The left cell is padding: its centre is at x = -25.
    to_image = Affine(xx=50.0, x0=-50.0, yy=100.0)
    padded = Heatmaps("a", ("Mass",), np.array([[[9.0, 1.0, 5.0]]]), to_image, 100, 100)
    maps = [padded, whole_map("b", np.ones((3, 3))), whole_map("c", np.eye(2))]
    points = highest_points(place_heatmaps(pairs, maps))
    assert dict(zip(points.pair.tolist(), points.places.tolist(), strict=True)) == {
        0: [75.0, 50.0],
        2: [25.0, 25.0],  # of two equal cells the first
    }
    assert pairs_hit(pairs, points).tolist() == [False, False, True]


@pytest.mark.parametrize("seed", range(3))
def test_distances_are_shapely_s_for_polygons_and_masks(seed: int) -> None:
    generator = np.random.default_rng(seed)
    places = generator.uniform(0, 60, (20, 2))
    ring = tuple(map(tuple, generator.uniform(10, 50, (3, 2)).tolist()))
    pixels = generator.random((6, 6)) < 0.2
    pixels[2, 3] = True
    squares = [
        shapely.box(10 * c, 10 * r, 10 * c + 10, 10 * r + 10) for r, c in np.argwhere(pixels)
    ]
    for shape, outline in (
        (Outline((ring,)), shapely.Polygon(ring)),
        (mask_of_pixels(pixels), shapely.union_all(squares)),
    ):
        pairs = scored_pairs([drawn_record("a", [10, 10, 50, 50], size=(60, 60), shape=shape)])
        points = Points(places, np.zeros(20, dtype=int))
        expected = shapely.distance(shapely.points(places), outline)
        np.testing.assert_allclose(distances_to_truth(pairs, points), expected, atol=1e-9)


def test_of_a_reader_s_points_one_on_the_truth_is_enough() -> None:
    pairs = scored_pairs([drawn_record("a", [0, 0, 10, 10]), drawn_record("b", [0, 0, 10, 10])])
    places = [("a", "Mass", 50.0, 50.0), ("a", "Mass", 5.0, 5.0), ("b", "Edema", 5.0, 5.0)]
    points = place_points(pairs, [Point(*place) for place in places])
    assert points.pair.tolist() == [0, 0]
    assert pairs_hit(pairs, points).tolist() == [True, False]


def test_the_tolerance_is_that_of_the_published_game() -> None:
    """Zhang et al. 2016, section 4.1: a margin of 15 pixels."""
    assert TOLERANCE == ScoringProtocol().tolerance == 15
