import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.inference.ensemble import average_maps, shared_findings
from cxrloc.types import Affine


def mean(maps: list[np.ndarray], to_image: list[Affine]) -> list[float]:
    return average_maps(maps, to_image)[0].flatten().tolist()


def test_models_without_a_common_finding_make_no_ensemble() -> None:
    with pytest.raises(CxrlocError, match="share no finding"):
        shared_findings([("Mass",), ("Nodule",)])


def test_one_models_maps_stay_raw() -> None:
    maps = np.float32([[[-3.0, 7.0]]])
    assert average_maps([maps], [Affine()]) == (maps, Affine())


def test_each_map_weighs_the_same_whatever_its_scale() -> None:
    left = np.float32([[[1000.0, 0.0]]])
    right = np.float32([[[0.0, 0.001]]])
    assert mean([left, right], [Affine(), Affine()]) == [0.5, 0.5]


def test_a_flat_map_adds_nothing() -> None:
    peaked = np.float32([[[0.0, 1.0]]])
    flat = np.full((1, 1, 2), 3.0, np.float32)
    assert mean([peaked, flat], [Affine(), Affine()]) == [0.0, 0.5]


@pytest.mark.parametrize("order", [1, -1])
def test_maps_meet_on_the_finest_grid_whatever_the_order_of_the_models(order: int) -> None:
    coarse = np.float32([[[0.0, 1.0]]])  # cells of 8 x 16 original pixels
    fine = np.float32([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]])  # of 4 x 8
    maps, to_image = [coarse, fine][::order], [Affine(xx=8.0, yy=16.0), Affine(xx=4.0, yy=8.0)]
    averaged, affine = average_maps(maps, to_image[::order])
    assert affine == Affine(xx=4.0, yy=8.0)
    # The coarse surface at x = 2, 6, 10, 14 of 16: flat, 1/4 and 3/4 between its centres, flat.
    row = [0.0, 0.125, 0.875, 1.0]
    assert averaged.tolist() == [[row, row]]


@pytest.mark.parametrize("order", [1, -1])
def test_crops_of_equal_cells_meet_where_they_lie_whatever_the_order_of_the_models(
    order: int,
) -> None:
    # Cells of 4 pixels: the left crop shows the columns 0 to 12, the right one 8 to 20.
    left, right = np.float32([[[0.0, 0.0, 1.0]]]), np.float32([[[0.0, 0.5, 1.0]]])
    to_image = [Affine(xx=4.0, yy=4.0), Affine(xx=4.0, yy=4.0, x0=8.0)]
    averaged, affine = average_maps([left, right][::order], to_image[::order])
    assert affine == to_image[0]
    # Both show the third cell, as 1 and 0; each other cell is one crop's alone.
    assert averaged.flatten().tolist() == pytest.approx([0, 0, 0.5, 0.5, 1], abs=1e-5)


def test_a_finer_crop_does_not_cut_what_the_whole_image_shows() -> None:
    whole = np.float32([[[1.0, 0.0]]])  # cells of 8 x 4 original pixels
    crop = np.float32([[[0.0, 1.0]]])  # of 4 x 4, the columns 4 to 12 of 16
    averaged, affine = average_maps(
        [whole, crop], [Affine(xx=8.0, yy=4.0), Affine(xx=4.0, yy=4.0, x0=4.0)]
    )
    assert affine == Affine(xx=4.0, yy=4.0)
    # The whole image's surface at x = 2, 6, 10, 14 is 1, 3/4, 1/4, 0; the crop shows the middle.
    assert averaged.flatten().tolist() == pytest.approx([1, 0.375, 0.625, 0], abs=1e-5)
