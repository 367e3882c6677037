"""Curves of the phantom chest: smooth lines through a few points, tubes, ellipses, outlines.

All curves are arrays of points (x, y) in unit coordinates: the image spans 0 to 1 along both
axes, with y down.
"""

import numpy as np
from jaxtyping import Float, Int
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

Points = Float[np.ndarray, "_ 2"]

_ANGLES = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_COS, _SIN = np.cos(_ANGLES), np.sin(_ANGLES)


def smooth(points: Points, samples: int = 8) -> Points:
    """An open Catmull-Rom spline through all points, with `samples` points per piece.

    >>> smooth(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), samples=2)[:, 0]
    array([0.    , 0.4375, 1.    , 1.5625, 2.    ])
    """
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.arange(samples)[None, :, None] / samples
    before, start, end, after = (padded[i : len(points) - 1 + i, None] for i in range(4))
    pieces = start + 0.5 * t * (
        end
        - before
        + t * (2 * before - 5 * start + 4 * end - after)
        + t * t * (3 * (start - end) + after - before)
    )
    return np.concatenate([pieces.reshape(-1, 2), points[-1:]])


def smooth_closed(points: Points, samples: int = 6) -> Points:
    """The closed Catmull-Rom spline through all points.

    >>> corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> smooth_closed(corners, samples=2).shape
    (8, 2)
    """
    around = np.concatenate([points[-1:], points, points[:2]])
    return smooth(around, samples)[samples : -1 - samples]


def normals(line: Points) -> Points:
    """Unit normals, to the right of the direction of travel when y points down.

    >>> normals(np.array([[0.0, 0.0], [2.0, 0.0]])).tolist()
    [[-0.0, 1.0], [-0.0, 1.0]]
    """
    along = np.empty_like(line)  # central differences, as np.gradient takes, in a third of its time
    along[1:-1] = (line[2:] - line[:-2]) / 2
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    along /= np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-12)
    return np.stack([-along[:, 1], along[:, 0]], axis=1)


def tube(line: Points, radius: float | Float[np.ndarray, " point"]) -> Points:
    """The outline of everything within `radius` beside a line (ends cut straight).

    >>> tube(np.array([[0.0, 0.0], [2.0, 0.0]]), 1.0).tolist()
    [[0.0, 1.0], [2.0, 1.0], [2.0, -1.0], [0.0, -1.0]]
    """
    across = normals(line) * np.reshape(radius, (-1, 1))
    return np.concatenate([line + across, (line - across)[::-1]])


def ellipse(centre: tuple[float, float], radii: tuple[float, float], turn: float = 0.0) -> Points:
    """An ellipse of 40 points, its first radius turned by `turn` radians from the x axis.

    >>> ellipse((0.5, 0.5), (0.2, 0.1))[0].tolist()
    [0.7, 0.5]
    """
    x, y = radii[0] * _COS, radii[1] * _SIN
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y], axis=1)


def blob(
    rng: np.random.Generator,
    centre: tuple[float, float],
    radii: tuple[float, float],
    bumps: float,
    waves: tuple[int, ...] = (2, 3, 4, 5),
) -> Points:
    """An ellipse with a wavy radius, like a lesion's outline; `bumps` is a share of the radius."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    phases = rng.uniform(0, 2 * np.pi, len(waves))
    sizes = rng.normal(size=len(waves)) * bumps / np.sqrt(len(waves))
    radius = 1 + sum(
        size * np.cos(wave * angle + phase)
        for size, wave, phase in zip(sizes, waves, phases, strict=True)
    )
    outline = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
    return np.asarray(centre) + outline * np.asarray(radii)


def scaled(outline: Points, factor: float) -> Points:
    """An outline shrunk or grown about its mean point.

    >>> scaled(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]), 0.5)[0].tolist()
    [0.5, 0.5]
    """
    centre = outline.mean(axis=0)
    return centre + factor * (outline - centre)


def outlines(area: BaseGeometry) -> tuple[Points, ...]:
    """The outer outlines of a shapely area; specks below 1e-5 of the image are left out.

    >>> [len(outline) for outline in outlines(Polygon([(0, 0), (1, 0), (1, 1)]))]
    [3]
    """
    parts = area.geoms if isinstance(area, MultiPolygon) else (area,)
    return tuple(
        np.asarray(part.exterior.coords, dtype=float)[:-1]
        for part in parts
        if isinstance(part, Polygon) and part.area > 1e-5
    )


def first_below(line: Points, level: float) -> int:
    """Index of the first point of a line, after its highest, that lies below y = `level`.

    >>> first_below(np.array([[0.0, 0.5], [0.0, 0.1], [0.0, 0.3], [0.0, 0.6]]), 0.4)
    3
    """
    highest = int(line[:, 1].argmin())
    below: Int[np.ndarray, " found"] = np.flatnonzero(line[highest:, 1] > level)
    return highest + int(below[0]) if below.size else len(line) - 1
