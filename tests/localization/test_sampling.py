import torch

from cxrloc.localization.sampling import sample
from cxrloc.types import Affine


def test_the_identity_returns_every_plane_unchanged() -> None:
    planes = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    sampled = sample(planes, Affine(), rows=5, columns=7)
    torch.testing.assert_close(sampled.planes, planes)
    assert sampled.inside.all()


def test_a_shift_by_one_cell_moves_the_map_and_marks_what_it_uncovers() -> None:
    row = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    sampled = sample(row, Affine(x0=1.0), rows=1, columns=3)
    assert sampled.planes.flatten().tolist() == [2.0, 3.0, 3.0]  # the border value goes on
    assert sampled.inside.flatten().tolist() == [True, True, False]


def test_twice_the_cells_give_the_bilinear_surface_with_constant_margins() -> None:
    row = torch.tensor([[[[0.0, 1.0]]]])
    fine = sample(row, Affine(xx=0.5, yy=0.5), rows=1, columns=4).planes
    assert fine.flatten().tolist() == [0.0, 0.25, 0.75, 1.0]
