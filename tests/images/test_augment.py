import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as oracle

from cxrloc.errors import CxrlocError
from cxrloc.images.augment import DRAWS, Augmentation, affine_matrices, augment

IMAGES = torch.rand(3, 1, 33, 33, generator=torch.Generator().manual_seed(0))
MOST = np.full((3, DRAWS), 1.0)  # every amount at its upper end
INSIDE = (..., slice(10, 23), slice(10, 23))  # away from how each treats the border


def test_by_default_nothing_changes():
    draws = np.random.default_rng(0).random((3, DRAWS))
    assert torch.equal(augment(IMAGES, draws, Augmentation()), IMAGES)


@pytest.mark.parametrize(
    ("config", "angle", "shift", "scale"),
    [
        (Augmentation(rotation_degrees=7.0), 7.0, 0.0, 1.0),
        (Augmentation(scale=0.2), 0.0, 0.0, 1.2),
        (Augmentation(shift=2 / 33), 0.0, -2.0, 1.0),
    ],
)
def test_rotation_scale_and_shift_are_those_of_torchvision(config, angle, shift, scale):
    wanted = oracle.affine(
        IMAGES,
        angle=-angle,
        translate=[shift, shift],
        scale=scale,
        shear=[0.0, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )
    torch.testing.assert_close(
        augment(IMAGES, MOST, config)[INSIDE], wanted[INSIDE], atol=2e-3, rtol=0
    )


def test_a_crop_is_enlarged_to_the_whole():
    """A quarter of the area at the upper left: the draws of its place are 0."""
    draws = np.zeros((1, DRAWS))
    image = torch.zeros(1, 1, 32, 32)
    image[..., :16, :16] = 1.0
    cropped = augment(image, draws, Augmentation(crop_area=(0.25, 0.25)))
    assert cropped[..., :-1, :-1].min() == 1.0


@given(st.integers(0, 1000))
def test_a_crop_stays_inside_the_image(seed):
    draws = np.random.default_rng(seed).random((5, DRAWS))
    config = Augmentation(crop_area=(0.08, 1.0), crop_aspect=(0.75, 4 / 3))
    matrices = affine_matrices(draws, config)
    corners = np.abs(matrices[:, :, :2]).sum(axis=2) + np.abs(matrices[:, :, 2])
    assert corners.max() <= 1 + 1e-9
    area = matrices[:, 0, 0] * matrices[:, 1, 1]
    assert np.all((area > 0.079) & (area <= 1))


def test_a_crop_has_its_area_and_any_ratio_of_its_sides_is_as_likely():
    draws = np.full((3, DRAWS), 0.5)
    draws[:, 7] = 0.0, 0.25, 1.0
    matrices = affine_matrices(draws, Augmentation(crop_area=(0.2, 0.4), crop_aspect=(0.5, 2.5)))
    width, height = matrices[:, 0, 0], matrices[:, 1, 1]
    np.testing.assert_allclose(width * height, 0.3)
    np.testing.assert_allclose(width / height, [0.5, 1.0, 2.5])


def test_each_image_has_its_own_change_whatever_stands_beside_it():
    draws = np.random.default_rng(3).random((3, DRAWS))
    config = Augmentation(mirror=0.5, rotation_degrees=9.0, shear=0.1, contrast=0.3, brightness=0.1)
    whole = augment(IMAGES, draws, config)
    alone = augment(IMAGES[1:2], draws[1:2], config)
    torch.testing.assert_close(alone, whole[1:2])


def test_grey_levels_stay_in_their_range_and_the_mean_moves_by_the_brightness():
    image = torch.tensor([[[[0.3, 0.5]]]])
    changed = augment(image, np.ones((1, DRAWS)), Augmentation(brightness=0.1, contrast=0.5))
    torch.testing.assert_close(changed, torch.tensor([[[[0.35, 0.65]]]]))  # .4 + 1.5 (x - .4) + .1
    assert augment(image, np.ones((1, DRAWS)), Augmentation(brightness=0.9)).max() == 1.0


@pytest.mark.parametrize(
    "wrong",
    [{"crop_area": (0.0, 1.0)}, {"crop_area": (0.5, 1.5)}, {"mirror": 1.5}, {"shift": -1.0}],
)
def test_amounts_out_of_range_are_refused(wrong):
    with pytest.raises(CxrlocError):
        Augmentation(**wrong)


LARGER = torch.arange(36.0).reshape(1, 1, 6, 6) / 36


def test_without_crops_the_centre_of_a_larger_image_is_changed():
    centre = augment(LARGER, np.zeros((1, DRAWS)), Augmentation(), size=4)
    assert torch.equal(centre, LARGER[..., 1:5, 1:5])


def test_random_crops_are_taken_from_the_whole_larger_image():
    """All of it, and the corner that no centre has, at the size of the network's input."""
    whole = augment(LARGER, np.zeros((1, DRAWS)), Augmentation(crop_area=(0.999, 1.0)), size=4)
    assert whole.shape == (1, 1, 4, 4)
    assert whole.min() < LARGER[0, 0, 1, 1] / 2


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [
        pytest.param((0.0, 0.0), slice(0, 4), slice(0, 4), id="the first of 3 x 3 places"),
        pytest.param((0.34, 0.99), slice(2, 6), slice(1, 5), id="across by 1 of 2, down by 2 of 2"),
    ],
)
def test_crops_on_whole_pixels_are_those_pixels(place, rows, columns):
    draws = np.zeros((1, DRAWS))
    draws[0, 8:10] = place
    crop = augment(LARGER, draws, Augmentation(whole_pixel_crop=True), size=4)
    assert torch.equal(crop, LARGER[..., rows, columns])


def test_two_kinds_of_crops_are_refused():
    with pytest.raises(CxrlocError, match="two kinds of crops"):
        Augmentation(whole_pixel_crop=True, crop_area=(0.5, 1.0))
