"""Resize, crop and letterbox as one affine map, which also maps boxes in both directions.

Coordinates are those of `cxrloc.types.Affine`: the pixel in row r and column c covers
[c, c+1) x [r, r+1), so resizing is a pure scaling, without an offset of half a pixel.
"""

import numpy as np
from jaxtyping import Float, Int

from cxrloc.types import Affine

BLOCK_VALUES = 2**18
"""Values gathered at a time, so few that they stay in the processor's cache."""


def compose(first: Affine, then: Affine) -> Affine:
    """The map that does `first`, then `then`.

    >>> compose(Affine(x0=3.0), Affine(xx=2.0, yy=2.0))
    Affine(xx=2.0, xy=0.0, x0=6.0, yx=0.0, yy=2.0, y0=0.0)
    """
    return Affine(
        xx=then.xx * first.xx + then.xy * first.yx,
        xy=then.xx * first.xy + then.xy * first.yy,
        x0=then.xx * first.x0 + then.xy * first.y0 + then.x0,
        yx=then.yx * first.xx + then.yy * first.yx,
        yy=then.yx * first.xy + then.yy * first.yy,
        y0=then.yx * first.x0 + then.yy * first.y0 + then.y0,
    )


def inverse(affine: Affine) -> Affine:
    """The inverse map.

    Raises:
        ValueError: the map flattens the plane (its determinant is 0).

    >>> back = inverse(Affine(xx=2.0, x0=6.0, yy=4.0))
    >>> back.xx, back.x0, back.yy
    (0.5, -3.0, 0.25)
    """
    determinant = affine.xx * affine.yy - affine.xy * affine.yx
    if determinant == 0:
        raise ValueError(f"{affine} has no inverse: its determinant is 0")
    xx, xy = affine.yy / determinant, -affine.xy / determinant
    yx, yy = -affine.yx / determinant, affine.xx / determinant
    return Affine(
        xx=xx,
        xy=xy,
        x0=-(xx * affine.x0 + xy * affine.y0),
        yx=yx,
        yy=yy,
        y0=-(yx * affine.x0 + yy * affine.y0),
    )


def transform_boxes(affine: Affine, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """The bounding boxes of the mapped boxes (exact unless the map rotates or shears).

    Args:
        affine: the map.
        boxes: x_min, y_min, x_max, y_max.

    >>> transform_boxes(Affine(xx=-1.0, x0=10.0), np.array([[2.0, 1.0, 5.0, 3.0]]))
    array([[5., 1., 8., 3.]])
    """
    x, y = boxes[:, [0, 2, 2, 0]], boxes[:, [1, 1, 3, 3]]  # n 4: the corners, clockwise
    corners = np.stack(
        [
            affine.xx * x + affine.xy * y + affine.x0,
            affine.yx * x + affine.yy * y + affine.y0,
        ],
        axis=-1,
    )  # n 4 2
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def resize_affine(rows: int, columns: int, out_rows: int, out_columns: int) -> Affine:
    """The resize of a whole image to another shape ("squash" where the aspect ratio changes).

    >>> resize_affine(rows=100, columns=200, out_rows=50, out_columns=50)
    Affine(xx=0.25, xy=0.0, x0=0.0, yx=0.0, yy=0.5, y0=0.0)
    """
    return Affine(xx=out_columns / columns, yy=out_rows / rows)


def letterbox_affine(rows: int, columns: int, size: int) -> Affine:
    """The whole image in the middle of a square, aspect ratio kept.

    >>> letterbox_affine(rows=100, columns=200, size=50)
    Affine(xx=0.25, xy=0.0, x0=0.0, yx=0.0, yy=0.25, y0=12.5)
    """
    return _centred(rows, columns, size, scale=size / max(rows, columns))


def crop_affine(rows: int, columns: int, size: int) -> Affine:
    """The middle square of the image, aspect ratio kept.

    >>> crop_affine(rows=100, columns=200, size=50)
    Affine(xx=0.5, xy=0.0, x0=-25.0, yx=0.0, yy=0.5, y0=0.0)
    """
    return _centred(rows, columns, size, scale=size / min(rows, columns))


def _centred(rows: int, columns: int, size: int, scale: float) -> Affine:
    x0, y0 = (size - columns * scale) / 2, (size - rows * scale) / 2
    return Affine(xx=scale, x0=x0, yy=scale, y0=y0)


def resample(
    pixels: Float[np.ndarray, "row col"], affine: Affine, out_rows: int, out_columns: int
) -> Float[np.ndarray, "out_row out_col"]:
    """The image after a resize, crop or pad, anti-aliased where it shrinks.

    Each output pixel is a mean of the input, weighted by a triangle around the place in the input
    from which the output pixel comes. Half the triangle's width is the distance of output pixels,
    and at least that of input pixels. So an enlarged image is interpolated bilinearly, and an image
    that keeps its size is exactly unchanged. The axes are separable: first each row becomes a
    weighted sum of a few rows, then each column a weighted sum of a few columns.

    Args:
        pixels: the image.
        affine: input coordinates to output coordinates; no rotation, no shear.
        out_rows: rows of the output.
        out_columns: columns of the output; pixels whose centre is outside the input are 0.

    Raises:
        ValueError: the map rotates or shears.

    >>> image = np.array([[0.0, 7.0, 0.0, 0.0]])  # weights 3 3 1 0 and 0 1 3 3, over 7
    >>> resample(image, resize_affine(1, 4, 1, 2), out_rows=1, out_columns=2)
    array([[3., 1.]])
    """
    if affine.xy != 0 or affine.yx != 0:
        raise ValueError(f"resample scales, shifts and flips only; {affine} does more")
    rows, columns = pixels.shape
    low = _weighted_rows(pixels, *_triangle_weights(rows, out_rows, affine.yy, affine.y0))
    across = _triangle_weights(columns, out_columns, affine.xx, affine.x0)
    resampled = _weighted_rows(np.ascontiguousarray(low.T), *across)  # out_col out_row
    return np.ascontiguousarray(resampled.T)


def nearest(
    pixels: Float[np.ndarray, "row col"], affine: Affine, out_rows: int, out_columns: int
) -> Float[np.ndarray, "out_row out_col"]:
    """The image after a resize, crop or pad, by nearest-neighbour interpolation.

    Each output pixel has the value of the input pixel in which the output pixel's centre lies.

    Arguments and errors are those of `resample`.

    >>> image = np.array([[0.0, 7.0, 1.0, 2.0]])
    >>> nearest(image, resize_affine(1, 4, 1, 2), out_rows=1, out_columns=2)
    array([[7., 2.]])
    """
    if affine.xy != 0 or affine.yx != 0:
        raise ValueError(f"nearest scales, shifts and flips only; {affine} does more")
    resampled = np.zeros((out_rows, out_columns), dtype=pixels.dtype)
    row = np.floor((np.arange(out_rows) + 0.5 - affine.y0) / affine.yy).astype(np.int64)
    column = np.floor((np.arange(out_columns) + 0.5 - affine.x0) / affine.xx).astype(np.int64)
    inside_rows = (row >= 0) & (row < pixels.shape[0])
    inside_columns = (column >= 0) & (column < pixels.shape[1])
    inside = pixels[np.ix_(row[inside_rows], column[inside_columns])]
    resampled[np.ix_(inside_rows, inside_columns)] = inside
    return resampled


def _triangle_weights(
    size: int, out_size: int, scale: float, shift: float
) -> tuple[Int[np.ndarray, "out tap"], Float[np.ndarray, "out tap"]]:
    """The inputs that each output takes along one axis, and their weights."""
    reach = max(1.0, 1.0 / abs(scale))
    centres = (np.arange(out_size) + 0.5 - shift) / scale
    taps = np.floor(centres - reach)[:, None] + np.arange(np.ceil(2 * reach) + 1)  # out tap
    weights = np.maximum(0.0, 1.0 - np.abs(taps + 0.5 - centres[:, None]) / reach)
    weights[(taps < 0) | (taps >= size)] = 0.0
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    weights[(centres < 0) | (centres > size)] = 0.0
    # A tap without weight becomes one that has weight: 0 times a NaN at the edge would be NaN.
    heaviest = np.take_along_axis(taps, weights.argmax(axis=1, keepdims=True), axis=1)
    taps = np.where(weights > 0, taps, heaviest)
    return taps.clip(0, size - 1).astype(np.intp), weights


def _weighted_rows(
    pixels: Float[np.ndarray, "row col"],
    taps: Int[np.ndarray, "out tap"],
    weights: Float[np.ndarray, "out tap"],
) -> Float[np.ndarray, "out col"]:
    """Each row of the output is the sum of the rows `taps` of the input, times `weights`.

    A sparse matrix of SciPy is up to twice as fast, but to import it takes as long as to read three
    radiographs.
    """
    weights = weights.astype(pixels.dtype)
    rows = max(1, BLOCK_VALUES // (taps.shape[1] * pixels.shape[1]))
    summed = np.empty((len(taps), pixels.shape[1]), dtype=pixels.dtype)
    for row in range(0, len(taps), rows):
        block = slice(row, row + rows)
        np.einsum("ot,otc->oc", weights[block], pixels[taps[block]], out=summed[block])
    summed[~weights.any(axis=1)] = 0  # padding, whatever the edge of the image holds
    return summed
