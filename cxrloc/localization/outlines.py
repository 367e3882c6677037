"""Outlines of regions as polygons with holes: the level lines of the bilinear surface.

contourpy, which matplotlib uses, cannot be used here. It uses the mean of four corners to decide
whether two diagonal corners are connected, but the saddle point of the surface of `find_regions`
has another value. So contourpy would outline regions that differ from those that have boxes.

Between four neighbouring centres the part above the threshold is known in closed form. Each such
piece belongs to the region of its corner above the threshold, and the union of a region's pieces is
its outline. Pieces of neighbouring cells meet without a gap, because both compute the crossing on
their common edge from the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float, Int
from shapely.affinity import affine_transform
from shapely.geometry.base import BaseGeometry

from cxrloc.images.geometry import inverse, transform_boxes
from cxrloc.localization.regions import check_thresholds, excess_over, label_regions, scale_maps
from cxrloc.types import Heatmaps

_INNER = np.linspace(0.0, 1.0, 9)[1:-1, None]  # points of a level line between the ends of a piece

_SAME = 1e-12  # crossings nearer than this share of a cell are one: their order is rounding


def heatmap_outlines(
    heatmaps: Heatmaps, finding: str, thresholds: Sequence[float]
) -> list[BaseGeometry]:
    """The outline of every region of one finding in pixels, clipped at the border of the image.

    Returns:
        One geometry per region, in the order of `find_regions`. A geometry is empty if its region
        lies completely outside the image; it has several polygons if the border divides the region.

    Raises:
        UsageError: a threshold is outside [0, 255).

    >>> from cxrloc.types import Affine
    >>> scores, to_image = np.array([[[9.0, 1.0, 9.0]]]), Affine(xx=100.0, yy=100.0)
    >>> heatmaps = Heatmaps("00000032_037", ("Mass",), scores, to_image, 100, 250)
    >>> [outline.bounds for outline in heatmap_outlines(heatmaps, "Mass", thresholds=[127.5])]
    [(0.0, 0.0, 100.0, 100.0), (200.0, 0.0, 250.0, 100.0)]
    """
    to = heatmaps.to_image
    image = shapely.box(0, 0, heatmaps.image_columns, heatmaps.image_rows)
    row = heatmaps.findings.index(finding)
    on_grid = transform_boxes(inverse(to), np.array([[0.0, 0.0, *image.bounds[2:]]]))[0]
    rows, columns = heatmaps.scores.shape[1:]
    around = max(0.0, *-on_grid[:2], *(on_grid[2:] - [columns, rows]))
    return [
        affine_transform(polygon, (to.xx, to.xy, to.yx, to.yy, to.x0, to.y0)).intersection(image)
        for polygon in region_polygons(heatmaps.scores[row : row + 1], thresholds, around)
    ]


def region_polygons(
    maps: Float[np.ndarray, "map row col"], thresholds: Sequence[float], around: float = 0.0
) -> list[BaseGeometry]:
    """The outline of every region in grid coordinates, in the order of `find_regions`.

    Each outline is a polygon with the region's holes. It is exact on the lines between centres;
    between these lines the level line is drawn through nine of its points. An outline has several
    polygons only if the connection between two parts is narrower than float64 can resolve.

    Args:
        maps: raw scores, of any scale; degenerate maps give no polygon.
        thresholds: each at least 0 and below 255.
        around: how far the surface extends beyond the grid, in cells.

    Raises:
        UsageError: a threshold is outside [0, 255).

    >>> left, right = region_polygons(np.array([[[9.0, 1.0, 9.0]]]), thresholds=[127.5])
    >>> left.area, right.bounds
    (1.0, (2.0, 0.0, 3.0, 1.0))
    """
    scaled, _ = scale_maps(maps)
    excess = excess_over(scaled, check_thresholds(thresholds))
    labels, count = label_regions(excess)
    rings, region = _rings(_cells(excess, labels, around))
    order = np.argsort(region, kind="stable")
    pieces = np.asarray(shapely.polygons(rings[order]))
    of_region = np.split(pieces, np.cumsum(np.bincount(region, minlength=1))[1:-1])
    # With a tolerance of 0, `simplify` removes only points on straight lines.
    return [shapely.simplify(shapely.union_all(of_region[k]), 0) for k in range(count)]


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Rectangles between four centres, or between centres and the border, with a corner above 0.

    The order of the corners is top left, top right, bottom left, bottom right.
    """

    excess: Float[np.ndarray, "4 cell"]
    labels: Int[np.ndarray, "4 cell"]
    corner: Float[np.ndarray, "cell 2"]
    size: Float[np.ndarray, "cell 2"]


def _cells(
    excess: Float[np.ndarray, "plane row col"],
    labels: Int[np.ndarray, "plane row col"],
    border: float,
) -> _Cells:
    # Beyond the outermost centres the surface is constant, so their values are repeated there.
    around = ((0, 0), (1, 1), (1, 1))
    excess, labels = np.pad(excess, around, mode="edge"), np.pad(labels, around, mode="edge")
    near, far = slice(None, -1), slice(1, None)
    corners = ((near, near), (near, far), (far, near), (far, far))
    in_corner = np.stack([labels[:, r, c] for r, c in corners])
    plane, row, column = np.nonzero(in_corner.any(axis=0))
    y, x = (_places(cells - 2, border) for cells in labels.shape[1:])
    return _Cells(
        excess=np.stack([excess[:, r, c][plane, row, column] for r, c in corners]),
        labels=in_corner[:, plane, row, column],
        corner=np.stack([x[column], y[row]], axis=1),
        size=np.stack([np.diff(x)[column], np.diff(y)[row]], axis=1),
    )


def _places(cells: int, border: float) -> Float[np.ndarray, " place"]:
    """Coordinates along an axis: the start of the surface, the centres, the end of the surface."""
    return np.concatenate([[-border], np.arange(cells) + 0.5, [cells + border]])


def _rings(cells: _Cells) -> tuple[Float[np.ndarray, "piece point 2"], Int[np.ndarray, " piece"]]:
    """Pieces of regions as closed rings, and the region of each piece.

    Let u and v run from 0 to 1 across and down a cell. The surface is t(u) on the top edge and b(u)
    on the bottom edge, and both are linear. The zeros of t and b divide the cell into three strips.
    Within a strip, the part above 0 is everything, or nothing, or lies between one of the two edges
    and the level line v = t / (t - b).
    """
    a, b, c, d = cells.excess
    in_a, in_b, in_c, in_d = cells.labels
    top, bottom = _zero(a, b), _zero(c, d)
    bottom = np.where(np.abs(top - bottom) < _SAME, top, bottom)
    ends = np.sort(
        [np.zeros_like(a), np.maximum(top, 0), np.maximum(bottom, 0), np.ones_like(a)], axis=0
    )
    middle = (ends[:-1] + ends[1:]) / 2  # strip cell
    in_top = np.where(middle < top, in_a, in_b)
    in_bottom = np.where(middle < bottom, in_c, in_d)
    strip, cell = np.nonzero((ends[:-1] < ends[1:]) & ((in_top > 0) | (in_bottom > 0)))
    in_top, in_bottom = in_top[strip, cell], in_bottom[strip, cell]
    base = np.where(in_top > 0, 0.0, 1.0)
    ends = np.stack([ends[strip, cell], ends[strip + 1, cell]])  # 2 piece
    # The level line ends on the top edge at the zero of t, and on the bottom edge at the zero of b.
    # If the two zeros are equal, the saddle is at 0, and the line ends on the edge of its piece.
    at_top, at_bottom = ends == top[cell], ends == bottom[cell]
    at_edge = np.select([at_top & at_bottom, at_top, at_bottom], [base, 0.0, 1.0], default=np.nan)
    u, v = _level_line(ends, at_edge, cells.excess[:, cell])  # point piece
    v = np.where((in_top > 0) & (in_bottom > 0), 1.0, v)
    around = [np.vstack([ends[0], u, ends[1], ends[0]]), np.vstack([base, v, base, base])]
    rings = cells.corner[cell] + np.stack(around, axis=-1) * cells.size[cell]  # point piece 2
    return rings.swapaxes(0, 1), np.maximum(in_top, in_bottom)


def _zero(
    start: Float[np.ndarray, " edge"], end: Float[np.ndarray, " edge"]
) -> Float[np.ndarray, " edge"]:
    """The position where an edge crosses 0, as a share of its length; -1 if it does not cross."""
    crosses = (start > 0) != (end > 0)
    return np.divide(start, start - end, out=np.full_like(start, -1.0), where=crosses)


def _level_line(
    u: Float[np.ndarray, "2 piece"],
    at_edge: Float[np.ndarray, "2 piece"],
    corners: Float[np.ndarray, "4 piece"],
) -> tuple[Float[np.ndarray, "point piece"], Float[np.ndarray, "point piece"]]:
    """Points (u, v) on the level line v = t / (t - b) between two values of u.

    The points are dense where the hyperbola bends. Both u and v are ratios of functions that are
    linear in the parameter. The weights below distribute the points evenly over the two axes, since
    t - b is linear in u. If `at_edge` is not NaN, it is the value of v at that end.
    """
    a, b, c, d = corners
    t = (1 - u) * a + u * b
    fall = t - ((1 - u) * c + u * d)  # 2 piece
    v = np.clip(np.divide(t, fall, out=np.zeros_like(t), where=fall != 0), 0, 1)
    v = np.where(np.isnan(at_edge), v, at_edge)
    # The weight must not be 0, because the ratios divide by it where the surface is constant in v.
    weight = np.sqrt(np.maximum(np.abs(fall), np.finfo(np.float64).tiny))
    return _between(u, weight[::-1]), _between(v, weight)


def _between(
    ends: Float[np.ndarray, "2 piece"], weights: Float[np.ndarray, "2 piece"]
) -> Float[np.ndarray, "point piece"]:
    """Points from one end to the other as weighted means of the ends; exact at both ends."""
    first, last = (1 - _INNER) * weights[0], _INNER * weights[1]
    return np.vstack([ends[0], (first * ends[0] + last * ends[1]) / (first + last), ends[1]])
