"""Lesions drawn into real radiographs without findings, so that their places are known.

The lesions are crude on purpose: seven findings are drawn as grey shapes in an ellipse where a lung
usually lies. The lesions of phantoms (`lesions.py`) cannot be drawn there, because they need the
outlines of the lungs. Drawn lesions serve to choose thresholds and to compare maps with the maps of
other images, and not for training.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from cxrloc.types import Annotation, Box, Record

Grey = Float[np.ndarray, "row col"]
Offsets = tuple[Grey, Grey]
"""Offsets from the centre of a lung, in units of its half-axes: away from the heart, and down."""

LUNG_X, LUNG_Y = (0.30, 0.70), 0.46  # centres, as shares of the image
LUNG_HALF_WIDTH, LUNG_HALF_HEIGHT = 0.13, 0.27


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A radiograph with one drawn lesion and the box around it, in pixels of the radiograph."""

    pixels: Grey
    finding: str
    box: Box


def draw_lesion(finding: str, normal: Grey, rng: np.random.Generator) -> Drawn:
    """A lesion of a finding of `LESIONS` in a square radiograph with grey levels in [0, 1].

    The box encloses the pixels where the lesion has more than half of its full density.
    """
    side = len(normal)
    centres = (np.arange(side, dtype=np.float32) + 0.5) / side
    lung, outwards = rng.integers(2), (-1, 1)
    across = (centres[None] - LUNG_X[lung]) / LUNG_HALF_WIDTH * outwards[lung]
    down = (centres[:, None] - LUNG_Y) / LUNG_HALF_HEIGHT
    offsets = (across + 0 * down, down + 0 * across)
    shape, change = LESIONS[finding](offsets, normal, rng)
    rows, columns = np.nonzero(shape > 0.5 * shape.max())
    box = Box(*map(float, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)))
    return Drawn(np.clip(normal + change, 0, 1).astype(np.float32), finding, box)


def record_with(lesion: Drawn, record: Record) -> Record:
    """The record of a radiograph after this lesion was drawn into it, with the lesion's box.

    The name of the finding is added to the image's id, so that several lesions may be drawn into
    the same radiograph, each alone.
    """
    name = f"{record.image_id} {lesion.finding}"
    return replace(
        record,
        image_id=name,
        annotations=(Annotation(name, lesion.finding, lesion.box),),
        annotation_frame=lesion.pixels.shape,
    )


def _blob(offsets: Offsets, centre: tuple[float, float], radii: tuple[float, float]) -> Grey:
    """A shape that is 1 inside an ellipse and falls off softly at its border."""
    across, down = offsets
    distance = ((across - centre[0]) / radii[0]) ** 2 + ((down - centre[1]) / radii[1]) ** 2
    return np.exp2(-(distance**2))


def _somewhere(rng: np.random.Generator) -> tuple[float, float]:
    angle, radius = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 0.6))
    return radius * np.cos(angle), radius * np.sin(angle)


def _round(least: float, most: float) -> Callable[..., tuple[Grey, Grey]]:
    """The shape of nodules and masses; radii are shares of the lung's half-width."""

    def draw(offsets: Offsets, normal: Grey, rng: np.random.Generator) -> tuple[Grey, Grey]:
        radius = rng.uniform(least, most)
        height = radius * rng.uniform(0.85, 1.15) * LUNG_HALF_WIDTH / LUNG_HALF_HEIGHT
        shape = _blob(offsets, _somewhere(rng), (radius, height))
        return shape, _strength(normal, rng) * shape

    return draw


def _patchy(grain: float, strength: float) -> Callable[..., tuple[Grey, Grey]]:
    """The shape of infiltration and pneumonia: a wide cloud with a texture of `grain` pixels."""

    def draw(offsets: Offsets, normal: Grey, rng: np.random.Generator) -> tuple[Grey, Grey]:
        across, down = _somewhere(rng)
        radii = (rng.uniform(0.6, 1.1), rng.uniform(0.35, 0.7))
        lung = gaussian_filter((np.hypot(*offsets) < 1).astype(np.float32), 4)
        shape = _blob(offsets, (across, min(down, 0.5)), radii) * lung
        noise = gaussian_filter(rng.normal(size=normal.shape), grain)
        texture = np.clip(0.7 + 0.5 * noise / noise.std(), 0, 2)
        return shape, strength * _strength(normal, rng) * shape * texture

    return draw


def _effusion(offsets: Offsets, normal: Grey, rng: np.random.Generator) -> tuple[Grey, Grey]:
    """The shape of an effusion: fluid from the base up to a level that rises to the chest wall."""
    across, down = offsets
    level = rng.uniform(0.1, 0.7) + 0.16 * (1 - np.clip(across, -1, 1))
    inside = (np.abs(across) < 1.15) & (down < 1.15)
    shape = gaussian_filter(inside.astype(np.float32), 3) / (1 + np.exp((level - down) / 0.035))
    return shape, 1.1 * _strength(normal, rng) * shape


def _atelectasis(offsets: Offsets, normal: Grey, rng: np.random.Generator) -> tuple[Grey, Grey]:
    """The shape of an atelectasis: a dense lower lobe beside the heart."""
    radii = (rng.uniform(0.45, 0.8), rng.uniform(0.16, 0.4))
    shape = _blob(offsets, (-0.4, 0.6), radii)
    return shape, _strength(normal, rng) * shape


def _pneumothorax(offsets: Offsets, normal: Grey, rng: np.random.Generator) -> tuple[Grey, Grey]:
    """The shape of a pneumothorax: a dark rim without lung markings around the apex."""
    distance = np.hypot(*offsets) ** 2
    lung = gaussian_filter((distance < 1).astype(np.float32), 4)
    rim = 1 / (1 + np.exp(-12 * (distance - rng.uniform(0.3, 0.6))))
    above = 1 / (1 + np.exp((offsets[1] + 1 - rng.uniform(0.4, 1.0)) / 0.035))
    shape = lung * rim * above
    return shape, shape * (gaussian_filter(normal, 5) - normal - 0.5 * _strength(normal, rng))


def _strength(normal: Grey, rng: np.random.Generator) -> float:
    """The contrast of a lesion, derived from the contrast of the radiograph."""
    return rng.uniform(0.6, 1.1) * float(normal.std())


LESIONS: dict[str, Callable[[Offsets, Grey, np.random.Generator], tuple[Grey, Grey]]] = {
    "Atelectasis": _atelectasis,
    "Effusion": _effusion,
    "Infiltration": _patchy(3, 0.8),
    "Mass": _round(0.34, 0.67),
    "Nodule": _round(0.12, 0.24),
    "Pneumonia": _patchy(5, 1.0),
    "Pneumothorax": _pneumothorax,
}
"""How a finding is drawn: (offsets, radiograph, rng) -> (its shape, the change of grey levels)."""
