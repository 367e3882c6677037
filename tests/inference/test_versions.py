"""Versions of an image: how they are drawn, and how their maps come back to the image."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cxrloc.images.preprocessing import Preprocessing, standardise
from cxrloc.inference.versions import VERSIONS, average_versions, make_versions
from cxrloc.models.probabilities import sigmoid
from cxrloc.types import Affine

SIZE = 64
PLAIN = Preprocessing(size=SIZE)


def brightness(images: Tensor) -> tuple[Tensor, Tensor]:
    """A method whose map is the image averaged to 8 x 8, and whose logit is the maximum."""
    maps = F.avg_pool2d(images, SIZE // 8)
    return maps.amax((-2, -1)), maps


def blob() -> Tensor:
    image = torch.zeros(1, 1, SIZE, SIZE)
    image[..., 12:28, 36:52] = 1.0  # off the centre and off the diagonal
    return image


def test_plain_gives_the_methods_own_maps_exactly() -> None:
    image = blob()
    _, maps = average_versions(brightness, make_versions(image, [Affine()], PLAIN), sigmoid)
    assert torch.equal(maps, brightness(image)[1])


@pytest.mark.parametrize("versions", ["tta", "five-patch"])
def test_maps_of_every_version_come_back_to_where_the_image_has_the_blob(versions: str) -> None:
    image = blob()
    affines = VERSIONS[versions](SIZE, SIZE, 0)
    _, averaged = average_versions(brightness, make_versions(image, affines, PLAIN), sigmoid)
    plain = brightness(image)[1]
    assert averaged.flatten().argmax() == plain.flatten().argmax()
    correlation = torch.corrcoef(torch.stack([averaged.flatten(), plain.flatten()]))[0, 1]
    assert correlation > 0.95


def test_a_flip_is_undone_exactly() -> None:
    image = blob()
    flip = Affine(xx=-1.0, x0=float(SIZE))
    _, maps = average_versions(brightness, make_versions(image, [flip], PLAIN), sigmoid)
    torch.testing.assert_close(maps, brightness(image)[1], atol=1e-5, rtol=0)


def test_cells_are_averaged_over_the_versions_that_cover_them() -> None:
    left_half = Affine(xx=0.5, yy=1.0)  # this version sees the left half only, stretched
    image = torch.ones(1, 1, SIZE, SIZE)
    _, maps = average_versions(
        brightness, make_versions(image, [Affine(), left_half], PLAIN), sigmoid
    )
    torch.testing.assert_close(maps, torch.ones(1, 1, 8, 8), atol=1e-5, rtol=0)


def test_the_same_seed_draws_the_same_ten_versions() -> None:
    first, again = (VERSIONS["tta"](SIZE, SIZE, 7) for _ in range(2))
    assert first == again
    assert len(first) == 10
    assert first != VERSIONS["tta"](SIZE, SIZE, 8)


def test_test_time_augmentation_draws_over_the_whole_ranges_of_the_paper_and_not_beyond() -> None:
    """Pham et al. 2019, section 4: flip, +-7 degrees, +-2 %, a shear of +-5 pixels."""
    drawn = [affine for seed in range(100) for affine in VERSIONS["tta"](200, 100, seed)]
    flip = np.array([np.sign(affine.xx) for affine in drawn])
    angle = np.array([np.arctan2(a.yx * f, a.yy) for a, f in zip(drawn, flip, strict=True)])
    scale = np.array([np.cos(t) / a.yy for a, t in zip(drawn, angle, strict=True)])
    shear = np.array([a.xy + np.sin(t) / s for a, t, s in zip(drawn, angle, scale, strict=True)])
    assert 0.4 < (flip < 0).mean() < 0.6
    for values, low, high in (
        (np.degrees(angle), -7, 7),
        (scale, 0.98, 1.02),
        (shear * 200, -5, 5),  # as a share of the 200 rows
    ):
        margin = 0.02 * (high - low)
        assert low - 1e-9 <= values.min() < low + margin
        assert high - margin < values.max() <= high + 1e-9
    middle = [(a.xx * 50 + a.xy * 100 + a.x0, a.yx * 50 + a.yy * 100 + a.y0) for a in drawn]
    np.testing.assert_allclose(middle, np.tile([50.0, 100.0], (len(drawn), 1)))


def test_features_that_look_to_the_left_are_flipped_back_to_where_they_looked() -> None:
    image = blob()

    def looks_left(images: Tensor) -> tuple[Tensor, Tensor]:
        """Cells that see the image 4 pixels, half a cell, up and left of themselves."""
        return brightness(F.pad(images, (4, 0, 4, 0))[..., :SIZE, :SIZE])

    flip = Affine(xx=-1.0, x0=float(SIZE))
    _, plain = average_versions(
        looks_left, make_versions(image, [Affine()], PLAIN), sigmoid, shift_pixels=-4.0
    )
    _, flipped = average_versions(
        looks_left, make_versions(image, [flip], PLAIN), sigmoid, shift_pixels=-4.0
    )
    difference = (plain - flipped).abs()[..., :-1].mean()
    _, unaware = average_versions(looks_left, make_versions(image, [flip], PLAIN), sigmoid)
    assert difference < 0.5 * (plain - unaware).abs()[..., :-1].mean()


@pytest.mark.parametrize("versions", ["tta", "five-patch"])
def test_a_standardised_network_sees_every_version_standardised(versions):
    preprocessing = Preprocessing(SIZE, mean=(0.0, 0.5), std=(1.0, 2.0), standardised=True)
    grey = torch.from_numpy(standardise(torch.rand(3, SIZE, SIZE).numpy()))
    images = torch.stack([grey, (grey - 0.5) / 2], dim=1)
    for version, _ in make_versions(images, VERSIONS[versions](SIZE, SIZE, 0), preprocessing):
        first, second = version.unbind(1)
        spread, centre = torch.std_mean(first, dim=(1, 2), correction=0)
        torch.testing.assert_close(centre, torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(spread, torch.ones(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(second, (first - 0.5) / 2, atol=1e-5, rtol=0)
