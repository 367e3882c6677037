"""Draws the pixels of a plan: attenuation along each ray, then exposure, film curve and noise.

The detector's signal after the logarithm is the sum of the attenuations along the ray, so organs
add up. Air in the lungs lowers the attenuation. Heart, vessels, fluid and consolidation replace
that air, so that nothing in a lung becomes denser than the tissue around it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from cxrloc.phantom.anatomy import (
    SIDES,
    Anatomy,
    dome,
    heart,
    hila,
    lung,
    mediastinum,
    torso,
    trachea,
)
from cxrloc.phantom.bones import (
    arm,
    gas_fills,
    rib_fills,
    shoulder_fills,
    spine_fills,
    vessel_fills,
)
from cxrloc.phantom.canvas import Canvas, Layer, layer, texture
from cxrloc.phantom.curves import ellipse, tube
from cxrloc.phantom.devices import drain_fills, lead_fills, marker_fills
from cxrloc.phantom.lesions import Lesion
from cxrloc.phantom.plan import Plan
from cxrloc.types import Affine

LUNG_AIR = 0.6
"""Attenuation that a lung's air takes away where the air is deepest; that of the trunk is 1."""


@dataclass(frozen=True, slots=True, eq=False)
class _Lungs:
    """Shares in [0, 1]: the depth of air in the healthy lungs, and its changes by lesions."""

    air: Layer
    opacity: Layer
    cleared: Layer
    pleura: Layer


def draw_plan(plan: Plan, size: int) -> Float[np.ndarray, "row col"]:
    """Grey levels in [0, 1], larger is brighter, of a square radiograph of `size` pixels."""
    canvas = Canvas(size, plan.anatomy.pose)
    rng = np.random.default_rng([plan.seed, 2, plan.index])
    lungs = _lungs(canvas, plan)
    attenuation = _body(canvas, plan.anatomy)
    depth = LUNG_AIR * rng.uniform(0.75, 1.05)
    attenuation -= lungs.air * (depth * (1 - lungs.opacity) + 0.12 * lungs.cleared)
    attenuation += 0.1 * lungs.pleura * lungs.air
    attenuation += _markings(canvas, plan.anatomy, lungs, rng)
    attenuation += _bones(canvas, plan.anatomy)
    attenuation -= 0.15 * layer(canvas, [(part, 1.0) for part in trachea(plan.anatomy)], 0.004)
    attenuation -= 0.28 * layer(canvas, gas_fills(plan.anatomy, rng), 0.004)
    attenuation += 0.25 * layer(canvas, lead_fills(plan.anatomy, rng), 0.0008)
    if plan.drain is not None:
        attenuation += 0.25 * layer(canvas, drain_fills(plan.drain), 0.0008)
    return _exposed(attenuation, rng)


def _body(canvas: Canvas, anatomy: Anatomy) -> Layer:
    """Soft tissue of trunk, arms, breasts and abdomen, without the lungs' air."""
    outline = torso(anatomy)
    trunk = 0.5 * layer(canvas, [(outline, 1.0)], 0.007)
    trunk += 0.5 * layer(canvas, [(outline, 1.0)], 0.07)
    arms = layer(canvas, [(tube(arm(anatomy, side), 0.085), 1.0) for side in SIDES], 0.012)
    body = np.maximum(trunk, 0.6 * arms)
    below = np.concatenate([dome(anatomy, -1), dome(anatomy, 1)[::-1]])
    corners = np.array([(1.5, below[-1, 1]), (1.5, 1.5), (-0.5, 1.5), (-0.5, below[0, 1])])
    abdomen = layer(canvas, [(np.concatenate([below, corners]), 1.0)], 0.03)
    body += 0.25 * abdomen * trunk
    radius = anatomy.patient.breast
    if radius:
        y = anatomy.top + 0.68 * anatomy.height
        x = 0.62 * anatomy.patient.half_width
        fills = [
            (ellipse((anatomy.midline + side * x, y), (radius, 0.95 * radius)), 1.0)
            for side in SIDES
        ]
        body += (0.08 + 0.4 * anatomy.patient.fat) * layer(canvas, fills, 0.012) * trunk
    return body


def _lungs(canvas: Canvas, plan: Plan) -> _Lungs:
    anatomy, rng = plan.anatomy, np.random.default_rng([plan.seed, 3, plan.index])
    fills = [(lung(anatomy, side), 1.0) for side in SIDES]
    air = layer(canvas, fills, 0.0025) * (0.5 + 0.6 * layer(canvas, fills, 0.03))
    column, knob = mediastinum(anatomy)
    air = air * (1 - 0.86 * layer(canvas, [(heart(anatomy), 1.0)], 0.004))
    air *= 1 - 0.94 * layer(canvas, [(column, 1.0)], 0.006)
    air *= 1 - 0.7 * layer(canvas, [(knob, 1.0)], 0.004)
    roots = [(ellipse(hilum, (0.026, 0.05)), 1.0) for hilum in hila(anatomy)]
    air *= 1 - 0.3 * layer(canvas, roots, 0.012)
    clear = np.ones_like(air)
    cleared, pleura = np.zeros_like(air), np.zeros_like(air)
    for lesion in plan.lesions:
        if lesion.finding == "Pneumothorax":
            cleared = layer(canvas, lesion.fills, lesion.softness)
            edges = [(tube(line, 0.0019), 1.0) for line in lesion.lines]
            pleura = layer(canvas, edges, 0.0006)
        elif lesion.fills:
            clear *= 1 - _density(canvas, lesion, rng)
    return _Lungs(air, 1 - clear, cleared, pleura)


def _density(canvas: Canvas, lesion: Lesion, rng: np.random.Generator) -> Layer:
    """Share of the air that a lesion replaces."""
    density = lesion.opacity * layer(canvas, lesion.fills, lesion.softness)
    if lesion.patchiness:
        holes = texture(rng, canvas.size, (16, 32, 64))
        density *= 1 - lesion.patchiness * np.clip(0.4 + 0.35 * holes, 0, 1)
    if lesion.lines:
        bronchi = layer(canvas, [(tube(line, 0.0028), 1.0) for line in lesion.lines], 0.0015)
        density *= 1 - 0.5 * bronchi
    return density


def _markings(canvas: Canvas, anatomy: Anatomy, lungs: _Lungs, rng: np.random.Generator) -> Layer:
    """Vessels and parenchyma, absent where the pleural space holds air; tissue is uneven too."""
    vessels = layer(canvas, vessel_fills(anatomy), 0.001)
    parenchyma = texture(rng, canvas.size, (40, 80, 160, 320))
    inside = lungs.air * (1 - lungs.opacity) * (1 - lungs.cleared)
    tissue = texture(rng, canvas.size, (6, 12, 24))
    return inside * (0.12 * vessels + 0.022 * parenchyma) + 0.012 * tissue


def _bones(canvas: Canvas, anatomy: Anatomy) -> Layer:
    """The bones, whose attenuation is added to the rest; bones thin with age."""
    strength = 1.15 - 0.006 * (anatomy.patient.age_years - 20)
    back, front = rib_fills(anatomy)
    collar, blades = shoulder_fills(anatomy)
    bones = 0.13 * layer(canvas, back, 0.0012) + 0.075 * layer(canvas, front, 0.002)
    bones += 0.16 * layer(canvas, collar, 0.0012) + 0.12 * layer(canvas, blades, 0.002)
    bones += 0.13 * layer(canvas, spine_fills(anatomy), 0.002)
    return strength * bones


def _exposed(attenuation: Layer, rng: np.random.Generator) -> Layer:
    """The image after quantum noise, film curve, collimation and side marker.

    Noise depends on the area of a pixel: in an image of half the size, each pixel is four times as
    large and has half the noise.
    """
    size = attenuation.shape[0]
    centre, contrast = rng.normal(0.68, 0.05), rng.uniform(3.4, 5.2)
    grain = rng.uniform(0.006, 0.02) * size / 1024
    noise = np.random.default_rng(rng.integers(2**31)).standard_normal((size, size), np.float32)
    noise = gaussian_filter(noise, 0.6, truncate=3.0) * grain * (0.5 + attenuation)
    curve = 1 / (1 + np.exp(-contrast * (attenuation + noise - centre)))
    floor = 1 / (1 + np.exp(contrast * centre))
    grey = (curve - 0.9 * floor) / (1 - 0.9 * floor) * rng.uniform(0.88, 1.0)
    if rng.random() < 0.5:  # collimated: black beyond the shutters
        low, high = rng.uniform(-0.03, 0.035, 2), 1 - rng.uniform(-0.03, 0.035, 2)
        corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
        grey *= layer(Canvas(size, Affine()), [(np.array(corners), 1.0)], 0.001)
    marker = layer(Canvas(size, Affine()), marker_fills(rng), 0.0008)
    return np.clip(np.maximum(grey, 0.97 * marker), 0, 1).astype(np.float32)
