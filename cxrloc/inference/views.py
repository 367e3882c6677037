"""Several versions of an image, whose probabilities and maps are averaged."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.datasets.batches import normalised
from cxrloc.images.geometry import compose, inverse
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.localization.sampling import Sampled, mean_inside, sample
from cxrloc.models.probabilities import Probabilities
from cxrloc.types import Affine

ViewFunction = Callable[[int, int, int], list[Affine]]


def plain(rows: int, columns: int, seed: int) -> list[Affine]:
    """The image as it is."""
    return [Affine()]


def five_patch(rows: int, columns: int, seed: int) -> list[Affine]:
    """The four corners and the centre, each 224/256 of the image, enlarged to the input.

    Dong et al. 2017, section IV: 224 crops of 256 images, their outputs averaged.

    >>> five_patch(256, 256, seed=0)[3]
    Affine(xx=0.875, xy=0.0, x0=32.0, yx=0.0, yy=0.875, y0=32.0)
    """
    share = 224 / 256
    across, down = columns * (1 - share), rows * (1 - share)
    corners = [(0.0, 0.0), (across, 0.0), (0.0, down), (across, down), (across / 2, down / 2)]
    return [Affine(xx=share, x0=x0, yy=share, y0=y0) for x0, y0 in corners]


def test_time_augmentation(rows: int, columns: int, seed: int) -> list[Affine]:
    """Ten random versions: flip, rotation, scale and shear drawn together.

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


VIEWS: dict[str, ViewFunction] = {
    "plain": plain,
    "tta": test_time_augmentation,
    "five-patch": five_patch,
}
"""Name to function of (rows, columns, seed): affines from each version to the network's input."""


class Seen(NamedTuple):
    """One version of a batch, as the network gets it, and the affine from it to the plain image."""

    images: Float[Tensor, "batch channel row col"]
    to_plain: Affine


def see(
    images: Float[Tensor, "batch channel row col"],
    versions: Sequence[Affine],
    preprocessing: Preprocessing,
) -> Iterator[Seen]:
    """Versions of images, made one by one; the plain one is not resampled.

    Where grey levels are standardised, each version's are, as augmented images' are in training.

    Args:
        images: as the network takes them.
        versions: affines from each version to the image, as the functions of `VIEWS` give them.
        preprocessing: that made the images.
    """
    for version in versions:
        if version == Affine():
            yield Seen(images, version)
            continue
        planes = sample(images, version, *images.shape[-2:]).planes
        if preprocessing.standardised:
            # The channels of a view differ by a mean and a deviation: the first holds its greys.
            first = planes[:, :: len(preprocessing.mean)]
            grey = first * preprocessing.std[0] + preprocessing.mean[0]
            planes = normalised(grey, preprocessing)
        yield Seen(planes, version)


def average_probabilities(
    network: Callable[[Tensor], tuple[Tensor, Tensor]],
    seen: Iterable[Seen],
    probabilities: Probabilities,
) -> Float[Tensor, "batch finding"]:
    """Probabilities, averaged over versions of the images.

    Args:
        network: images to logits and features.
        seen: the versions (`see`).
        probabilities: of logits.
    """
    logits = (network(version.images)[0] for version in seen)
    return torch.stack([probabilities(own) for own in logits]).mean(0)


def average_views(
    method: Callable[[Tensor], tuple[Tensor, Tensor]],
    seen: Iterable[Seen],
    probabilities: Probabilities,
    shift_pixels: float = 0.0,
    usual: Float[Tensor, "finding map_row map_col"] | float = 0.0,
) -> tuple[Float[Tensor, "batch all_finding"], Float[Tensor, "batch finding map_row map_col"]]:
    """Probabilities and raw maps, averaged over versions of the images.

    Maps are carried back to the plain image's grid and averaged there over the versions that
    cover a cell; a cell that none covers takes the mean of the nearest values.

    Args:
        method: images to logits of all findings and to raw maps, possibly of fewer findings.
        seen: the versions (`see`).
        probabilities: of logits.
        shift_pixels: of the network's features, see `cell_affine`.
        usual: what `method` has taken off the maps of every version, wherever that version shows
            the chest (`models.centring`); it is taken off again where the plain image shows it.

    Returns:
        Probabilities and maps.
    """
    of_versions, carried = [], []
    for images, version in seen:
        logits, maps = method(images)
        of_versions.append(probabilities(logits))
        if version == Affine():
            everywhere = torch.ones(maps.shape[-2:], dtype=torch.bool, device=maps.device)
            carried.append(Sampled(maps.float(), everywhere))
        else:
            cell = cell_affine(images.shape, maps.shape, shift_pixels)
            back = compose(compose(cell, inverse(version)), inverse(cell))
            planes, inside = sample(maps + usual, back, *maps.shape[-2:])
            carried.append(Sampled(planes - usual, inside))
    return torch.stack(of_versions).mean(0), mean_inside(carried)


def cell_affine(
    images_shape: Sequence[int], maps_shape: Sequence[int], shift_pixels: float
) -> Affine:
    """Grid coordinates of a map to coordinates of the network's input.

    The grid spans the input, moved by how far from its cell's centre a feature looks
    (`models.grid.cell_shift_pixels`; 0 for networks that do not say).

    >>> cell_affine((1, 1, 256, 256), (1, 8, 16, 16), shift_pixels=-7.5)
    Affine(xx=16.0, xy=0.0, x0=-7.5, yx=0.0, yy=16.0, y0=-7.5)
    """
    return Affine(
        xx=images_shape[-1] / maps_shape[-1],
        x0=shift_pixels,
        yy=images_shape[-2] / maps_shape[-2],
        y0=shift_pixels,
    )
