"""The pointing game: whether the highest point of a map lies on the truth.

A map of 1 x 4 cells over an image of 4 x 1 pixels, with truth in the last pixel:

    scores  1  9  2  5     its highest point is (1.5, 0.5)
    truth   .  .  .  #     1.5 pixels away: a miss, and a hit with a tolerance of 1.5
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from cxrloc.datasets.chexlocalize import Point
from cxrloc.datasets.shapes import mask_pixels
from cxrloc.evaluation.localization.controls import PlacedMaps
from cxrloc.evaluation.localization.outlines import geometry_of
from cxrloc.evaluation.localization.overlap import equal_keys
from cxrloc.evaluation.localization.scored_pairs import ScoredPairs
from cxrloc.localization.regions import scale_maps
from cxrloc.types import Mask

TOLERANCE = 15.0
"""Pixels of the original image, the number of Zhang et al. 2016 (there on photographs)."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Where a model or a reader points, in pixels of the image, and for which pairs."""

    places: Float[np.ndarray, "n 2"]
    pair: Int[np.ndarray, " n"]


def place_points(pairs: ScoredPairs, points: Sequence[Point]) -> Points:
    """A reader's points on the images and findings of these pairs; others are left out."""
    row = {image_id: index for index, image_id in enumerate(pairs.image_ids)}
    column = {finding: index for index, finding in enumerate(pairs.findings)}
    on_pairs = [point for point in points if point.image_id in row and point.finding in column]
    return Points(
        places=np.array([(point.x, point.y) for point in on_pairs], dtype=float).reshape(-1, 2),
        pair=np.array(
            [row[p.image_id] * len(column) + column[p.finding] for p in on_pairs], dtype=int
        ),
    )


def highest_points(maps: Sequence[PlacedMaps]) -> Points:
    """The centre of the highest cell of each map; of equal cells, the first in raster order.

    Cells whose centre lies outside the image, as in padding, do not count. A degenerate map
    points nowhere.
    """
    places, pair = [np.empty((0, 2))], [np.empty(0, dtype=int)]
    for each in maps:
        _, kept = scale_maps(each.scores)
        rows, columns = each.scores.shape[1:]
        cell = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
        centres = (cell + 0.5) * each.scale[kept, None, :2] + each.shift[kept, None, :2]
        inside = ((centres >= 0) & (centres < each.limit[kept, None, :2])).all(axis=-1)
        scores = np.where(inside, each.scores[kept].reshape(kept.size, rows * columns), -np.inf)
        best = scores.argmax(axis=1)
        points = np.take_along_axis(centres, best[:, None, None], axis=1)[:, 0]
        is_visible = inside.any(axis=1)
        places.append(points[is_visible])
        pair.append(each.pair[kept[is_visible]])
    return Points(np.concatenate(places), np.concatenate(pair))


def distances_to_truth(pairs: ScoredPairs, points: Points) -> Float[np.ndarray, " n"]:
    """Pixels from each point to the nearest truth of its pair: 0 on it, infinite without truth.

    Zhang et al. 2016, section 4.1 (pointing game), use the distance with a tolerance; Saporta et
    al. 2022 (hit rate), without. A point is a hit if the distance is at most the tolerance.
    Accuracy = hits / pairs with truth, so a pair without a point is a miss.
    """
    point, truth = equal_keys(points.pair, pairs.truth_pair)
    outlines = np.array([geometry_of(pairs, index) for index in truth.tolist()], dtype=object)
    apart = np.asarray(shapely.distance(shapely.points(points.places[point]), outlines))
    for match, index in enumerate(truth.tolist()):
        if isinstance(mask := pairs.shapes[index], Mask):
            size = pairs.size[pairs.truth_pair[index] // len(pairs.findings)]
            apart[match] = _distance_to_mask(mask, size, points.places[point[match]])
    nearest = np.full(points.pair.size, np.inf)
    np.minimum.at(nearest, point, apart)
    return nearest


def pairs_hit(
    pairs: ScoredPairs, points: Points, tolerance: float = 0.0
) -> Bool[np.ndarray, " pair"]:
    """The pairs with truth in ascending order, and whether each has a point within the tolerance.

    A reader may set several points on a pair; one of them within the tolerance is enough.
    """
    hits = points.pair[distances_to_truth(pairs, points) <= tolerance]
    return np.isin(np.unique(pairs.truth_pair), hits)


def _distance_to_mask(
    mask: Mask, size: Float[np.ndarray, "2"], place: Float[np.ndarray, "2"]
) -> float:
    """The distance from a place to the nearest mask pixel on an image of these columns and rows."""
    step = size / np.array([mask.columns, mask.rows])
    low = np.argwhere(mask_pixels(mask))[:, ::-1] * step
    gap = np.maximum(np.maximum(low - place, place - low - step), 0.0)
    return float(np.sqrt((gap**2).sum(axis=1)).min())
