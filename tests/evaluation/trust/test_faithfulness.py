"""Faithfulness on a "network" whose probability is the mean of a known corner of the image."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cxrloc.evaluation.trust.faithfulness import area, insertion_deletion, road

SIZE = 32


def corner_mean(images: Tensor) -> Tensor:
    """All that matters is the quarter at the upper left."""
    return images[:, 0, : SIZE // 2, : SIZE // 2].mean((1, 2)).clamp(0, 1)


def corner_image() -> Tensor:
    image = torch.zeros(1, SIZE, SIZE)
    image[:, : SIZE // 2, : SIZE // 2] = 1.0
    return image


RIGHT = np.array([[1.0, 0.0], [0.0, 0.0]])
WRONG = np.array([[0.0, 0.0], [0.0, 1.0]])


def test_deleting_what_matters_first_drops_the_probability_at_once() -> None:
    _, right = insertion_deletion(corner_mean, corner_image(), RIGHT, steps=4)
    _, wrong = insertion_deletion(corner_mean, corner_image(), WRONG, steps=4)
    assert right[0] == wrong[0] == 1.0
    assert right[-1] == wrong[-1] == 0.0
    # A quarter of the pixels is all that matters, but the surface's contour is no square.
    assert right[1] == pytest.approx(0.0, abs=0.1)
    assert wrong[2] > 0.8


def test_insertion_ends_at_the_image_and_starts_without_its_details() -> None:
    image = torch.rand(1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    inserted, _ = insertion_deletion(corner_mean, image, RIGHT, steps=4)
    assert inserted[-1] == pytest.approx(float(corner_mean(image[None])[0]))
    assert inserted[0] == pytest.approx(float(image.mean()), abs=1e-6)  # one block of the blur


def test_curves_have_a_point_per_share() -> None:
    curves = insertion_deletion(corner_mean, corner_image(), RIGHT, steps=7)
    assert [curve.shape for curve in curves] == [(8,), (8,)]


@pytest.mark.parametrize(
    ("curve", "expected"), [([1.0, 1.0], 1.0), ([0.0, 1.0], 0.5), ([1.0, 0.0, 0.0], 0.25)]
)
def test_area_is_by_trapezia(curve: list[float], expected: float) -> None:
    assert area(np.array(curve)) == expected


def test_road_rewards_the_right_map_alone_and_repeats_by_seed() -> None:
    columns = np.arange(SIZE)
    # Stripes: what is interpolated from the surroundings of a hole is not what was there.
    image = torch.from_numpy(corner_image().numpy() * (columns % 4 < 2)).float()

    def stripes(images: Tensor) -> Tensor:
        part = images[:, 0, : SIZE // 2, : SIZE // 2]
        return (part - part.mean((1, 2), keepdim=True)).abs().mean((1, 2))

    state = torch.get_rng_state()
    right, again = (road(stripes, image, RIGHT, seed=1) for _ in range(2))
    assert right == again > 0.05
    assert road(stripes, image, WRONG, seed=1) < -0.05
    assert torch.equal(state, torch.get_rng_state())
