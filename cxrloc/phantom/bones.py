"""Bones, vessels and airways of the phantom as painted outlines."""

import numpy as np

from cxrloc.phantom.anatomy import SIDES, Anatomy, hila, wall
from cxrloc.phantom.canvas import Fill
from cxrloc.phantom.curves import Points, ellipse, first_below, smooth, smooth_closed, tube
from cxrloc.types import View


def spine_x(anatomy: Anatomy, y: np.ndarray) -> np.ndarray:
    """X of the vertebral bodies' centres at heights y."""
    return anatomy.midline + anatomy.patient.scoliosis * np.sin(3.5 * (y - 0.1))


def ribs(anatomy: Anatomy, side: int) -> list[tuple[Points, Points]]:
    """Centre lines of ribs 1 to 10 of one side: (posterior part, anterior part)."""
    lines = []
    edge = wall(anatomy, side)
    slope = anatomy.patient.slope
    for number in range(10):
        start = anatomy.top + anatomy.height * (-0.03 + 0.1 * number)
        fall = slope * min(1.0, 0.35 + 0.2 * number)
        turn_at = edge[first_below(edge, start + 0.75 * fall)]
        reach = side * (turn_at[0] - anatomy.midline)
        x = anatomy.midline + side * reach * np.array([0.08, 0.3, 0.6, 0.85, 0.99, 1.02])
        y = start + fall * np.array([0.05, -0.05, 0.15, 0.5, 0.85, 1.1])
        front = np.array([1.02, 0.97, 0.8, 0.55, 0.36])
        drop = 0.3 + 0.7 * min(1.0, number / 4)
        front_y = y[-1] + drop * np.array([0.0, 0.03, 0.075, 0.11, 0.125])
        back = np.stack([x, y], axis=1)
        ahead = np.stack([anatomy.midline + side * reach * front, front_y], axis=1)
        lines.append((smooth(back), smooth(ahead)))
    return lines


def clavicle(anatomy: Anatomy, side: int) -> Points:
    """The centre line of a clavicle, from the breastbone to the shoulder."""
    m, y = anatomy.midline + 0.3 * anatomy.turn, anatomy.top + 0.03
    points = [
        (0.035, 0.085),
        (0.09, 0.068),
        (0.16, 0.05),
        (0.24, 0.02),
        (0.32, -0.012),
        (0.4, -0.02),
    ]
    return smooth(np.array([(m + side * x, y + dy) for x, dy in points]))


def scapula(anatomy: Anatomy, side: int) -> Points:
    """The outline of a shoulder blade: over the lung on AP images, beside it on PA."""
    inner = -0.045 if anatomy.view is View.AP else 0.035
    x = anatomy.patient.half_width + inner
    y = anatomy.top
    points = [(-0.02, 0.03), (0.07, -0.01), (0.1, 0.05), (0.085, 0.14), (0.045, 0.24), (0.02, 0.31)]
    points += [(0.0, 0.28), (-0.02, 0.16)]
    return smooth_closed(
        np.array([(anatomy.midline + side * (x + dx), y + dy) for dx, dy in points])
    )


def arm(anatomy: Anatomy, side: int) -> Points:
    """The centre line of an upper arm: at the side on AP images, held away on PA."""
    elbow = (0.57, 0.9) if anatomy.view is View.AP else (0.72, 0.62)
    shoulder = np.array([0.42 + anatomy.patient.fat / 2, anatomy.top + 0.04])
    line = np.linspace(shoulder, np.array(elbow), 12)
    return np.stack([anatomy.midline + side * line[:, 0], line[:, 1]], axis=1)


def rib_fills(anatomy: Anatomy) -> tuple[list[Fill], list[Fill]]:
    """The ribs' posterior and anterior parts, with a dense cortex around lighter marrow."""
    back, front = [], []
    for side in SIDES:
        for number, (posterior, anterior) in enumerate(ribs(anatomy, side)):
            radius = 0.0085 + 0.0005 * min(number, 5)
            back += [(tube(posterior, radius), 1.0), (tube(posterior, 0.72 * radius), 0.62)]
            wider = np.linspace(radius, 1.35 * radius, len(anterior))
            front += [(tube(anterior, wider), 0.85), (tube(anterior, 0.78 * wider), 0.55)]
    return back, front


def spine_fills(anatomy: Anatomy) -> list[Fill]:
    """Vertebral bodies with end plates, pedicles and spinous processes."""
    fills = []
    for y in np.arange(-0.26, 1.15, 0.053):
        size = 0.03 + 0.012 * np.clip(y, 0, 1)
        half = np.array([(-1, -0.021), (-0.88, 0), (-1, 0.021), (1, 0.021), (0.88, 0), (1, -0.021)])
        x = float(spine_x(anatomy, np.array([y]))[0])
        body = half * (size, 1) + (x, y)
        fills += [(body, 0.9), (half * (0.9 * size, 0.82) + (x, y), 0.62)]
        for side in SIDES:
            fills.append((ellipse((x + side * 0.62 * size, y - 0.004), (0.0065, 0.009)), 0.95))
        turned = x - 0.4 * anatomy.turn
        fills.append((ellipse((turned, y + 0.014), (0.005, 0.012)), 0.95))
    return fills


def shoulder_fills(anatomy: Anatomy) -> tuple[list[Fill], list[Fill]]:
    """The clavicles; and the shoulder blades with the bones of the upper arms."""
    collar, blades = [], []
    for side in SIDES:
        line = clavicle(anatomy, side)
        radius = np.interp(np.linspace(0, 1, len(line)), [0, 0.25, 0.8, 1], [17, 11, 11, 14]) / 1000
        collar += [(tube(line, radius), 1.0), (tube(line, 0.66 * radius), 0.66)]
        blade = scapula(anatomy, side)
        centre = blade.mean(axis=0)
        blades += [(blade, 0.75), (centre + 0.86 * (blade - centre), 0.4)]
        upper = arm(anatomy, side)
        head = ellipse((upper[0, 0], upper[0, 1] + 0.02), (0.045, 0.05))
        blades += [(tube(upper[1:], 0.03), 1.0), (tube(upper[1:], 0.018), 0.6)]
        blades += [(head, 0.9), (ellipse((upper[0, 0], upper[0, 1] + 0.02), (0.038, 0.043)), 0.7)]
    return collar, blades


def vessel_fills(anatomy: Anatomy) -> list[Fill]:
    """Pulmonary vessels: a tree from each hilum, thinner and fainter with each branching."""
    rng = np.random.default_rng(anatomy.patient.anatomy_seed)
    fills: list[Fill] = []
    for side in SIDES:
        hilum = hila(anatomy)[side > 0]
        angles = np.deg2rad(np.linspace(-80, 82, 8) + rng.normal(0, 9, 8))
        ends = np.tile(np.asarray(hilum), (len(angles), 1)) + rng.normal(0, 0.008, (len(angles), 2))
        length, radius = 0.1 * anatomy.height / 0.57, 0.0075
        for density in (1.0, 0.8, 0.6, 0.45):
            lengths = length * rng.uniform(0.5, 1.4, len(angles))
            steps = np.stack([side * np.cos(angles), np.sin(angles)], axis=1) * lengths[:, None]
            across = np.stack([-steps[:, 1], steps[:, 0]], axis=1) / lengths[:, None]
            far = ends + steps
            quads = np.stack(
                [
                    ends + radius * across,
                    far + 0.75 * radius * across,
                    far - 0.75 * radius * across,
                    ends - radius * across,
                ],
                axis=1,
            )
            fills += [(quad, density) for quad in quads]
            spread = np.deg2rad(rng.uniform(8, 36, (2, len(angles))))
            angles = np.concatenate([angles - spread[0], angles + spread[1]])
            ends = np.concatenate([far, far])
            length, radius = 0.78 * length, 0.68 * radius
    return fills[::-1]


def gas_fills(anatomy: Anatomy, rng: np.random.Generator) -> list[Fill]:
    """The gastric bubble under the left dome, and some bowel gas; some patients have none."""
    fills: list[Fill] = []
    if rng.random() < 0.6:
        x = anatomy.midline + rng.uniform(0.12, 0.2)
        y = anatomy.angles[1] - anatomy.domes[1] + rng.uniform(0.05, 0.08)
        wide, tall = rng.uniform(0.04, 0.08), rng.uniform(0.02, 0.045)
        points = np.array([(-1, 0.4), (-0.5, -0.7), (0.4, -1), (1, 0.2), (0.8, 0.9), (-0.7, 0.9)])
        fills.append((smooth_closed(points * (wide, tall) + (x, y)), 1.0))
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.4 else 0):
        x = anatomy.midline + rng.uniform(-0.05, 0.28)
        y = anatomy.angles[1] + rng.uniform(0.06, 0.2)
        fills.append((ellipse((x, y), (rng.uniform(0.02, 0.04), rng.uniform(0.012, 0.03))), 0.7))
    return fills
