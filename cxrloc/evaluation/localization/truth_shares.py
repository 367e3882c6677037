"""The share of each cell that truth covers, for boxes, polygons and masks on a square grid.

The image is divided into samples x samples equal cells, whatever its aspect ratio. A share is the
part of a cell inside the truth. All cells have the same area, so ratios of areas, such as IoU, are
those of the image.
"""

import numpy as np
from jaxtyping import Float, Float32, Int
from skimage.draw import polygon2mask

from cxrloc.datasets.shapes import mask_pixels
from cxrloc.evaluation.localization.scored_pairs import ScoredPairs
from cxrloc.types import Mask, Outline

_FINER = 4  # sample points along a side of a cell, for a polygon's share of it


def truth_shares(
    pairs: ScoredPairs, pair: Int[np.ndarray, " pair"], samples: int
) -> Float32[np.ndarray, "pair row col"]:
    """Shares of each cell inside the truth of each pair; all 0 for a pair without truth.

    Shares are exact for boxes and masks, and accurate to 1/16 of a cell for polygons. If a pair has
    several annotations, each cell takes the largest share.
    """
    shares = np.zeros((pair.size, samples, samples), dtype=np.float32)
    position = {number: index for index, number in enumerate(pair.tolist())}
    for truth in np.flatnonzero(np.isin(pairs.truth_pair, pair)).tolist():
        number, shape = int(pairs.truth_pair[truth]), pairs.shapes[truth]
        size = pairs.size[number // len(pairs.findings)]
        if isinstance(shape, Mask):
            drawn = mask_shares(shape, samples)
        elif isinstance(shape, Outline):
            drawn = outline_shares(shape, size, samples)
        else:
            drawn = box_shares(pairs.truth[truth] / np.tile(size, 2) * samples, samples)
        shares_of_pair = shares[position[number]]
        np.maximum(shares_of_pair, drawn, out=shares_of_pair)
    return shares


def box_shares(box: Float[np.ndarray, "4"], samples: int) -> Float32[np.ndarray, "row col"]:
    """Shares of a box that is given in cells.

    >>> box_shares(np.array([0.5, 0.0, 2.0, 1.0]), samples=2)
    array([[0.5, 1. ],
           [0. , 0. ]], dtype=float32)
    """
    start = np.arange(samples)
    x_min, y_min, x_max, y_max = box
    across = np.clip(x_max - start, 0, 1) - np.clip(x_min - start, 0, 1)
    down = np.clip(y_max - start, 0, 1) - np.clip(y_min - start, 0, 1)
    return np.outer(down, across).astype(np.float32)


def mask_shares(mask: Mask, samples: int) -> Float32[np.ndarray, "row col"]:
    """Shares of a mask: each cell is the mean of the mask pixels that it covers.

    >>> mask_shares(Mask(rows=2, columns=4, runs=(1, 3)), samples=2)
    array([[0.5, 0. ],
           [1. , 0. ]], dtype=float32)
    """
    down, across = (_overlaps(samples, n) for n in (mask.rows, mask.columns))
    return down @ mask_pixels(mask).astype(np.float32) @ across.T


def outline_shares(
    outline: Outline, size: Float[np.ndarray, "2"], samples: int
) -> Float32[np.ndarray, "row col"]:
    """Shares of polygons on an image of these columns and rows.

    >>> square = Outline((((2.0, 2.0), (4.0, 2.0), (4.0, 4.0), (2.0, 4.0)),))
    >>> outline_shares(square, np.array([4.0, 4.0]), samples=2)
    array([[0., 0.],
           [0., 1.]], dtype=float32)
    """
    points = samples * _FINER
    inside = np.zeros((points, points), dtype=bool)
    for ring in outline.polygons:
        # The centre of sample k lies at k + 0.5, but polygon2mask tests whole-number coordinates.
        on_points = np.array(ring) / size * points - 0.5
        inside |= polygon2mask((points, points), on_points[:, ::-1])
    cells = inside.reshape(samples, _FINER, samples, _FINER)
    return cells.mean(axis=(1, 3), dtype=np.float32)


def _overlaps(cells: int, pixels: int) -> Float32[np.ndarray, "cell pixel"]:
    """The part of each cell that each pixel fills, along one axis."""
    ends = np.arange(cells + 1)[:, None] * (pixels / cells)
    below = np.clip(ends - np.arange(pixels), 0, 1)  # of each pixel below each cell border
    return (np.diff(below, axis=0) * (cells / pixels)).astype(np.float32)
