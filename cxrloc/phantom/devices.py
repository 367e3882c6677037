"""Objects on the image that are not part of the body: drain, electrodes, leads, side marker."""

import numpy as np

from cxrloc.phantom.anatomy import Anatomy
from cxrloc.phantom.canvas import Fill
from cxrloc.phantom.curves import Points, ellipse, smooth, tube
from cxrloc.types import View


def drain_fills(path: Points) -> list[Fill]:
    """A chest drain: two walls and a radio-opaque stripe."""
    line = smooth(path)
    walls = [(tube(line, 0.0058), 0.75), (tube(line, 0.0042), 0.35)]
    return [*walls, (tube(line, 0.0012), 1.0)]


def lead_fills(anatomy: Anatomy, rng: np.random.Generator) -> list[Fill]:
    """Electrodes and leads, on half of the AP images and few others."""
    if rng.random() > (0.5 if anatomy.view is View.AP else 0.04):
        return []
    fills: list[Fill] = []
    for _ in range(int(rng.integers(2, 5))):
        x = anatomy.midline + rng.uniform(-0.36, 0.36)
        y = anatomy.top + rng.uniform(0.0, 0.9) * anatomy.height
        start = np.array([x, y])
        end = np.array([x + rng.normal(0, 0.15), 1.1])
        bends = [start + (end - start) * part + rng.normal(0, 0.05, 2) for part in (0.3, 0.6)]
        fills.append((tube(smooth(np.array([start, *bends, end])), 0.0016), 0.55))
        fills += [(ellipse((x, y), (0.011, 0.009)), 0.45), (ellipse((x, y), (0.005, 0.005)), 1.0)]
    return fills


_L = (np.array([(0.0, 0.0), (0.0, 1.0)]), np.array([(0.0, 0.94), (0.6, 0.94)]))
_R = (
    np.array([(0.0, 0.0), (0.0, 1.0)]),
    np.array([(0.0, 0.06), (0.4, 0.06), (0.6, 0.26), (0.4, 0.5), (0.0, 0.5)]),
    np.array([(0.25, 0.5), (0.62, 1.0)]),
)


def marker_fills(rng: np.random.Generator) -> list[Fill]:
    """A lead letter, L on the image's right or R on its left, in unit image coordinates."""
    left = rng.random() < 0.7
    height = rng.uniform(0.03, 0.05)
    corner = (rng.uniform(0.86, 0.94) if left else rng.uniform(0.04, 0.1), rng.uniform(0.03, 0.18))
    return [
        (tube(np.asarray(corner) + height * s, 0.09 * height), 1.0) for s in (_L if left else _R)
    ]
