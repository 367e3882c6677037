"""Shares of cells that boxes, masks and polygons cover agree with shapely, the oracle."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from cxrloc.datasets.shapes import mask_of_pixels
from cxrloc.evaluation.localization.scored_pairs import scored_pairs
from cxrloc.evaluation.localization.truth_shares import (
    box_shares,
    mask_shares,
    outline_shares,
    truth_shares,
)
from cxrloc.types import Outline
from tests.evaluation.localization.drawn_truth import drawn_record

CORNER = st.floats(0, 8)


@given(x=st.tuples(CORNER, CORNER), y=st.tuples(CORNER, CORNER))
def test_a_box_s_shares_are_its_intersections(
    x: tuple[float, float], y: tuple[float, float]
) -> None:
    (x_min, x_max), (y_min, y_max) = sorted(x), sorted(y)
    box = shapely.box(x_min, y_min, x_max, y_max)
    expected = [
        [shapely.intersection(box, shapely.box(j, i, j + 1, i + 1)).area for j in range(8)]
        for i in range(8)
    ]
    shares = box_shares(np.array([x_min, y_min, x_max, y_max]), samples=8)
    np.testing.assert_allclose(shares, expected, atol=1e-6)


@pytest.mark.parametrize("samples", [4, 8, 32, 50])
def test_a_mask_s_area_stays(samples: int) -> None:
    pixels = np.random.default_rng(0).random((30, 20)) < 0.3
    shares = mask_shares(mask_of_pixels(pixels), samples)
    np.testing.assert_allclose(shares.mean(), pixels.mean(), rtol=1e-5)
    assert shares.min() >= 0
    assert shares.max() <= 1 + 1e-6


def test_a_mask_of_a_box_has_the_box_s_shares() -> None:
    pixels = np.zeros((30, 20), dtype=bool)
    pixels[3:17, 5:9] = True
    shares = mask_shares(mask_of_pixels(pixels), samples=8)
    box = np.array([5 / 20, 3 / 30, 9 / 20, 17 / 30]) * 8
    np.testing.assert_allclose(shares, box_shares(box, samples=8), atol=1e-6)


def test_polygons_shares_are_their_intersections_and_overlaps_count_once() -> None:
    rings = (
        ((10.0, 10.0), (90.0, 20.0), (50.0, 45.0)),
        ((20.0, 5.0), (60.0, 5.0), (60.0, 45.0), (20.0, 45.0)),
    )
    joined = shapely.union_all([shapely.Polygon(ring) for ring in rings])
    shares = outline_shares(Outline(rings), np.array([100.0, 50.0]), samples=64)
    np.testing.assert_allclose(shares.mean() * 100 * 50, joined.area, rtol=0.005)
    cell = shapely.box(30 * 100 / 64, 20 * 50 / 64, 31 * 100 / 64, 21 * 50 / 64)
    expected = shapely.intersection(joined, cell).area / cell.area
    np.testing.assert_allclose(shares[20, 30], expected, atol=0.1)


def test_of_several_annotations_a_cell_takes_the_largest_share() -> None:
    pairs = scored_pairs([drawn_record("a", [0, 0, 50, 50], [0, 0, 50, 25])])
    shares = truth_shares(pairs, np.array([0]), samples=2)
    assert shares.tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


def test_a_polygon_within_a_cell_has_its_part_of_it() -> None:
    """From 2 to 6 of the 8 pixels of the first of two cells across: one half of the cell."""
    ring = ((2.0, 0.0), (6.0, 0.0), (6.0, 16.0), (2.0, 16.0))
    shares = outline_shares(Outline((ring,)), np.array([16.0, 16.0]), samples=2)
    np.testing.assert_array_equal(shares, [[0.5, 0.0], [0.5, 0.0]])
