"""Draws the size of a lesion and its place in the lungs."""

from collections.abc import Callable

import numpy as np
from shapely import Polygon, unary_union
from shapely.geometry.base import BaseGeometry

from cxrloc.phantom.anatomy import Anatomy, heart, lung, mediastinum
from cxrloc.phantom.curves import Points


def log_normal(
    rng: np.random.Generator, median: float, spread: float, low: float, high: float
) -> float:
    """A log-normal length about a median, clipped to low and high; `spread` is of the logarithm."""
    return float(np.clip(median * np.exp(spread * rng.normal()), low, high))


def area_of(points: Points) -> BaseGeometry:
    """An outline as a shapely area; one that crosses itself is repaired.

    >>> area_of(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])).area
    2.0
    """
    return Polygon(points).buffer(0)


def visible_lung(anatomy: Anatomy, side: int) -> BaseGeometry:
    """The part of a lung that is not hidden by the heart or the great vessels."""
    hidden = unary_union([area_of(heart(anatomy)), area_of(mediastinum(anatomy)[0])])
    return area_of(lung(anatomy, side)).difference(hidden)


def placed(
    rng: np.random.Generator,
    field: BaseGeometry,
    shape: Callable[[tuple[float, float]], BaseGeometry],
    heights: tuple[float, float] = (0.0, 1.0),
    inside: float = 0.85,
) -> tuple[tuple[float, float], BaseGeometry]:
    """A random place for a shape in the field.

    At least the share `inside` of the shape lies in the field; if 40 tries find no such place, the
    best of them is taken.

    Returns:
        The place, and the part of the shape that lies in the field.
    """
    x_min, y_min, x_max, y_max = field.bounds
    best: tuple[float, tuple[float, float], BaseGeometry] | None = None
    for _ in range(40):
        low, high = (y_min + part * (y_max - y_min) for part in heights)
        place = (float(rng.uniform(x_min, x_max)), float(rng.uniform(low, high)))
        whole = shape(place)
        part = whole.intersection(field)
        share = part.area / whole.area
        if best is None or share > best[0]:
            best = (share, place, part)
        if share >= inside:
            break
    assert best is not None
    return best[1], best[2]
