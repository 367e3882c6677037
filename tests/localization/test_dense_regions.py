"""The interpretations of the box rule that the paper leaves open, on maps where they differ."""

import numpy as np
import pytest

from cxrloc.localization.dense_regions import find_regions_dense
from cxrloc.localization.regions import find_regions

DIAGONAL = np.array([[[255.0, 0.0], [0.0, 255.0]]])
ROW = np.array([[[0.0, 120.0, 255.0, 0.0]]])


def test_default_is_the_rule_of_find_regions():
    exact = find_regions(ROW, [60, 180])
    dense = find_regions_dense(ROW, [60, 180], shape=(256, 1024))
    np.testing.assert_allclose(dense.boxes, exact.boxes, atol=4 / 1024)
    np.testing.assert_allclose(dense.peak, exact.peak, atol=1 / 255)
    np.testing.assert_array_equal(dense.threshold, exact.threshold)
    np.testing.assert_array_equal(dense.map_index, exact.map_index)


def test_nearest_boxes_are_whole_cells():
    nearest = find_regions_dense(ROW, [60, 180], shape=(8, 16), interpolation="nearest")
    assert nearest.boxes.tolist() == [[1, 0, 3, 1], [2, 0, 3, 1]]


@pytest.mark.parametrize(("connectivity", "count"), [(4, 2), (8, 1)])
def test_diagonal_cells_join_by_connectivity(connectivity, count):
    nearest = find_regions_dense(
        DIAGONAL, [60], shape=(8, 8), interpolation="nearest", connectivity=connectivity
    )
    assert len(nearest.boxes) == count


def test_dense_scaling_stretches_what_pixel_centres_miss_of_the_peak():
    # Two pixels per cell miss the only peak's centre by a quarter: 255 - 135/4 remains of 255.
    one = np.array([[[0.0, 120.0, 255.0, 120.0, 0.0]]])
    by_grid = find_regions_dense(one, [60], shape=(1, 10))
    by_dense = find_regions_dense(one, [60], shape=(1, 10), scale_by="dense")
    assert by_grid.peak.tolist() == [1 - 135 / 4 / 255]
    assert by_dense.peak.tolist() == [1]


def test_degenerate_maps_give_no_rows():
    broken = np.stack([np.full((2, 2), np.nan), np.ones((2, 2)), DIAGONAL[0]])
    assert find_regions_dense(broken, [200], shape=(8, 8)).map_index.tolist() == [2, 2]
    assert find_regions_dense(broken[:2], [200], shape=(8, 8)).boxes.shape == (0, 4)
