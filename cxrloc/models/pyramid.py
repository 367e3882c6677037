"""The features of a backbone at several strides, for decoders."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.library_backbones import TimmBackbone, cell_shift_of, channels_first


@dataclass(frozen=True, slots=True)
class Level:
    """The features of a backbone at one stride.

    Attributes:
        stride: pixels of the input per cell.
        depth: number of channels.
        shift_pixels: distance from the centre of a cell to that of the receptive field of its
            feature, to the right and downwards, in pixels of the input.
    """

    stride: int
    depth: int
    shift_pixels: float


def in_order(layers: nn.Sequential) -> list[nn.Module]:
    """The layers of nested `nn.Sequential`s, in the order in which they run.

    Subclasses of it, such as the transitions of a DenseNet, are single steps.
    """
    steps: list[nn.Module] = []
    for layer in layers:
        steps += in_order(layer) if type(layer) is nn.Sequential else [layer]
    return steps


class Pyramid(nn.Sequential):
    """A backbone that gives its last features at each stride; its weights keep their names.

    Attributes:
        levels: what it gives, from the finest stride to the coarsest.

    >>> layers = nn.Sequential(nn.Conv2d(1, 4, 2, stride=2), nn.ReLU(), nn.MaxPool2d(2))
    >>> [(level.stride, level.depth) for level in Pyramid("two strides", layers).levels]
    [(2, 4), (4, 4)]
    """

    def __init__(self, name: str, layers: nn.Sequential) -> None:
        super().__init__(OrderedDict(layers.named_children()))
        steps = in_order(self)
        first = next(layer for layer in self.modules() if isinstance(layer, nn.Conv2d))
        sizes, x = [], torch.zeros(1, first.in_channels, 64, 64)
        training = self.training
        self.eval()
        with torch.no_grad():
            for step in steps:
                x = step(x)
                sizes.append((64 // x.shape[3], x.shape[1]))
        self.train(training)
        last = {stride: number for number, (stride, _) in enumerate(sizes)}
        self._last = tuple(last.values())
        self.levels = tuple(
            Level(
                stride,
                sizes[number][1],
                cell_shift_of(name, nn.Sequential(*steps[: number + 1]), stride),
            )
            for stride, number in last.items()
        )

    def forward(
        self, images: Float[Tensor, "batch channel row col"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The features of all levels."""
        features, x = [], images
        for number, step in enumerate(in_order(self)):
            x = step(x)
            if number in self._last:
                features.append(x)
        return features


class TimmPyramid(nn.Module):
    """A network of timm that gives its features at each stride.

    Attributes:
        network: the network of timm without the layers after its features.
        levels: what it gives, from the finest stride to the coarsest.
    """

    def __init__(self, name: str, layers: TimmBackbone) -> None:
        super().__init__()
        self.network = layers.network
        known = {each["reduction"]: each for each in self.network.feature_info}
        *finer, coarsest = known
        self._places = [list(self.network.feature_info).index(known[stride]) for stride in finer]
        self.levels = (
            *(
                Level(
                    stride,
                    known[stride]["num_chs"],
                    cell_shift_of(name, self.network, stride, known[stride]["module"]),
                )
                for stride in finer
            ),
            Level(coarsest, layers.depth, cell_shift_of(name, self.network, coarsest)),
        )

    def forward(
        self, images: Float[Tensor, "batch channel row col"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """The features of all levels; the coarsest are those before the network's pooling."""
        network: Any = self.network
        final, levels = network.forward_intermediates(images, indices=self._places)
        return [*levels, channels_first(network, final)]


def pyramid_of(name: str, layers: nn.Module) -> Pyramid | TimmPyramid:
    """The layers of a backbone, with its features at each stride as their output.

    Raises:
        CxrlocError: the backbone does not give its features in this way.
    """
    if isinstance(layers, TimmBackbone):
        return TimmPyramid(name, layers)
    if isinstance(layers, nn.Sequential):
        return Pyramid(name, layers)
    raise CxrlocError(f"{name} gives features at one stride only, so no decoder can join them")
