"""Outlines agree with the boxes of the same regions, drawn areas, and counted samples."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from cxrloc.localization.outlines import heatmap_outlines, region_polygons
from cxrloc.localization.regions import find_regions
from cxrloc.types import Affine, Heatmaps

THRESHOLDS = (60.0, 180.0)
RING = np.array([[255.0, 255, 255], [255, 0, 255], [255, 255, 255]])


def outline(grid: list[list[float]], threshold: float) -> list[shapely.Polygon]:
    return region_polygons(np.array([grid], dtype=float), [threshold])


def test_a_row_gives_rectangles():
    # 255 falls to 0 between centres 0.5 and 1.5 and passes 51 after 0.8.
    (found,) = outline([[255, 0, 0]], 51)
    assert found.bounds == pytest.approx((0, 0, 1.3, 1))
    assert found.area == pytest.approx(1.3)


def test_straight_level_lines_need_no_more_points_than_corners():
    (found,) = outline([[255, 255, 0], [255, 255, 0], [255, 255, 0]], 127.5)
    assert found.normalize().equals_exact(shapely.box(0, 0, 2, 3).normalize(), 1e-12)
    assert shapely.get_num_coordinates(found) == 5


def test_a_ring_has_a_hole():
    (found,) = outline(RING.tolist(), 127.5)
    (hole,) = found.interiors
    assert found.bounds == (0, 0, 3, 3)
    assert hole.bounds == (1, 1, 2, 2)
    # In each quarter the hole is where (1-u)(1-v) > 1/2: 1/2 - 1/2 ln 2 of a cell.
    assert 9 - found.area == pytest.approx(4 * (0.5 - 0.5 * np.log(2)), abs=0.002)


@pytest.mark.parametrize(("threshold", "count"), [(127.4, 1), (127.5, 2)])
def test_diagonal_cells_join_as_in_find_regions(threshold, count):
    found = outline([[255, 0], [0, 255]], threshold)
    assert [polygon.geom_type for polygon in found] == ["Polygon"] * count


def test_at_a_saddle_that_equals_the_threshold_outlines_keep_to_their_boxes():
    # 255 x 240 and 30 x 150 around a saddle of exactly 180: 75 x 60 = 150 x 30.
    grid = np.array([[[255.0, 30, 0], [150, 240, 0]]])
    boxes = find_regions(grid, [180]).boxes
    assert len(boxes) == 2
    np.testing.assert_allclose(shapely.bounds(region_polygons(grid, [180])), boxes, rtol=1e-12)


def test_degenerate_maps_have_no_outlines():
    assert region_polygons(np.ones((2, 3, 3)), THRESHOLDS) == []


grids = st.builds(
    lambda rows, columns, sigma, seed: gaussian_filter(
        np.random.default_rng(seed).integers(0, 18, size=(rows, columns)) * 15.0, sigma
    ),
    st.integers(1, 12),
    st.integers(2, 12),
    st.sampled_from([0.0, 0.7]),
    st.integers(0, 2**32),
)


@given(grids)
@settings(max_examples=40)
def test_each_outline_is_one_polygon_in_its_box_and_apart_from_the_others(grid):
    regions = find_regions(grid[None], THRESHOLDS)
    polygons = region_polygons(grid[None], THRESHOLDS)
    assert all(polygon.is_valid and polygon.geom_type == "Polygon" for polygon in polygons)
    np.testing.assert_allclose(
        shapely.bounds(polygons).reshape(-1, 4), regions.boxes, rtol=0, atol=1e-12
    )
    for threshold in THRESHOLDS:
        apart = [p for p, t in zip(polygons, regions.threshold, strict=True) if t == threshold]
        # They may touch where the surface equals the threshold, but not overlap.
        assert shapely.union_all(apart).area == pytest.approx(sum(p.area for p in apart))


@given(grids)
@settings(max_examples=40)
def test_points_above_the_threshold_are_those_inside_an_outline(grid):
    rows, columns = grid.shape
    x, y = np.random.default_rng(0).uniform(0, [[columns], [rows]], size=(2, 400))
    low, high = grid.min(), grid.max()
    surface = map_coordinates(grid, [y - 0.5, x - 0.5], order=1, mode="nearest")
    regions = find_regions(grid[None], THRESHOLDS)
    polygons = np.array(region_polygons(grid[None], THRESHOLDS), dtype=object)
    for threshold in THRESHOLDS:
        of_threshold = polygons[regions.threshold == threshold]
        union = shapely.union_all(of_threshold)
        inside = shapely.contains_xy(union, x, y)
        far = shapely.distance(union.boundary, shapely.points(x, y)) > 0.01
        excess = (surface - low) * 255 - threshold * (high - low)
        clear = far & (np.abs(excess) > 1e-9 * (high - low))  # not a plateau at the threshold
        np.testing.assert_array_equal(inside[clear], excess[clear] > 0)


def test_outlines_of_a_heatmap_are_in_pixels_and_cut_at_the_border():
    to_image = Affine(xx=10, x0=-15, yy=20)
    heatmaps = Heatmaps("a", ("Mass",), RING[None], to_image, 60, 15)
    (found,) = heatmap_outlines(heatmaps, "Mass", [127.5])
    assert found.bounds == (0, 0, 15, 60)
    # Mapped, the hole spans x from -5 to 5: its right half is cut out of the image's 15 x 60.
    hole = 4 * (0.5 - 0.5 * np.log(2)) * 10 * 20
    assert found.area == pytest.approx(15 * 60 - hole / 2, abs=0.5)


def test_an_outline_outside_the_image_is_empty_and_keeps_its_place():
    heatmaps = Heatmaps("a", ("Mass",), np.array([[[9.0, 1, 9]]]), Affine(x0=-1.5), 1, 2)
    left, right = heatmap_outlines(heatmaps, "Mass", [127.5])
    assert left.is_empty
    assert right.bounds == (0.5, 0, 2, 1)  # on to the border, where the surface is constant


@pytest.mark.parametrize("shift", [-75.2, 0.0, 75.2])
def test_the_outline_of_a_region_at_the_border_reaches_the_border(shift):
    scores = np.zeros((2, 20))
    scores[:, [0, -1]] = 1.0
    heatmaps = Heatmaps("a", ("Mass",), scores[None], Affine(51.2, 0, shift, 0, 512, 0), 1024, 1024)
    left, right = heatmap_outlines(heatmaps, "Mass", [127.5])
    expected_left, expected_right = (0, 0, 51.2 + shift, 1024), (972.8 + shift, 0, 1024, 1024)
    if shift == -75.2:
        assert left.is_empty
    else:
        np.testing.assert_allclose(left.bounds, expected_left)
    if shift == 75.2:
        assert right.is_empty
    else:
        np.testing.assert_allclose(right.bounds, expected_right)
