"""Heatmaps as 16-bit whole numbers, with which the page and Python compute the same scores."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from cxrloc.types import Heatmaps

LARGEST = 65535
"""The largest unsigned 16-bit number."""


def quantise(heatmaps: Heatmaps) -> Heatmaps:
    """The heatmaps with scores rounded to whole numbers from 0 (a map's minimum) to 65535.

    The box rule scales every map by its own minimum and maximum, so only the rounding, to 1 /
    65535 of the map's range, can move a box. A degenerate map becomes 0 everywhere and stays
    degenerate.

    >>> from cxrloc.types import Affine
    >>> scores = np.array([[[-1.0, 0.0, 1.0]]])
    >>> quantise(Heatmaps("a", ("Mass",), scores, Affine(), 1, 3)).scores
    array([[[    0., 32768., 65535.]]])
    """
    wide = heatmaps.scores.astype(np.float64)
    whole = np.zeros(wide.shape)
    for scores, values in zip(whole, wide, strict=True):
        low, high = values.min(), values.max()
        if np.isfinite(low) and np.isfinite(high) and low < high:
            scores[:] = np.rint((values - low) / (high - low) * LARGEST)
    return replace(heatmaps, scores=whole)


def packed(quantised: Iterable[Heatmaps]) -> str:
    """All values, map after map and row by row, as little-endian 16-bit numbers in base64."""
    parts = [heatmaps.scores.astype("<u2").tobytes() for heatmaps in quantised]
    return b64encode(b"".join(parts)).decode()
