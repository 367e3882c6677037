"""Several versions of an image, and the mean of their probabilities and maps."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.images.geometry import compose, inverse
from cxrloc.images.normalised import normalised
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.localized import cell_affine
from cxrloc.localization.sampling import Sampled, mean_inside, sample
from cxrloc.models.probabilities import Probabilities
from cxrloc.types import Affine

VersionFunction = Callable[[int, int, int], list[Affine]]


def plain(rows: int, columns: int, seed: int) -> list[Affine]:
    """The affine of the only version: the image as it is."""
    return [Affine()]


def five_patch(rows: int, columns: int, seed: int) -> list[Affine]:
    """Affines of the corner and centre crops, each 224/256 of the image, enlarged to the input.

    Dong et al. 2017, section IV: 224 crops of 256 images, their outputs averaged.

    >>> five_patch(256, 256, seed=0)[3]
    Affine(xx=0.875, xy=0.0, x0=32.0, yx=0.0, yy=0.875, y0=32.0)
    """
    share = 224 / 256
    across, down = columns * (1 - share), rows * (1 - share)
    corners = [(0.0, 0.0), (across, 0.0), (0.0, down), (across, down), (across / 2, down / 2)]
    return [Affine(xx=share, x0=x0, yy=share, y0=y0) for x0, y0 in corners]


def test_time_augmentation(rows: int, columns: int, seed: int) -> list[Affine]:
    """Affines of ten random versions: flip, rotation, scale and shear drawn together.

    Pham et al. 2019, section 4: random horizontal flip, rotation by +-7 degrees, scaling by
    +-2 %, shear by +-5 pixels. The same ten are drawn for every image.
    """
    generator = np.random.default_rng(seed)
    versions = []
    for _ in range(10):
        angle = np.deg2rad(generator.uniform(-7, 7))
        scale = generator.uniform(0.98, 1.02)
        shear = generator.uniform(-5, 5) / rows
        flip = -1.0 if generator.random() < 0.5 else 1.0
        cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
        around_centre = Affine(xx=flip * cosine, xy=shear - sine, yx=flip * sine, yy=float(cosine))
        to_centre = Affine(x0=-columns / 2, y0=-rows / 2)
        versions.append(compose(compose(to_centre, around_centre), inverse(to_centre)))
    return versions


VERSIONS: dict[str, VersionFunction] = {
    "plain": plain,
    "tta": test_time_augmentation,
    "five-patch": five_patch,
}
"""Name to function of (rows, columns, seed): affines from each version to the network's input."""


class Version(NamedTuple):
    """One version of a batch of images, and the affine from its pixels to the plain images'."""

    images: Float[Tensor, "batch channel row col"]
    to_plain: Affine


def make_versions(
    images: Float[Tensor, "batch channel row col"],
    affines: Sequence[Affine],
    preprocessing: Preprocessing,
) -> Iterator[Version]:
    """Yields the versions of a batch of images one by one; the plain one is not resampled.

    If the model standardises grey levels, those of each version are standardised again, as those
    of augmented images are in training.

    Args:
        images: the network's input.
        affines: from each version to the image, as the functions of `VERSIONS` give them.
        preprocessing: the settings that made the images.
    """
    for affine in affines:
        if affine == Affine():
            yield Version(images, affine)
            continue
        planes = sample(images, affine, *images.shape[-2:]).planes
        if preprocessing.standardised:
            # The channels of one view are its grey levels with different means and deviations,
            # so the first channel of each view gives the grey levels back.
            first = planes[:, :: len(preprocessing.mean)]
            grey = first * preprocessing.std[0] + preprocessing.mean[0]
            planes = normalised(grey, preprocessing)
        yield Version(planes, affine)


def average_probabilities(
    network: Callable[[Tensor], tuple[Tensor, Tensor]],
    versions: Iterable[Version],
    probabilities: Probabilities,
) -> Float[Tensor, "batch finding"]:
    """Probabilities, averaged over versions of the images.

    Args:
        network: images to logits and features.
        versions: of the images (`make_versions`).
        probabilities: the function that turns logits into probabilities.
    """
    logits = (network(version.images)[0] for version in versions)
    return torch.stack([probabilities(version_logits) for version_logits in logits]).mean(0)


def average_versions(
    method: Callable[[Tensor], tuple[Tensor, Tensor]],
    versions: Iterable[Version],
    probabilities: Probabilities,
    shift_pixels: float = 0.0,
    subtracted: Float[Tensor, "finding map_row map_col"] | float = 0.0,
) -> tuple[Float[Tensor, "batch all_finding"], Float[Tensor, "batch finding map_row map_col"]]:
    """Probabilities and raw maps, averaged over versions of the images.

    The map of each version is resampled onto the grid of the plain image. There each cell is
    averaged over the versions that cover it; a cell that no version covers takes the mean of the
    nearest values.

    Args:
        method: images to logits of all findings and to raw maps, possibly of fewer findings.
        versions: of the images (`make_versions`).
        probabilities: the function that turns logits into probabilities.
        shift_pixels: of the network's features, see `cell_affine`.
        subtracted: the mean maps that `method` has subtracted from the maps of every version, on
            the grid of that version (`models.centring`). They are added back before resampling
            and subtracted again on the grid of the plain image.

    Returns:
        Probabilities and maps.
    """
    of_versions, carried = [], []
    for images, to_plain in versions:
        logits, maps = method(images)
        of_versions.append(probabilities(logits))
        if to_plain == Affine():
            everywhere = torch.ones(maps.shape[-2:], dtype=torch.bool, device=maps.device)
            carried.append(Sampled(maps.float(), everywhere))
        else:
            cell = cell_affine(images.shape, maps.shape, shift_pixels)
            back = compose(compose(cell, inverse(to_plain)), inverse(cell))
            planes, inside = sample(maps + subtracted, back, *maps.shape[-2:])
            carried.append(Sampled(planes - subtracted, inside))
    return torch.stack(of_versions).mean(0), mean_inside(carried)
