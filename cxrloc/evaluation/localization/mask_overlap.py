"""Thresholded maps against the area of the truth, at every level of a ladder: mIoU and PxAP.

A map and a level, above (o) and truth (#), both (@):

    ..o.     above = 3 cells, truth = 4, common = 2
    .#@.     IoU = 2 / (3 + 4 - 2) = 2/5
    .#@.     pixel precision = common / above = 2/3
    ....     pixel recall = common / truth = 2/4

Areas are shares of the image, sampled on a square grid. A sample is above a level where the
bilinear surface of the map (`localization.regions`), scaled from 0 to 255 by its own minimum and
maximum, is strictly above. Places outside the map's grid are not above any level.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from cxrloc.evaluation.localization.controls import PlacedMaps
from cxrloc.evaluation.localization.scored_pairs import ScoredPairs
from cxrloc.evaluation.localization.truth_shares import truth_shares
from cxrloc.localization.regions import FULL_SCALE, scale_maps

LEVELS = np.arange(100) * (FULL_SCALE / 100)
"""The levels from which thresholds are chosen: 0, 2.55, ... 252.45 grey levels."""

_MAPS_AT_ONCE = 16  # the samples of this many maps fit into the cache


@dataclass(frozen=True, slots=True, eq=False)
class MapAreas:
    """Areas of maps and truth, as shares of their images.

    Attributes:
        pair: every pair that is scored or has truth; a pair without a usable map has no area
            above any level.
        above: area above each level.
        common: the part of it inside the truth.
        truth: area of the truth, 0 where the pair has none.
    """

    pair: Int[np.ndarray, " pair"]
    above: Float[np.ndarray, "pair level"]
    common: Float[np.ndarray, "pair level"]
    truth: Float[np.ndarray, " pair"]


def map_areas(
    pairs: ScoredPairs,
    maps: Sequence[PlacedMaps],
    levels: Float[np.ndarray, " level"] = LEVELS,
    samples: int = 256,
) -> MapAreas:
    """Areas above each level; `levels` ascend, `samples` is the side of the grid."""
    pair = np.union1d(np.flatnonzero(pairs.scored), pairs.truth_pair)
    above, common = np.zeros((2, pair.size, levels.size))
    truth = np.zeros(pair.size)
    for start in range(0, pair.size, _MAPS_AT_ONCE):
        chunk = slice(start, start + _MAPS_AT_ONCE)
        truth[chunk] = truth_shares(pairs, pair[chunk], samples).mean(axis=(1, 2))
    for each in maps:
        for number, surfaces in _surfaces(each, samples):
            index = np.searchsorted(pair, number)
            inside = truth_shares(pairs, number, samples)
            above[index] = _areas_above(surfaces, np.ones_like(inside), levels)
            common[index] = _areas_above(surfaces, inside, levels)
    return MapAreas(pair, above, common, truth)


def area_iou(areas: MapAreas) -> Float[np.ndarray, "pair level"]:
    """IoU of thresholded map and truth for each pair; NaN where neither has any area.

    Source: Saporta et al. 2022 (CheXlocalize), Methods. A map without truth (a false positive) and
    truth without a map (a false negative) count as 0. The mean over pairs is the mIoU.

    >>> one = MapAreas(
    ...     np.array([0]), np.array([[3 / 16]]), np.array([[2 / 16]]), np.array([4 / 16])
    ... )
    >>> area_iou(one)
    array([[0.4]])
    """
    union = areas.above + areas.truth[:, None] - areas.common
    return np.divide(areas.common, union, out=np.full_like(union, np.nan), where=union > 0)


def pixel_average_precision(
    above: Float[np.ndarray, "*group level"],
    common: Float[np.ndarray, "*group level"],
    truth: Float[np.ndarray, "*group"],
    images: Float[np.ndarray, "*group"],
) -> Float[np.ndarray, "*group"]:
    """PxAP: the area under the curve of pixel precision over pixel recall, for areas of all images.

    Source: Choe et al. 2020, section 3.3: PxAP = sum over levels of PxPrec (PxRec - PxRec of the
    level above), from the highest level down to all pixels. 0 where there is no truth.

    The example has one image with truth of area 1/4, and two levels. Above the higher level lies
    1/8 of the image, all of it in the truth; above the lower level lies 1/2, with all of the truth:
    1 x 1/2 + 1/2 x 1/2.

    >>> pixel_average_precision(
    ...     np.array([0.5, 0.125]), np.array([0.25, 0.125]), np.array(0.25), np.array(1.0)
    ... )
    array(0.75)
    """
    # Prepend a level below all others: every pixel is above it, so recall reaches 1.
    found = np.concatenate([truth[..., None], common], axis=-1)[..., ::-1]
    drawn = np.concatenate([images[..., None], above], axis=-1)[..., ::-1]
    precision = np.divide(found, drawn, out=np.zeros_like(found), where=drawn > 0)
    gained = np.diff(found, axis=-1, prepend=0.0)
    total = (precision * gained).sum(axis=-1)
    return np.asarray(np.divide(total, truth, out=np.zeros_like(total), where=truth > 0))


def _surfaces(
    maps: PlacedMaps, samples: int
) -> Iterator[tuple[Int[np.ndarray, " map"], Float32[np.ndarray, "map row col"]]]:
    """Scaled surfaces at the centres of the samples, a few maps at a time.

    Degenerate maps are left out.

    A sample outside the map's grid is -1.
    """
    scaled, kept = scale_maps(maps.scores)
    shares = (np.arange(samples) + 0.5) / samples
    for start in range(0, kept.size, _MAPS_AT_ONCE):
        chunk = kept[start : start + _MAPS_AT_ONCE]
        on_image = shares * maps.limit[chunk, :2, None]  # map axis sample
        on_grid = (on_image - maps.shift[chunk, :2, None]) / maps.scale[chunk, :2, None]
        across = _weights(on_grid[:, 0], maps.scores.shape[2])
        down = _weights(on_grid[:, 1], maps.scores.shape[1])
        grid = scaled[start : start + _MAPS_AT_ONCE]
        values = down @ grid @ across.swapaxes(1, 2)
        in_x, in_y = (
            (place >= 0) & (place <= n)
            for place, n in zip(on_grid.swapaxes(0, 1), maps.scores.shape[:0:-1], strict=True)
        )
        outside = ~(in_y[:, :, None] & in_x[:, None, :])
        values[outside] = -1.0
        yield maps.pair[chunk], values.astype(np.float32)


def _weights(
    place: Float[np.ndarray, "map sample"], cells: int
) -> Float[np.ndarray, "map sample cell"]:
    """The weight of each cell in the linear interpolation at each place.

    Beyond the centres of the outer cells the surface is constant.
    """
    centre = np.clip(place - 0.5, 0, cells - 1)
    return np.maximum(1 - np.abs(centre[:, :, None] - np.arange(cells)), 0.0)


def _areas_above(
    surfaces: Float32[np.ndarray, "map row col"],
    weight: Float32[np.ndarray, "map row col"],
    levels: Float[np.ndarray, " level"],
) -> Float[np.ndarray, "map level"]:
    """The weighted share of each map's samples that lies above each level."""
    maps, bins = surfaces.shape[0], levels.size + 1
    # The number of levels that each sample is strictly above.
    passed = np.searchsorted(levels.astype(np.float32), surfaces.reshape(maps, -1))
    passed += np.arange(maps)[:, None] * bins
    sums = np.bincount(passed.reshape(-1), weight.reshape(-1), minlength=maps * bins)
    counts = sums.reshape(maps, bins)[:, :0:-1].cumsum(axis=1)[:, ::-1]
    return counts / surfaces[0].size
