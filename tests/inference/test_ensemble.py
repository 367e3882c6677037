import pytest
import torch

from cxrloc.inference.ensemble import average_maps, shared_findings
from cxrloc.types import Affine, CxrlocError


def test_models_without_a_common_finding_make_no_ensemble() -> None:
    with pytest.raises(CxrlocError, match="share no finding"):
        shared_findings([("Mass",), ("Nodule",)])


def test_one_models_maps_stay_raw() -> None:
    maps = torch.tensor([[[-3.0, 7.0]]])
    assert average_maps([maps], [Affine()]) is maps


def test_each_map_weighs_the_same_whatever_its_scale() -> None:
    left = torch.tensor([[[1000.0, 0.0]]])
    right = torch.tensor([[[0.0, 0.001]]])
    assert average_maps([left, right], [Affine(), Affine()]).flatten().tolist() == [0.5, 0.5]


def test_a_flat_map_adds_nothing() -> None:
    peaked = torch.tensor([[[0.0, 1.0]]])
    flat = torch.full((1, 1, 2), 3.0)
    assert average_maps([peaked, flat], [Affine(), Affine()]).flatten().tolist() == [0.0, 0.5]


def test_maps_of_another_grid_are_carried_to_the_first_models_grid() -> None:
    coarse = torch.tensor([[[0.0, 1.0]]])
    fine = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]])
    to_image = [Affine(xx=8.0, yy=16.0), Affine(xx=4.0, yy=8.0)]
    assert average_maps([coarse, fine], to_image).flatten().tolist() == [0.0, 1.0]
