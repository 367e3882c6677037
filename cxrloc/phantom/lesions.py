"""The eight findings, each drawn with its typical appearance inside the lungs of one anatomy.

A lesion's true box is the bounding box of its outlines. Sizes are log-normal about the median
widths and heights of the boxes in ChestX-ray14's `BBox_List_2017.csv`. A lesion may lie anywhere
that its finding occurs, so that one fixed box per finding is rarely right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from shapely import Polygon, unary_union
from shapely.geometry.base import BaseGeometry

from cxrloc.phantom.anatomy import SIDES, Anatomy, dome, heart, hila, lung, wall
from cxrloc.phantom.curves import (
    Points,
    blob,
    ellipse,
    first_below,
    normals,
    outlines,
    scaled,
    smooth,
    smooth_closed,
    tube,
)
from cxrloc.phantom.placement import area_of, log_normal, placed, visible_lung


@dataclass(frozen=True, slots=True)
class Lesion:
    """One finding on one image, in body coordinates.

    Attributes:
        finding: its name.
        outlines: outlines that the box encloses.
        fills: outlines with their density, 0 to 1, drawn one over the other.
        opacity: share of the lung's air that it replaces where its density is 1.
        softness: standard deviation of the blur of its edges.
        patchiness: 0 is a homogeneous opacity, 1 is an opacity that is patchy everywhere.
        lines: air bronchograms (pneumonia) or the visceral pleura (pneumothorax).
    """

    finding: str
    outlines: tuple[Points, ...]
    fills: tuple[tuple[Points, float], ...] = ()
    opacity: float = 0.0
    softness: float = 0.004
    patchiness: float = 0.0
    lines: tuple[Points, ...] = ()


def _filled(area: BaseGeometry) -> tuple[tuple[Points, float], ...]:
    return tuple((outline, 1.0) for outline in outlines(area))


def cardiomegaly(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Lesion:
    """An enlarged heart, which the anatomy draws; the box is that of the heart's silhouette."""
    return Lesion("Cardiomegaly", (heart(anatomy),))


def effusion(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Lesion:
    """Fluid in the costophrenic angle under a meniscus that climbs towards the side wall."""
    height = log_normal(rng, 0.28, 0.9, 0.08, 0.8 * anatomy.height)
    half_width = anatomy.patient.half_width
    width = log_normal(rng, 0.215 * (height / 0.27) ** 0.35, 0.4, 0.09, 0.88 * half_width)
    bottom = anatomy.angles[side > 0]
    pleura = wall(anatomy, side)
    outer = (
        abs(float(pleura[first_below(pleura, bottom - height), 0]) - anatomy.midline) / half_width
    )
    inner = 1 - width / half_width
    diaphragm = dome(anatomy, side)
    edge = anatomy.midline + side * inner * half_width
    low = float(diaphragm[np.abs(diaphragm[:, 0] - edge).argmin(), 1])
    across = np.linspace(1.05, inner, 20)
    climb = np.clip((outer - across) / (outer - inner), 0, 1) ** rng.uniform(0.6, 0.9)
    top = bottom - height
    meniscus = np.stack(
        [anatomy.midline + side * across * half_width, top + (low - top) * climb], axis=1
    )
    corners = [(edge, bottom + 0.1), (anatomy.midline + side * 1.05 * half_width, bottom + 0.1)]
    below = np.concatenate([meniscus, corners])
    fluid = area_of(lung(anatomy, side)).intersection(area_of(below))
    deep = fluid.intersection(area_of(below + np.array([0, 0.18 * height])))
    parts = outlines(fluid)
    fills = (*((part, 0.75) for part in parts), *_filled(deep))
    return Lesion("Effusion", parts, fills, rng.uniform(0.12, 0.75), 0.006)


def pneumothorax(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Lesion:
    """Air along the chest wall; the visceral pleura of the shrunken lung is a fine line."""
    pleura = wall(anatomy, side)
    extent = log_normal(rng, 0.235, 0.7, 0.08, 0.85 * anatomy.height)
    if rng.random() < 0.6:  # air rises: most are apical
        first = int(rng.integers(1, 24))
        start = float(pleura[:, 1].min())
    else:
        start = anatomy.top + rng.uniform(0.15, 0.6) * anatomy.height
        extent = min(extent, anatomy.angles[side > 0] - 0.02 - start)
        first = first_below(pleura, start)
    last = max(first_below(pleura, start + extent), first + 4)
    outer = pleura[first : last + 1]
    gap = log_normal(rng, 0.068, 0.4, 0.033, 0.14)
    taper = np.sin(np.pi * np.linspace(0, 1, len(outer))) ** 0.6
    inner = outer + normals(outer) * (gap * taper * side)[:, None]
    space = np.concatenate([outer, inner[::-1]])
    return Lesion("Pneumothorax", (space,), ((space, 1.0),), 0.0, 0.0015, lines=(inner,))


def atelectasis(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Lesion:
    """Collapsed lung: parallel plates, or a wedge that points to the hilum."""
    width = log_normal(rng, 0.185, 0.45, 0.08, 0.34)
    height = log_normal(rng, 0.13, 0.45, 0.06, 0.3)
    shape = _plates if rng.random() < 0.5 else _wedge
    field = visible_lung(anatomy, side)
    hilum = hila(anatomy)[side > 0]
    form = int(rng.integers(2**31))

    def collapsed(place: tuple[float, float]) -> BaseGeometry:
        return shape(np.random.default_rng(form), place, (width, height), hilum)

    _, area = placed(rng, field, collapsed, (0.25, 1.0), 0.9)
    return Lesion("Atelectasis", outlines(area), _filled(area), rng.uniform(0.33, 0.72), 0.003)


def _plates(
    rng: np.random.Generator,
    place: tuple[float, float],
    size: tuple[float, float],
    hilum: tuple[float, float],
) -> BaseGeometry:
    """One to three bands of 5 to 10 mm, nearly horizontal."""
    width, height = size
    count = int(rng.integers(1, 4))
    outward = np.sign(place[0] - hilum[0])
    thick = rng.uniform(0.012, 0.024)
    rise = rng.uniform(0.3, 1.0) * (height - thick) / (1 + 0.4 * (count > 1))
    step = (height - thick - rise) / max(count - 1, 1)
    x = np.linspace(-0.5, 0.5, 9)
    bands = []
    for number in range(count):
        shrink = 1.0 if number == 0 else rng.uniform(0.6, 0.95)
        y = outward * rise * x + 0.15 * rise * (4 * x * x - 1)
        y = y + (number - (count - 1) / 2) * step
        line = np.stack([place[0] + shrink * width * x, place[1] + y], axis=1)
        bands.append(area_of(tube(line, thick / 2 * (1.15 - x * x))))
    return unary_union(bands)


def _wedge(
    rng: np.random.Generator,
    place: tuple[float, float],
    size: tuple[float, float],
    hilum: tuple[float, float],
) -> BaseGeometry:
    """A triangle with hollow sides, its tip towards the hilum."""
    width, height = size
    inward = np.sign(hilum[0] - place[0])
    tip = rng.uniform(-0.4, 0.4)
    hollow = rng.uniform(0.05, 0.2)
    corners = [(0.5, tip), (0.1, tip / 2 - 0.25 + hollow), (-0.5, -0.5), (-0.45, 0.0), (-0.5, 0.5)]
    corners += [(0.1, tip / 2 + 0.25 - hollow)]
    outline = np.array(corners) * (inward * width, height)
    return area_of(smooth_closed(np.asarray(place) + outline))


def _ball(outline: Points) -> tuple[tuple[Points, float], ...]:
    """Rings whose density is the thickness of a ball, sqrt(1 - r²)."""
    radii = np.linspace(1, 0.15, 8)
    return tuple((scaled(outline, r), float(np.sqrt(1 - (0.92 * r) ** 2))) for r in radii)


def nodule(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Lesion:
    """A round opacity below 3 cm (about 0.078 of an image 38 cm wide)."""
    width = float(np.clip(rng.normal(0.067, 0.01), 0.042, 0.077))
    radii = (width / 2, min(width * np.exp(0.06 * rng.normal()), 0.077) / 2)
    place, _ = placed(
        rng, visible_lung(anatomy, side), lambda at: area_of(ellipse(at, radii)), inside=0.95
    )
    outline = blob(rng, place, radii, 0.05)
    return Lesion("Nodule", (outline,), _ball(outline), rng.uniform(0.2, 0.55), 0.003)


def mass(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Lesion:
    """A round or lobulated opacity above 3 cm."""
    width = log_normal(rng, 0.111, 0.35, 0.084, 0.27)
    height = log_normal(rng, width * 1.07, 0.18, 0.084, 0.3)
    radii = (width / 2, height / 2)
    place, _ = placed(
        rng, visible_lung(anatomy, side), lambda at: area_of(ellipse(at, radii)), inside=0.85
    )
    outline = blob(rng, place, radii, 0.13, (2, 3, 5))
    return Lesion("Mass", (outline,), _ball(outline), rng.uniform(0.12, 0.55), 0.004)


def infiltration(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Lesion:
    """Ill-defined patches scattered over a region of one lung, sometimes of both lungs."""
    width, height = log_normal(rng, 0.235, 0.35, 0.12, 0.36), log_normal(rng, 0.295, 0.4, 0.12, 0.5)
    both = rng.random() < 0.15
    patches: list[BaseGeometry] = []
    for lung_side in SIDES if both else (side,):
        field = visible_lung(anatomy, lung_side)
        place, _ = placed(
            rng, field, lambda at: area_of(ellipse(at, (width / 2, height / 2))), inside=0.8
        )
        for _ in range(int(rng.integers(9, 15))):
            radius = rng.uniform(0.14, 0.26) * min(width, height)
            angle, far = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 1))
            centre = (
                place[0] + far * np.cos(angle) * (width / 2 - radius),
                place[1] + far * np.sin(angle) * (height / 2 - radius),
            )
            patch = area_of(blob(rng, centre, (radius, radius), 0.25))
            patches.append(patch.intersection(field))
    area = unary_union(patches)
    return Lesion(
        "Infiltration",
        outlines(area),
        _filled(area),
        rng.uniform(0.14, 0.45),
        0.012,
        patchiness=0.8,
    )


def pneumonia(rng: np.random.Generator, anatomy: Anatomy, side: int) -> Lesion:
    """A consolidated lobe or part of one, homogeneous, with air bronchograms.

    One edge is sharp, at a fissure.
    """
    width, height = log_normal(rng, 0.225, 0.38, 0.1, 0.4), log_normal(rng, 0.255, 0.5, 0.1, 0.55)
    parts = [
        _lobe(rng, anatomy, lung_side, (width, height))
        for lung_side in (SIDES if rng.random() < 0.16 else (side,))
    ]
    area = unary_union([lobe for lobe, _ in parts])
    return Lesion(
        "Pneumonia",
        outlines(area),
        _filled(area),
        rng.uniform(0.1, 0.44),
        0.005,
        patchiness=0.25,
        lines=tuple(line for _, bronchi in parts for line in bronchi),
    )


def _lobe(
    rng: np.random.Generator, anatomy: Anatomy, side: int, size: tuple[float, float]
) -> tuple[BaseGeometry, list[Points]]:
    """Consolidation with one straight edge, at a fissure, and the bronchi that show in it."""
    width, height = size
    upper = rng.random() < 0.35  # the fissure bounds an upper lobe below, a lower lobe above
    tilt = rng.uniform(-0.1, 0.25)
    form = int(rng.integers(2**31))

    def lobe(place: tuple[float, float]) -> BaseGeometry:
        outline = blob(np.random.default_rng(form), place, (0.56 * width, 0.56 * height), 0.12)
        x = np.array([-1.0, 1.0])
        fissure = place[1] + (0.42 if upper else -0.42) * height + side * tilt * x * width / 2
        far = place[1] + (-1.0 if upper else 1.0)
        keep = [(place[0] - width, fissure[0]), (place[0] + width, fissure[1])]
        keep += [(place[0] + width, far), (place[0] - width, far)]
        return area_of(outline).intersection(Polygon(keep))

    heights = (0.1, 0.6) if upper else (0.3, 1.0)
    _, area = placed(rng, visible_lung(anatomy, side), lobe, heights, 0.75)
    centre = np.array([area.centroid.x, area.centroid.y])
    start = centre + 0.3 * (np.array(hila(anatomy)[side > 0]) - centre)
    bronchi = []
    for _ in range(int(rng.integers(4, 8))):
        end = centre + rng.normal(size=2) * (0.24 * width, 0.24 * height)
        bend = (start + end) / 2 + rng.normal(0, 0.012, 2)
        bronchi.append(smooth(np.array([start, bend, end])))
    return area, bronchi


LESIONS: dict[str, Callable[[np.random.Generator, Anatomy, int], Lesion]] = {
    "Atelectasis": atelectasis,
    "Cardiomegaly": cardiomegaly,
    "Effusion": effusion,
    "Infiltration": infiltration,
    "Mass": mass,
    "Nodule": nodule,
    "Pneumonia": pneumonia,
    "Pneumothorax": pneumothorax,
}
