import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cxrloc.images.preprocessing import Preprocessing, standardise
from cxrloc.inference.views import VIEWS, average_views, see
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
    _, maps = average_views(brightness, see(image, [Affine()], PLAIN), sigmoid)
    assert torch.equal(maps, brightness(image)[1])


@pytest.mark.parametrize("views", ["tta", "five-patch"])
def test_maps_of_every_version_come_back_to_where_the_image_has_the_blob(views: str) -> None:
    image = blob()
    versions = VIEWS[views](SIZE, SIZE, 0)
    _, averaged = average_views(brightness, see(image, versions, PLAIN), sigmoid)
    plain = brightness(image)[1]
    assert averaged.flatten().argmax() == plain.flatten().argmax()
    correlation = torch.corrcoef(torch.stack([averaged.flatten(), plain.flatten()]))[0, 1]
    assert correlation > 0.95


def test_a_flip_is_undone_exactly() -> None:
    image = blob()
    flip = Affine(xx=-1.0, x0=float(SIZE))
    _, maps = average_views(brightness, see(image, [flip], PLAIN), sigmoid)
    torch.testing.assert_close(maps, brightness(image)[1], atol=1e-5, rtol=0)


def test_cells_are_averaged_over_the_versions_that_cover_them() -> None:
    left_half = Affine(xx=0.5, yy=1.0)  # this version sees the left half only, stretched
    image = torch.ones(1, 1, SIZE, SIZE)
    _, maps = average_views(brightness, see(image, [Affine(), left_half], PLAIN), sigmoid)
    torch.testing.assert_close(maps, torch.ones(1, 1, 8, 8), atol=1e-5, rtol=0)


def test_the_same_seed_draws_the_same_ten_versions() -> None:
    first, again = (VIEWS["tta"](SIZE, SIZE, 7) for _ in range(2))
    assert first == again
    assert len(first) == 10
    assert first != VIEWS["tta"](SIZE, SIZE, 8)


def test_features_that_look_to_the_left_are_flipped_back_to_where_they_looked() -> None:
    image = blob()

    def looks_left(images: Tensor) -> tuple[Tensor, Tensor]:
        """Cells that see the image 4 pixels, half a cell, up and left of themselves."""
        return brightness(F.pad(images, (4, 0, 4, 0))[..., :SIZE, :SIZE])

    flip = Affine(xx=-1.0, x0=float(SIZE))
    _, plain = average_views(looks_left, see(image, [Affine()], PLAIN), sigmoid, shift_pixels=-4.0)
    _, flipped = average_views(looks_left, see(image, [flip], PLAIN), sigmoid, shift_pixels=-4.0)
    difference = (plain - flipped).abs()[..., :-1].mean()
    _, unaware = average_views(looks_left, see(image, [flip], PLAIN), sigmoid)
    assert difference < 0.5 * (plain - unaware).abs()[..., :-1].mean()


@pytest.mark.parametrize("views", ["tta", "five-patch"])
def test_a_standardised_network_sees_every_version_standardised(views):
    preprocessing = Preprocessing(SIZE, mean=(0.0, 0.5), std=(1.0, 2.0), standardised=True)
    grey = torch.from_numpy(standardise(torch.rand(3, SIZE, SIZE).numpy()))
    images = torch.stack([grey, (grey - 0.5) / 2], dim=1)
    for version, _ in see(images, VIEWS[views](SIZE, SIZE, 0), preprocessing):
        first, second = version.unbind(1)
        spread, centre = torch.std_mean(first, dim=(1, 2), correction=0)
        torch.testing.assert_close(centre, torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(spread, torch.ones(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(second, (first - 0.5) / 2, atol=1e-5, rtol=0)
