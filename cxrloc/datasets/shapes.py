"""Shapes of findings: run lengths and polygons, and the boxes around them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from cxrloc.types import Box, Mask, Outline


def mask_pixels(mask: Mask) -> Bool[np.ndarray, "row col"]:
    """The pixels of a mask, true inside the finding.

    >>> mask_pixels(Mask(rows=2, columns=3, runs=(1, 2)))
    array([[False,  True, False],
           [ True, False, False]])
    """
    inside = np.repeat(np.arange(len(mask.runs)) % 2 == 1, mask.runs)
    pixels = np.zeros(mask.rows * mask.columns, dtype=bool)
    pixels[: inside.size] = inside
    return pixels.reshape(mask.columns, mask.rows).T


def mask_of_pixels(pixels: Bool[np.ndarray, "row col"]) -> Mask:
    """The mask with these pixels; the inverse of `mask_pixels`.

    >>> mask_of_pixels(np.array([[False, True, False], [True, False, False]]))
    Mask(rows=2, columns=3, runs=(1, 2))
    """
    down = pixels.T.reshape(-1)
    changes = np.flatnonzero(np.diff(down, prepend=False)).tolist()
    ends = [*changes, down.size] if down.any() and down[-1] else changes
    rows, columns = pixels.shape
    return Mask(rows, columns, tuple(np.diff(ends, prepend=0).tolist()))


def coco_runs(counts: str) -> tuple[int, ...]:
    """The run lengths in COCO's compressed string.

    Each character (its code minus 48) holds five bits of a number in two's complement, the lowest
    bits first. The sixth bit says that the number continues in the next character. From the fourth
    number on, the string stores the difference to the number two places before.

    Raises:
        ValueError: the string ends within a number, or a character is outside these codes.

    >>> coco_runs("1236")
    (1, 2, 3, 8)
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"{character!r} is no character of a COCO run-length string")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the run-length string ends within a number")
    return tuple(runs)


def box_of_mask(mask: Mask) -> Box | None:
    """The box around a mask, in pixels of the mask; None if the mask is empty.

    >>> box_of_mask(Mask(rows=2, columns=3, runs=(1, 2)))
    Box(x_min=0.0, y_min=0.0, x_max=2.0, y_max=2.0)
    """
    pixels = mask_pixels(mask)
    if not pixels.any():
        return None
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return Box(
        x_min=float(columns[0]),
        y_min=float(rows[0]),
        x_max=float(columns[-1] + 1),
        y_max=float(rows[-1] + 1),
    )


def outline_of(polygons: Sequence[Sequence[Sequence[float]]]) -> Outline:
    """Rings of [x, y] as an outline; rings of fewer than three points have no area and are dropped.

    >>> outline_of([[[0, 0], [2, 0], [0, 2]], [[5, 5]]])
    Outline(polygons=(((0.0, 0.0), (2.0, 0.0), (0.0, 2.0)),))
    """
    rings = [tuple((float(x), float(y)) for x, y in ring) for ring in polygons]
    return Outline(tuple(ring for ring in rings if len(ring) >= 3))


def box_of_outline(outline: Outline) -> tuple[float, float, float, float]:
    """Corners x_min, y_min, x_max, y_max of the box around all points of an outline.

    Raises:
        ValueError: the outline has no point.

    >>> box_of_outline(Outline((((0.0, 1.0), (2.0, 0.0), (0.0, 2.0)),)))
    (0.0, 0.0, 2.0, 2.0)
    """
    xs, ys = zip(*(point for ring in outline.polygons for point in ring), strict=True)
    return min(xs), min(ys), max(xs), max(ys)
