import pytest
import torch

from cxrloc.inference.ensemble import average_maps, shared_findings
from cxrloc.types import Affine, CxrlocError


def mean(maps: list[torch.Tensor], to_image: list[Affine]) -> list[float]:
    return average_maps(maps, to_image)[0].flatten().tolist()


def test_models_without_a_common_finding_make_no_ensemble() -> None:
    with pytest.raises(CxrlocError, match="share no finding"):
        shared_findings([("Mass",), ("Nodule",)])


def test_one_models_maps_stay_raw() -> None:
    maps = torch.tensor([[[-3.0, 7.0]]])
    assert average_maps([maps], [Affine()]) == (maps, Affine())


def test_each_map_weighs_the_same_whatever_its_scale() -> None:
    left = torch.tensor([[[1000.0, 0.0]]])
    right = torch.tensor([[[0.0, 0.001]]])
    assert mean([left, right], [Affine(), Affine()]) == [0.5, 0.5]


def test_a_flat_map_adds_nothing() -> None:
    peaked = torch.tensor([[[0.0, 1.0]]])
    flat = torch.full((1, 1, 2), 3.0)
    assert mean([peaked, flat], [Affine(), Affine()]) == [0.0, 0.5]


@pytest.mark.parametrize("order", [1, -1])
def test_maps_meet_on_the_finest_grid_whatever_the_order_of_the_models(order: int) -> None:
    coarse = torch.tensor([[[0.0, 1.0]]])  # cells of 8 x 16 original pixels
    fine = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]])  # of 4 x 8
    maps, to_image = [coarse, fine][::order], [Affine(xx=8.0, yy=16.0), Affine(xx=4.0, yy=8.0)]
    averaged, affine = average_maps(maps, to_image[::order])
    assert affine == Affine(xx=4.0, yy=8.0)
    # The coarse surface at x = 2, 6, 10, 14 of 16: flat, 1/4 and 3/4 between its centres, flat.
    row = [0.0, 0.125, 0.875, 1.0]
    assert averaged.tolist() == [[row, row]]
