"""Heatmaps as 16-bit whole numbers: what the page computes with, and Python scores as well."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from cxrloc.types import Heatmap

LARGEST = 65535
"""Of an unsigned 16-bit number."""


def quantise(heatmap: Heatmap) -> Heatmap:
    """The heatmap with whole numbers from 0 to 65535, its minimum and maximum, as scores.

    The box rule scales every map by its own extremes, so boxes move by no more than what rounding
    to 1 / 65535 of the map's range moves them. A degenerate map becomes 0 everywhere and stays
    degenerate.

    >>> from cxrloc.types import Affine
    >>> scores = np.array([[-1.0, 0.0, 1.0]])
    >>> quantise(Heatmap("a", "Mass", scores, Affine(), 1, 3)).scores
    array([[    0., 32768., 65535.]])
    """
    wide = heatmap.scores.astype(np.float64)
    low, high = wide.min(), wide.max()
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        return replace(heatmap, scores=np.zeros(wide.shape))
    return replace(heatmap, scores=np.rint((wide - low) / (high - low) * LARGEST))


def packed(quantised: Iterable[Heatmap]) -> str:
    """All values, map after map and row by row, as little-endian 16-bit numbers in base64."""
    parts = [heatmap.scores.astype("<u2").tobytes() for heatmap in quantised]
    return b64encode(b"".join(parts)).decode()
