"""From grey levels to the tensor a network was trained on; it belongs to the weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from cxrloc.images.geometry import (
    compose,
    crop_affine,
    letterbox_affine,
    resample,
    resize_affine,
)
from cxrloc.types import Affine, Radiograph


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a network wants its images; travels with the weights.

    The defaults are the road of a radiograph into ChestX-ray14 (Wang et al. 2017, section 2.3):
    the DICOM's default window, squashed to 1024 x 1024 without keeping the aspect ratio, 8 bit;
    then resized to the network's input.

    Attributes:
        size: rows and columns of the network's input.
        fit: "squash" to the square, "letterbox" (whole image, black border) or centre "crop".
        source_size: side of the square the training images were squashed to before; None: not.
        bit_depth: bits per pixel the training images were stored with; None: unlimited.
        mean: per channel, of grey levels in [0, 1]; its length is the number of channels.
        std: per channel, as `mean`.
    """

    size: int
    fit: Literal["squash", "letterbox", "crop"] = "squash"
    source_size: int | None = 1024
    bit_depth: int | None = 8
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean and std need one value per channel, got {self}")
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}, got {self.fit!r}")


def _squash_affine(rows: int, columns: int, size: int) -> Affine:
    return resize_affine(rows, columns, size, size)


FITS: dict[str, Callable[[int, int, int], Affine]] = {
    "squash": _squash_affine,
    "letterbox": letterbox_affine,
    "crop": crop_affine,
}
"""Ways into the square of the network's input: (rows, columns, size) -> affine."""


def preprocess(
    radiograph: Radiograph, preprocessing: Preprocessing
) -> tuple[Float32[np.ndarray, "channel row col"], Affine]:
    """The network's input, and the map from original pixels to it.

    An image that is square and no larger than `source_size` (a published PNG, or a smaller copy
    of it) was squashed before and is not again.

    Returns:
        `(grey - mean) / std` per channel, and original coordinates -> input coordinates.

    >>> white = Radiograph(pixels=np.ones((30, 20), dtype=np.float32), bits_stored=12)
    >>> tensor, affine = preprocess(white, Preprocessing(size=10, source_size=None))
    >>> tensor.shape, float(tensor.max()), affine.xx
    ((1, 10, 10), 2.0, 0.5)
    """
    grey, to_source = _as_published(radiograph.pixels, preprocessing)
    size = preprocessing.size
    rows, columns = grey.shape
    fit = FITS[preprocessing.fit](rows, columns, size)
    grey = resample(grey, fit, size, size)
    mean, std = (
        np.array(values, dtype=np.float32)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )  # channel 1 1
    return (grey - mean) / std, compose(to_source, fit)


def _as_published(
    pixels: Float[np.ndarray, "row col"], preprocessing: Preprocessing
) -> tuple[Float32[np.ndarray, "source_row source_col"], Affine]:
    """The image as the data set would have stored it, in [0, 1]."""
    rows, columns = pixels.shape
    grey, to_source = pixels.astype(np.float32, copy=False), Affine()
    side = preprocessing.source_size
    if side is not None and not (rows == columns <= side):
        to_source = _squash_affine(rows, columns, side)
        grey = resample(grey, to_source, side, side)
    if preprocessing.bit_depth is not None:
        top = np.float32(2**preprocessing.bit_depth - 1)
        grey = np.rint(grey * top) / top
    return grey, to_source
