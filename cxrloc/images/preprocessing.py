"""Converts grey levels to a network's input; the settings are stored with the weights."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from cxrloc.images.geometry import (
    compose,
    crop_affine,
    letterbox_affine,
    nearest,
    resample,
    resize_affine,
)
from cxrloc.images.template import matched_crop, mean_template, search_side, template_of
from cxrloc.types import Affine, Radiograph

PIXELS_VERSION = 2
"""Raise this number with every change after which `read_radiograph` or `preprocess` gives other
pixels for the same file and settings, so that the image cache decodes the images again."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How images are prepared for a network; these settings are stored with its weights.

    The defaults follow how ChestX-ray14 was made (Wang et al. 2017, section 2.3):
    the DICOM's default window, squashed to 1024 x 1024 without keeping the aspect ratio, 8 bit;
    then resized to the network's input.

    Attributes:
        size: rows and columns of the network's input.
        fit: "squash" to the square, "letterbox" (whole image, black border), centre "crop", or
            "template": squash, then crop where the image looks most like `template`.
        crop_from: side of the larger square that `fit` makes, of which the network gets the centre
            of `size` pixels (Baltruschat et al. 2019: 224 of 256, 448 of 480); 0: `fit` makes
            the input itself. In training, crops are taken from the larger square.
        source_size: side of the square to which the training images were squashed before; None (0
            in a recipe): they were not squashed.
        bit_depth: bits per pixel the training images were stored with; None: unlimited.
        mean: per channel, of grey levels in [0, 1]; its length is the number of channels.
        std: per channel, as `mean`.
        standardised: each image's grey levels are first given mean 0 and standard deviation 1
            (`standardise`): exposure and window then say nothing; `mean` and `std` follow.
        grey: "shown" as the file says (window, polarity), or "stored": a DICOM's stored values
            over 4095, clipped, without window (Rubin et al. 2018, section 5.2).
        interpolation: "smooth" (anti-aliased) or "nearest".
        template: for the fit "template"; `learn_template` makes it, and recipes leave it out.
    """

    size: int
    fit: Literal["squash", "letterbox", "crop", "template"] = "squash"
    crop_from: int = 0
    source_size: int | None = 1024
    bit_depth: int | None = 8
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)
    standardised: bool = False
    grey: Literal["shown", "stored"] = "shown"
    interpolation: Literal["smooth", "nearest"] = "smooth"
    template: str = ""

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean and std need one value per channel, got {self}")
        for name, value, known in (
            ("fit", self.fit, (*FITS, "template")),
            ("grey", self.grey, ("shown", "stored")),
            ("interpolation", self.interpolation, RESAMPLERS),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        margin = self.crop_from - self.size
        if self.crop_from and (margin < 0 or margin % 2 or self.fit == "template"):
            raise ValueError(
                f"crop_from = {self.crop_from}: a centre of {self.size} pixels needs a square that "
                "is larger by an even number of pixels, and no template"
            )


def _squash_affine(rows: int, columns: int, size: int) -> Affine:
    return resize_affine(rows, columns, size, size)


FITS: dict[str, Callable[[int, int, int], Affine]] = {
    "squash": _squash_affine,
    "letterbox": letterbox_affine,
    "crop": crop_affine,
}
"""Maps of an image into the square of the network's input: (rows, columns, size) -> affine."""

RESAMPLERS: dict[str, Callable[..., np.ndarray]] = {"smooth": resample, "nearest": nearest}
"""Interpolations by name: (pixels, affine, out_rows, out_columns) -> pixels."""


def preprocess(
    radiograph: Radiograph, preprocessing: Preprocessing
) -> tuple[Float32[np.ndarray, "channel row col"], Affine]:
    """The network's input, and the map from original pixels to it.

    An image that is square and no larger than `source_size` (a published PNG, or a smaller copy
    of it) was squashed before, so it is not squashed again.

    Returns:
        `(grey - mean) / std` per channel, and original coordinates -> input coordinates.

    >>> white = Radiograph(pixels=np.ones((30, 20), dtype=np.float32), bits_stored=12)
    >>> tensor, affine = preprocess(white, Preprocessing(size=10, source_size=None))
    >>> tensor.shape, float(tensor.max()), affine.xx
    ((1, 10, 10), 2.0, 0.5)
    """
    pixels = radiograph.pixels
    if preprocessing.grey == "stored" and radiograph.read_stored is not None:
        pixels = radiograph.read_stored()
    grey, to_source = _as_published(pixels, preprocessing)
    size = preprocessing.size
    fit = _fit(grey, preprocessing)
    grey = RESAMPLERS[preprocessing.interpolation](grey, fit, size, size)
    if preprocessing.standardised:
        grey = standardise(grey)
    mean, std = (
        np.array(values, dtype=np.float32)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )  # channel 1 1
    return (grey - mean) / std, compose(to_source, fit)


def uncropped(preprocessing: Preprocessing) -> Preprocessing:
    """The preprocessing that makes the whole larger square of `crop_from`.

    >>> uncropped(Preprocessing(size=224, crop_from=256)).size
    256
    """
    if not preprocessing.crop_from:
        return preprocessing
    return replace(preprocessing, size=preprocessing.crop_from, crop_from=0)


def learn_template(
    radiographs: Iterable[Radiograph], preprocessing: Preprocessing
) -> Preprocessing:
    """The preprocessing with a template: the mean of the central squares of training images.

    Raises:
        CxrlocError: there is no image.
    """
    side = search_side(preprocessing.size)
    plain = replace(
        preprocessing, size=side, fit="squash", mean=(0.0,), std=(1.0,), standardised=False
    )
    greys = (preprocess(radiograph, plain)[0][0] for radiograph in radiographs)
    return replace(preprocessing, template=mean_template(greys, preprocessing.size))


def _fit(grey: Float32[np.ndarray, "row col"], preprocessing: Preprocessing) -> Affine:
    """The affine map of one image into the square of the network's input."""
    rows, columns = grey.shape
    if preprocessing.fit != "template":
        side = preprocessing.crop_from or preprocessing.size
        margin = (side - preprocessing.size) // 2
        centre = Affine(x0=-float(margin), y0=-float(margin))
        return compose(FITS[preprocessing.fit](rows, columns, side), centre)
    side = search_side(preprocessing.size)
    squash = _squash_affine(rows, columns, side)
    seen = RESAMPLERS[preprocessing.interpolation](grey, squash, side, side)
    return compose(squash, matched_crop(seen, template_of(preprocessing.template)))


def standardise(grey: Float[np.ndarray, "*batch row col"]) -> Float32[np.ndarray, "*batch row col"]:
    """Each image's grey levels with mean 0 and standard deviation 1; a blank image is all 0.

    >>> standardise(np.array([[1.0, 3.0]]))
    array([[-1.,  1.]], dtype=float32)
    """
    mean = grey.mean(axis=(-2, -1), keepdims=True)
    std = grey.std(axis=(-2, -1), keepdims=True)
    return ((grey - mean) / np.maximum(std, 1e-6)).astype(np.float32)


def _as_published(
    pixels: Float[np.ndarray, "row col"], preprocessing: Preprocessing
) -> tuple[Float32[np.ndarray, "source_row source_col"], Affine]:
    """The image as the data set would have stored it, in [0, 1]."""
    rows, columns = pixels.shape
    grey, to_source = pixels.astype(np.float32, copy=False), Affine()
    side = preprocessing.source_size
    if side and not (rows == columns <= side):
        to_source = _squash_affine(rows, columns, side)
        grey = resample(grey, to_source, side, side)
    if preprocessing.bit_depth is not None:
        top = np.float32(2**preprocessing.bit_depth - 1)
        grey = np.rint(grey * top) / top
    return grey, to_source
