"""Networks of any kind, with the output of a layer that the user names as the features.

The methods that differentiate logits by features, and those of the grad-cam package, need only a
function from features to logits. For a layer in the middle of a network this is the network itself,
run again on the same images, with the layer's output replaced.
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from math import isqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.models.context import Subject
from cxrloc.models.described import Input
from cxrloc.models.grid import receptive_field
from cxrloc.models.model import Model

SHOWN = 8
"""Names of layers that a message lists at most."""


class LayerNetwork(nn.Module):
    """A network whose features are the output of one of its layers.

    The network gives logits, alone or first in a tuple, or as the attribute or item `logits`. The
    output of the layer is a grid [batch, depth, row, col] or [batch, row, col, depth], or tokens
    [batch, token, depth] of a square of patches after some prefix tokens.

    Attributes:
        network: the network.
        layer: the name of the layer in `network.named_modules()`.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network, self.layer = network, layer

    def bind(self, subjects: Sequence[Subject]) -> "BoundLayer":
        """The network for one batch; nothing about the subjects is read but their images."""
        return BoundLayer(self.network, self.layer)

    @property
    def cell_shift_pixels(self) -> float:
        """The distance from the centre of a cell to that of its receptive field, in pixels.

        The layers up to this one are taken as a chain in the order of their names.
        """
        centre, stride = receptive_field(self.network, self.layer)
        return centre - stride / 2


class BoundLayer(nn.Module):
    """A `LayerNetwork` that remembers the images of its last pass; one is made for each batch.

    It has no prediction layer over its features, so it has no class activation maps.
    """

    prediction: Any = None

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network, self.layer = network, layer
        self.images = torch.empty(0)
        self.output: Any = None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [batch, finding], and the output of the layer as features on a grid.

        Raises:
            CxrlocError: the network does not run the layer exactly once, or gives no logits, or the
                output of the layer has no rows and columns.
        """
        recorded: list[Any] = []
        handle = self.network.get_submodule(self.layer).register_forward_hook(
            lambda module, inputs, output: recorded.append(output)
        )
        try:
            logits = logits_of_output(self.network(images))
        finally:
            handle.remove()
        if len(recorded) != 1:
            raise CxrlocError(f"--layer {self.layer}: the network runs it {len(recorded)} times")
        self.images, self.output = images, recorded[0]
        return logits, to_grid(_tensor_of(recorded[0]))

    def head(self, features: Float[Tensor, "batch depth row col"]) -> Float[Tensor, "batch out"]:
        """The logits of features, for the image of the last pass, or for its images in order."""
        first = _tensor_of(self.output)
        images, output = self.images, first
        if len(features) != len(images):
            images = images[:1].expand(len(features), *images.shape[1:])
            output = first[:1].expand(len(features), *first.shape[1:])
        new = from_grid(features.to(first.dtype), output)

        def replaced(module: nn.Module, inputs: Any, output: Any) -> Any:
            return new if isinstance(output, Tensor) else (new, *output[1:])

        handle = self.network.get_submodule(self.layer).register_forward_hook(replaced)
        try:
            return logits_of_output(self.network(images.to(first.device)))
        finally:
            handle.remove()


def layer_of_class_token(network: Any) -> str:
    """The layer for gradient methods of a network that reads its class token alone, else nothing.

    It is the normalisation before the last attention, which is the last place where the patch
    tokens still reach the class token.
    """
    if not getattr(getattr(network, "config", None), "class_token", False):
        return ""
    weight = network.prediction.weight
    if weight[:, : weight.shape[1] // 2].any():
        return ""
    return f"backbone.network.blocks.{len(network.backbone.network.blocks) - 1}.norm1"


def with_layer(model: Model, layer: str) -> Model:
    """The model with the output of a layer as its features; the model itself if none is named.

    Raises:
        UsageError: the network has no such layer; the message has similar names.
        CxrlocError: the network reads more than one image.
    """
    if not layer or isinstance(model.network, LayerNetwork):
        return model
    names = [name for name, _ in model.network.named_modules() if name]
    if layer not in names:
        alike = get_close_matches(layer, names, n=SHOWN) or names[-SHOWN:]
        raise UsageError(
            f"--layer {layer}: {model.card.name} has no such layer: choose from {', '.join(alike)}"
        )
    if model.reads != (Input.IMAGE,):
        raise CxrlocError(f"--layer {layer}: {model.card.name} reads more than an image")
    # The typical features are those of the network's own layer, so no distance is known here.
    return replace(model, network=LayerNetwork(model.network, layer), config=None, typical=None)


def logits_of_output(output: Any) -> Tensor:
    """The logits in the output of a classifier of any library.

    Raises:
        CxrlocError: there are none.

    >>> logits_of_output({"logits": torch.zeros(1, 2)}).shape
    torch.Size([1, 2])
    """
    found = getattr(output, "logits", output)
    if isinstance(found, dict):
        found = found.get("logits")
    if isinstance(found, tuple | list) and found:
        found = found[0]
    if not isinstance(found, Tensor) or found.ndim != 2:
        what = tuple(found.shape) if isinstance(found, Tensor) else type(output).__name__
        raise CxrlocError(f"the network gives no logits [batch, finding] but {what}")
    return found


def to_grid(output: Tensor) -> Float[Tensor, "batch depth row col"]:
    """The output of a layer as features on a grid; prefix tokens are left out.

    Raises:
        CxrlocError: the output has no rows and columns.

    >>> to_grid(torch.zeros(1, 5, 7)).shape, to_grid(torch.zeros(1, 2, 2, 7)).shape
    (torch.Size([1, 7, 2, 2]), torch.Size([1, 7, 2, 2]))
    """
    if output.ndim == 4:
        return output.movedim(3, 1) if _has_channels_last(output) else output
    if output.ndim == 3:
        side = isqrt(output.shape[1])
        return output[:, output.shape[1] - side * side :].mT.unflatten(2, (side, side))
    raise CxrlocError(
        f"--layer: its output {tuple(output.shape)} has no rows and columns; name a layer before "
        "the pooling"
    )


def from_grid(features: Float[Tensor, "batch depth row col"], output: Tensor) -> Tensor:
    """Features in the order of the layer's output, whose prefix tokens are kept."""
    if output.ndim == 4:
        return features.movedim(1, 3) if _has_channels_last(output) else features
    cells = features.flatten(2).mT
    return torch.cat([output[:, : output.shape[1] - cells.shape[1]], cells], dim=1)


def _has_channels_last(output: Tensor) -> bool:
    _, first, second, third = output.shape
    return first == second and second != third


def _tensor_of(output: Any) -> Tensor:
    found = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(found, Tensor):
        raise CxrlocError(f"--layer: its output is a {type(output).__name__}, not a tensor")
    return found
