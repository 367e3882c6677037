"""Decoders: layers that join the features of a backbone at several strides on a finer grid."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.pyramid import Level

Features = Float[Tensor, "batch _ _ _"]
"""Features [batch, depth, row, col], whose depth, rows and columns differ between levels."""

CHANNELS = 128
"""Channels of a decoder, if the configuration does not say another number."""


class Pylon(nn.Module):
    """The decoder of PYLON: coarse features are doubled, and finer ones are added, level by level.

    Preechakul et al. 2022, "Improved image classification explainability with high-accuracy
    heatmaps" (iScience 25, 103933), method details. The coarsest features pass a pyramid attention.
    The features of every finer level pass two 1 x 1 convolutions and are added to the doubled sum
    of the coarser levels. PYLON predicts in every cell and takes the maximum of the map of logits.

    Departs: the authors double with `align_corners=True`, which moves features by up to one cell.
    Here every level is interpolated at the centres of the receptive fields of the next finer one,
    so that both look at the same place, and the cell shift is that of the finest level. Poolings of
    the attention keep incomplete windows, so that every size of input will do.

    Attributes:
        depth: number of output channels.
        cell_shift_pixels: distance from the centre of a cell to that of the receptive fields that
            it joins.
    """

    def __init__(self, levels: Sequence[Level], output_stride: int, channels: int) -> None:
        super().__init__()
        used = [level for level in levels if level.stride >= output_stride]
        strides = [level.stride for level in used]
        if strides != [output_stride * 2**k for k in range(len(used))] or len(used) < 2:
            raise CxrlocError(
                f"decoder: it needs features at the stride {output_stride} and at each doubled "
                f"stride above it, but the backbone gives {[each.stride for each in levels]}"
            )
        self.depth, self.cell_shift_pixels = channels, used[0].shift_pixels
        self.attention = PyramidAttention(used[-1].depth, channels)
        # From coarse to fine: a level, and where the next coarser one is interpolated for it.
        self.finer = nn.ModuleList(
            nn.Sequential(
                *_convolution(each.depth, each.depth), *_convolution(each.depth, channels)
            )
            for each in reversed(used[:-1])
        )
        self.offsets = [
            (fine.shift_pixels - coarse.shift_pixels) / coarse.stride
            for fine, coarse in zip(used[-2::-1], used[:0:-1], strict=True)
        ]

    def forward(self, levels: Sequence[Features]) -> Features:
        """The joined features on the finest grid, from those of all levels, fine to coarse."""
        *finer, coarsest = levels
        x = self.attention(coarsest)
        for layers, offset, features in zip(
            self.finer, self.offsets, finer[::-1][: len(self.finer)], strict=True
        ):
            x = doubled(x, features.shape[2:], offset) + layers(features)
        return x


class PyramidAttention(nn.Module):
    """Features of fewer channels, weighted by one map that sees grids 2, 4 and 8 times coarser.

    Li et al. 2018, "Pyramid attention network for semantic segmentation", figure 3, without its
    branch of global pooling, as in PYLON.
    """

    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.middle = nn.Sequential(*_convolution(depth, channels))
        kernels, inputs = (7, 5, 3), (depth, 1, 1)
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), *_convolution(channel, 1, kernel))
            for kernel, channel in zip(kernels, inputs, strict=True)
        )
        self.across = nn.ModuleList(nn.Sequential(*_convolution(1, 1, k)) for k in kernels)

    def forward(self, features: Features) -> Features:
        """The features [batch, channels, row, col], each cell multiplied by its weight."""
        sizes, maps, x = [], [], features
        for down, across in zip(self.down, self.across, strict=True):
            sizes.append(x.shape[2:])
            x = down(x)
            maps.append(across(x))
        weight = doubled(maps[2], sizes[2])
        for size, finer in ((sizes[1], maps[1]), (sizes[0], maps[0])):
            weight = doubled(finer + weight, size)
        return weight * self.middle(features)


def _convolution(inputs: int, outputs: int, kernel: int = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def doubled(x: Features, size: Sequence[int], offset: float = 0.0) -> Features:
    """Features interpolated bilinearly on a grid whose cells are half as wide and high.

    Outside the centres of the outermost cells, their values are repeated.

    Args:
        x: features.
        size: rows and columns of the result.
        offset: distance by which the centres of the fine cells are moved against those of halved
            cells, in coarse cells. With 0.25, every second fine cell has the place of a coarse one.

    >>> doubled(torch.tensor([[[[0.0, 8.0]]]]), (1, 4))
    tensor([[[[0., 2., 6., 8.]]]])
    >>> doubled(torch.tensor([[[[0.0, 8.0]]]]), (1, 4), offset=0.25)
    tensor([[[[0., 4., 8., 8.]]]])
    """
    rows, columns = (
        _interpolation(coarse, fine, offset).to(x)
        for coarse, fine in zip(x.shape[2:], size, strict=True)
    )
    return rows @ x @ columns.T


def _interpolation(coarse: int, fine: int, offset: float) -> Float[Tensor, "{fine} {coarse}"]:
    """The weights of the coarse cells for each fine cell; each row has at most two of them."""
    places = (torch.arange(fine) + 0.5) / 2 - 0.5 + offset  # in coarse cells; 0 is the first centre
    distances = places.clamp(0, coarse - 1)[:, None] - torch.arange(coarse)
    return (1 - distances.abs()).clamp(min=0)


DECODERS: dict[str, Callable[[Sequence[Level], int, int], Pylon]] = {"pylon": Pylon}
"""Decoders by name: (levels of the backbone, output stride, channels) -> decoder."""
