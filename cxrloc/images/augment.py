"""Random changes of training images, on a batch of tensors at once."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from cxrloc.devices import sent
from cxrloc.errors import CxrlocError

DRAWS = 12
"""Random numbers in [0, 1) that one image may use."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Settings of the random changes of training images; by default nothing is changed.

    All geometric changes are combined into one affine map and one bilinear resampling. Beyond its
    border, an image is continued by its border pixels.

    Attributes:
        mirror: probability of exchanging left and right.
        rotation_degrees: largest angle to either side.
        scale: largest change of size, as a share: 0.02 is from 0.98 to 1.02.
        shift: largest displacement along each axis, as a share of the side.
        shear: largest horizontal displacement of the upper against the lower border, as a share
            of the side.
        crop_area: smallest and largest share of the area that is cropped at a random place and
            enlarged to the whole input.
        crop_aspect: smallest and largest ratio of the crop's width to its height; all ratios
            between them are equally likely. A side of the crop is never longer than the image's.
        whole_pixel_crop: crops of the network's input size are cut out of the larger image
            (`Preprocessing.crop_from`) at a random place on whole pixels, without enlargement
            (Dong et al. 2017, section IV: 224 x 224 out of 256 x 256 has 33 x 33 places).
        brightness: largest change of all grey levels, as a share of their range.
        contrast: largest change of the grey levels' distance from the image's mean, as a share.
        cutmix: probability that a rectangle comes from another image, together with the same
            share of that image's labels; the rectangle's share of the area is uniform from 0 to 1
            (Yun et al. 2019).

    Raises:
        CxrlocError: a value is outside its range.
    """

    mirror: float = 0.0
    rotation_degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    crop_area: tuple[float, ...] = (1.0, 1.0)
    crop_aspect: tuple[float, ...] = (1.0, 1.0)
    whole_pixel_crop: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("crop_area", "crop_aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise CxrlocError(f"{name} {low}, {high}: needs 0 < smallest <= largest")
        if self.whole_pixel_crop and crops_randomly(self):
            raise CxrlocError("whole_pixel_crop and crop_area are two kinds of crops: give one")
        if self.crop_area[1] > 1:
            raise CxrlocError(f"crop_area {self.crop_area}: no crop is larger than the image")
        amounts = (self.rotation_degrees, self.shift, self.shear, self.brightness)
        if min(amounts) < 0 or not 0 <= self.scale < 1:
            raise CxrlocError(f"{self}: amounts start at 0; scale ends at 1")
        if not 0 <= self.mirror <= 1 or not 0 <= self.cutmix <= 1:
            raise CxrlocError(f"{self}: mirror and cutmix are from 0 to 1")


def crops_randomly(config: Augmentation) -> bool:
    """Whether random parts of the image are enlarged to the network's input."""
    return config.crop_area != (1.0, 1.0)


def augment(
    images: Float[Tensor, "batch channel row col"],
    draws: Float[np.ndarray, "batch draw"],
    config: Augmentation,
    size: int | None = None,
) -> Float[Tensor, "batch channel new_row new_col"]:
    """The images after random changes, each changed by its own random numbers.

    Where images are larger than the network's input, random crops are taken from the whole image.
    Without random crops, only the central `size` x `size` pixels are used.

    Args:
        images: square, grey levels in [0, 1].
        size: rows and columns of the network's input; None: those of the images.
        draws: `DRAWS` numbers in [0, 1) per image: the same numbers give the same change,
            whatever other images are in the batch.
        config: the changes. CutMix is not applied here, because it needs the other image's labels.

    >>> corner = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    >>> augment(corner, np.zeros((1, DRAWS)), Augmentation(mirror=0.5))
    tensor([[[[0., 1.],
              [0., 0.]]]])
    """
    rows, columns = (size, size) if size else images.shape[-2:]
    if config.whole_pixel_crop:
        images = _whole_pixel_crops(images, draws[:, 8:10], rows)
    elif size and not crops_randomly(config):
        images = centre_crop(images, size)
    if config.brightness or config.contrast:
        images = _changed_greys(images, _tensor(draws[:, 10:12] * 2 - 1, images), config)
    matrices = affine_matrices(draws, config)
    if np.array_equal(np.abs(matrices), np.broadcast_to(np.eye(2, 3), matrices.shape)):
        # Nothing but mirroring: no pixel needs to be interpolated.
        mirrored = _tensor(matrices[:, 0, 0] < 0, images)[:, None, None, None]
        return torch.where(mirrored, images.flip(3), images)
    shape = [*images.shape[:2], rows, columns]
    grid = F.affine_grid(_tensor(matrices, images), shape, align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def centre_crop(
    images: Float[Tensor, "batch channel row col"], size: int
) -> Float[Tensor, "batch channel size size"]:
    """The central `size` x `size` pixels of square images.

    >>> centre_crop(torch.arange(16.0).reshape(1, 1, 4, 4), size=2)
    tensor([[[[ 5.,  6.],
              [ 9., 10.]]]])
    """
    start = (images.shape[-1] - size) // 2
    return images[..., start : start + size, start : start + size]


def _whole_pixel_crops(
    images: Float[Tensor, "batch channel row col"],
    draws: Float[np.ndarray, "batch xy"],
    size: int,
) -> Float[Tensor, "batch channel size size"]:
    """A random square of each image; all places on whole pixels are equally likely."""
    places = np.floor(draws * (images.shape[-1] - size + 1)).astype(int).tolist()
    crops = [
        image[:, y : y + size, x : x + size] for image, (x, y) in zip(images, places, strict=True)
    ]
    return torch.stack(crops)


def affine_matrices(
    draws: Float[np.ndarray, "batch draw"], config: Augmentation
) -> Float[np.ndarray, "batch 2 3"]:
    """Affine maps from a changed image to its original, both in coordinates from -1 to 1.

    The changes are made in this order: crop, mirror, shear, scale, rotate, shift.

    >>> affine_matrices(np.full((1, DRAWS), 0.5), Augmentation(crop_area=(0.25, 0.25)))
    array([[[0.5, 0. , 0. ],
            [0. , 0.5, 0. ]]])
    """
    either_side = draws * 2 - 1
    angle = np.deg2rad(config.rotation_degrees) * either_side[:, 1]
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    matrix = rotation / (1 + config.scale * either_side[:, 2])[:, None, None]
    shear = np.tile(np.eye(2), (len(draws), 1, 1))
    shear[:, 0, 1] = config.shear * either_side[:, 3]
    matrix = matrix @ shear
    matrix[:, :, 0] *= np.where(draws[:, 0] < config.mirror, -1, 1)[:, None]
    area = _between(config.crop_area, draws[:, 6])
    aspect = _between(config.crop_aspect, draws[:, 7])
    sides = np.minimum(1, np.sqrt(np.stack([area * aspect, area / aspect], axis=1)))  # batch xy
    place = (1 - sides) * either_side[:, 8:10]
    # The crop is taken first, so its place goes through everything that follows.
    offset = np.einsum("bij,bj->bi", matrix, place) + 2 * config.shift * either_side[:, 4:6]
    return np.concatenate([matrix * sides[:, None, :], offset[:, :, None]], axis=2)


def cut_out(
    draws: Float[np.ndarray, "batch 4"], probability: float, side: int
) -> Bool[Tensor, "batch row col"]:
    """Masks of the pixels that come from another image: none, or a rectangle of the image's shape.

    Departs: Yun et al. 2019 centre the rectangle anywhere and lose what lies outside the image;
    here the rectangle lies inside the image, so that its share of the area is the share drawn.

    Args:
        draws: numbers in [0, 1) per image: whether, share of the area, place across and down.
        probability: of a rectangle.
        side: rows and columns.

    >>> cut_out(np.array([[0.0, 0.25, 0.9, 0.0]]), probability=0.5, side=2)
    tensor([[[False,  True],
             [False, False]]])
    """
    whether, area, *place = draws.T
    sides = np.rint(side * np.sqrt(area)) * (whether < probability)
    ranges = []
    for start in np.rint((side - sides) * np.array(place)):  # across, then down
        inside = np.arange(side) - start[:, None]
        ranges.append((inside >= 0) & (inside < sides[:, None]))
    across, down = ranges
    return torch.from_numpy(down[:, :, None] & across[:, None, :])


def _between(ends: tuple[float, ...], draws: Float[np.ndarray, " batch"]) -> np.ndarray:
    return ends[0] + (ends[1] - ends[0]) * draws


def _changed_greys(
    images: Float[Tensor, "batch channel row col"],
    amounts: Float[Tensor, "batch 2"],
    config: Augmentation,
) -> Float[Tensor, "batch channel row col"]:
    """Each x becomes m + (1 + contrast) (x - m) + brightness in [0, 1]; m is the image's mean."""
    more, stretch = amounts.T[:, :, None, None, None]
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed = mean + (1 + config.contrast * stretch) * (images - mean) + config.brightness * more
    return changed.clamp(0, 1)


def _tensor(values: np.ndarray, like: Tensor) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return sent(tensor.to(like.dtype) if tensor.is_floating_point() else tensor, like.device)
