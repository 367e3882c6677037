"""Resamples maps and images under an affine change of coordinates, on any device."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from cxrloc.types import Affine


class Sampled(NamedTuple):
    """Resampled planes, and which of their pixels lie inside the source."""

    planes: Float[Tensor, "batch channel new_row new_col"]
    inside: Bool[Tensor, "new_row new_col"]


def sample(
    planes: Float[Tensor, "batch channel row col"], to_source: Affine, rows: int, columns: int
) -> Sampled:
    """Planes resampled bilinearly at the pixel centres of another grid.

    Beyond the centres of the outermost source pixels the surface is constant
    (`align_corners=False`, border padding).

    Args:
        planes: images, or score maps.
        to_source: map from coordinates of the new grid to those of the source. Both are continuous:
            the pixel in row r and column c covers [c, c+1) x [r, r+1).
        rows: height of the new grid.
        columns: width of the new grid.

    >>> flipped = Affine(xx=-1.0, x0=2.0)
    >>> sample(torch.tensor([[[[1.0, 2.0]]]]), flipped, rows=1, columns=2).planes
    tensor([[[[2., 1.]]]])
    """
    device = planes.device
    y = torch.arange(rows, device=device, dtype=torch.float32)[:, None] + 0.5
    x = torch.arange(columns, device=device, dtype=torch.float32)[None, :] + 0.5
    source_x = to_source.xx * x + to_source.xy * y + to_source.x0
    source_y = to_source.yx * x + to_source.yy * y + to_source.y0
    # grid_sample expects coordinates from -1 to 1, from border to border of the source.
    grid = torch.stack(
        [2 * source_x / planes.shape[-1] - 1, 2 * source_y / planes.shape[-2] - 1], dim=-1
    )
    sampled = F.grid_sample(
        planes.float(),
        grid.expand(planes.shape[0], -1, -1, -1),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return Sampled(sampled, (grid.abs() <= 1).all(-1))


def mean_inside(sampled: Sequence[Sampled]) -> Float[Tensor, "batch channel row col"]:
    """The mean of the planes at each pixel, over those planes whose source contains the pixel.

    If no source contains a pixel, the mean is taken over all planes.

    >>> one, other = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[4.0, 4.0]]]])
    >>> both, left = torch.tensor([[True, True]]), torch.tensor([[True, False]])
    >>> mean_inside([Sampled(one, both), Sampled(other, left)])
    tensor([[[[2.5000, 2.0000]]]])
    """
    # The small weight outside defines the mean of pixels that no source contains. At other pixels
    # its effect is negligible.
    weights = [torch.where(inside, 1.0, 1e-6) for _, inside in sampled]
    weighted = [planes * weight for (planes, _), weight in zip(sampled, weights, strict=True)]
    return torch.stack(weighted).sum(0) / torch.stack(weights).sum(0)
