"""Finds the regions of a map above thresholds, exactly and without computing an upsampled map.

The map is taken as bilinear between the centres of four neighbouring cells and as constant beyond
the outermost centres. Bilinear upsampling (`align_corners=False`) to any size samples this same
surface. A level line of a bilinear function is a hyperbola with axis-parallel asymptotes, monotone
in x and in y. So the extreme points of a region lie on lines between two neighbouring centres,
where the surface is linear, and its box follows from the crossings on those lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from cxrloc.errors import UsageError

FULL_SCALE = 255.0
"""Thresholds are grey levels of 8-bit heatmaps (Wang et al. 2017, section 3.2: 60 and 180)."""

BEYOND_CELLS = 1e6
"""A distance from the grid, in cells, that is larger than any image."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Regions of several maps, ordered by map, then threshold as given, then raster order.

    Attributes:
        map_index: index of the map that contains the region.
        threshold: the threshold of the region, on the scale from 0 to 255.
        boxes: x_min, y_min, x_max, y_max in grid coordinates: the cell in row i and column j
            covers [j, j+1) x [i, i+1), the whole map [0, columns] x [0, rows].
        peak: the region's largest value as a share of the map's own range, threshold / 255 to 1.
    """

    map_index: Int[np.ndarray, " n"]
    threshold: Float[np.ndarray, " n"]
    boxes: Float[np.ndarray, "n 4"]
    peak: Float[np.ndarray, " n"]


def find_regions(maps: Float[np.ndarray, "map row col"], thresholds: Sequence[float]) -> Regions:
    """The box and peak of every isolated region above every threshold.

    Wang et al. 2017, section 3.2: "the heatmap [is] normalized to [0, 255] and then thresholded by
    {60, 180} individually", and boxes "cover the isolated regions in the resulting binary maps".
    The paper does not specify the following, so we chose: a map is scaled by the extremes of its
    cells, in float64; "above" is strict; two parts that meet only in a point are two regions.

    A degenerate map (flat, or with a value that is not finite) gives no rows.

    Args:
        maps: raw scores, of any scale.
        thresholds: any number of them, each at least 0 and below 255.

    Raises:
        UsageError: a threshold is outside [0, 255).

    The two outer cells are scaled to 255, and the surface crosses 127.5 half-way to the middle:

    >>> regions = find_regions(np.array([[[9.0, 1.0, 9.0]]]), thresholds=[127.5])
    >>> regions.boxes
    array([[0., 0., 1., 1.],
           [2., 0., 3., 1.]])
    >>> regions.peak
    array([1., 1.])
    """
    scaled, kept = scale_maps(maps)
    levels = check_thresholds(thresholds)
    excess = excess_over(scaled, levels)  # map x threshold, row, col
    labels, count = label_regions(excess)
    plane, row, column = np.nonzero(labels)
    region = labels[plane, row, column] - 1
    plane_of = np.empty(count, dtype=np.int64)
    plane_of[region] = plane
    map_of, level_of = np.divmod(plane_of, max(levels.size, 1))
    peak = np.zeros(count)
    np.maximum.at(peak, region, scaled[map_of[region], row, column])
    x_min, x_max = _extents(excess, labels, count)
    y_min, y_max = _extents(excess.swapaxes(1, 2), labels.swapaxes(1, 2), count)
    return Regions(
        map_index=kept[map_of],
        threshold=levels[level_of],
        boxes=np.stack([x_min, y_min, x_max, y_max], axis=1),
        peak=peak / FULL_SCALE,
    )


def to_border(boxes: Float[np.ndarray, "n 4"], rows: int, columns: int) -> Float[np.ndarray, "n 4"]:
    """Boxes whose sides on the edge of the grid are moved outwards, beyond the border of any image.

    Beyond the outermost centres the surface is constant, so a region there extends to the border of
    the image. This holds wherever the grid lies in the image; `models.grid.cell_shift_pixels` may
    move the grid by more than a cell. The caller maps the boxes to the image and clips them at the
    border.

    >>> to_border(np.array([[0.0, 1.0, 4.0, 2.0]]), rows=4, columns=4)
    array([[-1.000000e+06,  1.000000e+00,  1.000004e+06,  2.000000e+00]])
    """
    low = np.where(boxes[:, :2] <= 0, -BEYOND_CELLS, boxes[:, :2])
    size = np.array([columns, rows], dtype=np.float64)
    high = np.where(boxes[:, 2:] >= size, size + BEYOND_CELLS, boxes[:, 2:])
    return np.concatenate([low, high], axis=1)


def is_degenerate(maps: Float[np.ndarray, "*map row col"]) -> Bool[np.ndarray, "*map"]:
    """Whether a map cannot be scaled to its extremes: flat, empty or not finite everywhere.

    A map whose range is larger than a float64 can hold counts as not finite.

    >>> is_degenerate(np.array([[[1.0, 1.0]], [[1.0, 2.0]], [[1.0, np.nan]]]))
    array([ True, False,  True])
    """
    _, spread = _lowest_and_range(maps.astype(np.float64))
    return np.asarray(~_can_be_scaled(spread))


def scale_maps(
    maps: Float[np.ndarray, "map row col"],
) -> tuple[Float[np.ndarray, "kept row col"], Int[np.ndarray, " kept"]]:
    """Maps scaled to [0, 255] by their own extremes, and their indices, without degenerate maps.

    >>> scaled, kept = scale_maps(np.array([[[3.0, 3.0]], [[1.0, 5.0]]]))
    >>> scaled.tolist(), kept.tolist()
    ([[[0.0, 255.0]]], [1])
    """
    wide = maps.astype(np.float64)
    lowest, spread = _lowest_and_range(wide)
    kept = np.flatnonzero(_can_be_scaled(spread))
    # Division comes first, so that the largest value is exactly 255 and maps that already span
    # 0 to 255 are not changed.
    return (wide[kept] - lowest[kept]) / spread[kept] * FULL_SCALE, kept


def check_thresholds(thresholds: Sequence[float]) -> Float[np.ndarray, " threshold"]:
    """The thresholds as an array, after a check of their range.

    Raises:
        UsageError: a threshold is outside [0, 255), so it cannot divide any map.
    """
    for threshold in thresholds:
        if not 0 <= threshold < FULL_SCALE:
            raise UsageError(
                f"threshold {threshold:g}: maps are scaled from 0 to 255, so give a threshold of "
                "at least 0 and below 255"
            )
    return np.asarray(thresholds, dtype=np.float64)


def excess_over(
    scaled: Float[np.ndarray, "map row col"], levels: Float[np.ndarray, " threshold"]
) -> Float[np.ndarray, "plane row col"]:
    """Every map minus every threshold; the planes of one map follow each other."""
    excess = scaled[:, None] - levels[:, None, None]  # map threshold row col
    return excess.reshape(-1, *scaled.shape[1:])


def label_regions(
    excess: Float[np.ndarray, "plane row col"],
) -> tuple[Int[np.ndarray, "plane row col"], int]:
    """The region number (from 1) of every cell centre above 0, and the number of regions.

    Along a line between neighbouring centres the surface is linear, so two neighbouring centres
    above 0 are connected. Let centres a and d on one diagonal be above 0, and b and c on the other
    diagonal not. Then the value of the surface at its saddle point is
    (a d - b c) / (a + d - b - c), and a and d are connected if this value is above 0. The divisor
    is positive, so the sign of a d - b c decides.

    >>> label_regions(np.array([[[2.0, -1.0], [-1.0, 2.0]], [[2.0, -2.0], [-2.0, 2.0]]]))
    (array([[[1, 0], [0, 1]],
            [[2, 0], [0, 3]]], dtype=int32), 3)
    """
    above = excess > 0
    labels, count = _label_neighbours(above)
    in_a, in_b, in_c, in_d = _corners(above)
    # The squares with two corners above 0 that no side of the square connects.
    squares = np.nonzero((in_a == in_d) & (in_b == in_c) & (in_a != in_b))
    a, b, c, d = (corner[squares] for corner in _corners(excess))
    of_a, of_b, of_c, of_d = (corner[squares] for corner in _corners(labels))
    falling = (of_a != of_d) & (of_a > 0) & (a * d > b * c)
    rising = (of_b != of_c) & (of_b > 0) & (b * c > a * d)
    one = np.concatenate([of_a[falling], of_b[rising]])
    other = np.concatenate([of_d[falling], of_c[rising]])
    return _join(labels, count, one, other)


def _label_neighbours(
    above: Bool[np.ndarray, "plane row col"],
) -> tuple[Int[np.ndarray, "plane row col"], int]:
    """The number (from 1, in raster order) of the part of every cell; sides connect, corners not.

    OpenCV labels one picture, so the planes stand below each other with an empty row between two.
    """
    planes, rows, columns = above.shape
    if not above.size:
        return np.zeros(above.shape, dtype=np.int32), 0
    picture = np.zeros((planes, rows + 1, columns), dtype=np.uint8)
    picture[:, :rows] = above
    count, labels = cv2.connectedComponents(picture.reshape(-1, columns), connectivity=4)
    return labels.reshape(picture.shape)[:, :rows], count - 1  # OpenCV counts the background


def _join(
    labels: Int[np.ndarray, "plane row col"],
    count: int,
    one: Int[np.ndarray, " pair"],
    other: Int[np.ndarray, " pair"],
) -> tuple[Int[np.ndarray, "plane row col"], int]:
    """The regions after the two parts of each pair are joined, numbered again without gaps."""
    if not one.size:
        return labels, count
    lowest = np.arange(count + 1)  # by part: the lowest number of a part that is connected with it
    while (differ := lowest[one] != lowest[other]).any():
        low = np.minimum(lowest[one], lowest[other])[differ]
        np.minimum.at(lowest, lowest[one[differ]], low)
        np.minimum.at(lowest, lowest[other[differ]], low)
        lowest = lowest[lowest]
    remaining, region_of = np.unique(lowest, return_inverse=True)  # the background 0 stays alone
    return region_of.astype(np.int32)[labels], remaining.size - 1


def _lowest_and_range(
    maps: Float[np.ndarray, "*map row col"],
) -> tuple[Float[np.ndarray, "*map 1 1"], Float[np.ndarray, "*map 1 1"]]:
    """The smallest value of each map, and the largest minus the smallest."""
    lowest = maps.min(axis=(-2, -1), keepdims=True, initial=np.inf)
    # inf - inf and nan - nan are nan, and no comparison with nan holds.
    with np.errstate(invalid="ignore", over="ignore"):
        return lowest, maps.max(axis=(-2, -1), keepdims=True, initial=-np.inf) - lowest


def _can_be_scaled(spread: Float[np.ndarray, "*map 1 1"]) -> Bool[np.ndarray, "*map"]:
    """Whether maps of this range can be scaled to their extremes."""
    return np.asarray(((spread > 0) & np.isfinite(spread))[..., 0, 0])


def _corners(planes: Shaped[np.ndarray, "plane row col"]) -> tuple[np.ndarray, ...]:
    """The upper left, upper right, lower left and lower right of all squares of four neighbours."""
    return planes[:, :-1, :-1], planes[:, :-1, 1:], planes[:, 1:, :-1], planes[:, 1:, 1:]


def _extents(
    excess: Float[np.ndarray, "plane line col"],
    labels: Int[np.ndarray, "plane line col"],
    count: int,
) -> tuple[Float[np.ndarray, " region"], Float[np.ndarray, " region"]]:
    """The smallest and the largest coordinate of each region along the last axis."""
    columns, first, last = excess.shape[-1], excess[..., :1], excess[..., -1:]
    # A mirrored value (-|x|) is added beyond the border, so that a region there crosses 0 half a
    # cell outwards, at the edge of the grid.
    values = np.concatenate([-np.abs(first), excess, -np.abs(last)], axis=-1).ravel()
    above = values > 0
    # No line begins or ends above 0, so the crossings go into a region and out of it in turn.
    crossings = np.flatnonzero(above[:-1] != above[1:])
    line, edge = np.divmod(crossings, columns + 2)
    before, after = values[crossings], values[crossings + 1]
    position = edge - 0.5 + before / (before - after)
    region = labels.reshape(-1, columns)[line[::2], edge[::2]] - 1
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, region, position[::2])
    np.maximum.at(highest, region, position[1::2])
    return lowest, highest
