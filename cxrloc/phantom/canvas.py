"""Draws polygons and noise in unit coordinates to arrays, with the same look at every size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from cxrloc.phantom.curves import Points
from cxrloc.phantom.plan import posed
from cxrloc.types import Affine

Fill = tuple[Points, float]
"""An outline in body coordinates and the density inside it, 0 to 1."""

Layer = Float[np.ndarray, "_ _"]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A square image: its side in pixels, and where body coordinates lie in it."""

    size: int
    pose: Affine


def layer(canvas: Canvas, fills: Sequence[Fill], sigma: float) -> Layer:
    """Outlines painted one over the other, antialiased, blurred by `sigma` (share of the image).

    Blurred layers are drawn on a grid no finer than the blur needs, so their cost does not grow
    with the image.

    >>> square = np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]])
    >>> layer(Canvas(4, Affine()), [(square, 1.0)], 0.0)[0].round().tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    if not fills:
        return np.zeros((canvas.size, canvas.size), dtype=np.float32)
    grid = min(canvas.size, round(1.7 / sigma)) if sigma > 0 else canvas.size
    finer = 2 if grid > 320 or sigma * grid > 1 else 3
    image = Image.new("L", (grid * finer, grid * finer))
    draw = ImageDraw.Draw(image)
    corners = posed(np.concatenate([outline for outline, _ in fills]), canvas.pose)
    numbers = (corners * (grid * finer) - 0.5).ravel().tolist()
    start = 0
    for outline, density in fills:
        end = start + outline.size
        draw.polygon(numbers[start:end], fill=round(255 * density))
        start = end
    painted = np.asarray(image.reduce(finer), dtype=np.float32) / 255
    if sigma * grid > 0.55:  # less is what antialiasing does already
        painted = gaussian_filter(painted, sigma * grid, truncate=3.0)
    return _resized(painted, canvas.size)


def _resized(values: Layer, size: int) -> Layer:
    if values.shape[0] == size:
        return values
    image = Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def texture(rng: np.random.Generator, size: int, scales: Sequence[int]) -> Layer:
    """Smooth noise of standard deviation about 1: a sum of white grids of `scales` cells a side."""
    finest = min(max(scales), size)
    total = np.zeros((finest, finest), dtype=np.float32)
    for cells in scales:
        grid = rng.standard_normal((cells, cells), dtype=np.float32)
        total += _resized(grid, finest) if cells <= finest else _shrunk(grid, finest)
    return _resized(total / total.std(), size)


def _shrunk(values: Layer, size: int) -> Layer:
    image = Image.fromarray(values).resize((size, size), Image.Resampling.BOX)
    return np.asarray(image)
