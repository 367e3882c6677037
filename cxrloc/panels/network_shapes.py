"""The steps of a network from an image to probabilities, with the real shapes of all outputs.

A forward pass on torch's "meta" device gives every shape without computing a number. torchinfo
does not serve here: it lists single modules, while the chart needs one node, in words, for all
steps with the same rows and columns, and a column of nodes for each view.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.context import inputs_of
from cxrloc.models.described import Input
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.meta import META
from cxrloc.models.model import Model
from cxrloc.models.networks import Network
from cxrloc.models.pooling import completed_parameters
from cxrloc.models.pyramid import Pyramid, in_order

_UNNAMED = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.Dropout, nn.Identity)
"""Layers that keep the shape; the chart does not name them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the network.

    Attributes:
        name: what it is.
        layers: its layers in words, a line each.
        shape: of its output: channels, rows and columns; or channels alone.
    """

    name: str
    layers: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """A network as steps.

    Attributes:
        trunks: steps from an image to its features, by the name of the view; one trunk has no view.
        head: from the features, of all trunks together, to the probabilities.
        heatmap: shape of the maps of all findings: findings, rows and columns.
        beside: values that the prediction reads beside the image.
    """

    trunks: dict[str, tuple[Stage, ...]]
    head: tuple[Stage, ...]
    heatmap: tuple[int, ...]
    beside: tuple[str, ...] = ()


def network_flow(model: Model) -> Flow:
    """The steps of a model; its network is moved to the "meta" device and cannot run afterwards.

    Raises:
        CxrlocError: the network is not one of this package.
    """
    config, network = model.config, model.network
    if config is None or not isinstance(network, Network):
        raise CxrlocError(f"{model.card.name}: only networks of cxrloc can be drawn")
    network = network.to("meta").eval()
    channels, size = len(model.preprocessing.mean), model.preprocessing.size
    image = torch.empty(1, channels, size, size, device="meta")
    trunks = {name: _trunk(name, part, image) for name, part in network.trunks.items()}
    depth = sum(stages[-1].shape[0] for stages in trunks.values())
    grid = next(iter(trunks.values()))[-1].shape[1:]
    findings = len(config.findings)
    return Flow(
        trunks=trunks,
        head=(*_head(network, config, depth),),
        heatmap=(findings, *grid),
        beside=META if Input.METADATA in inputs_of(network) else (),
    )


def _head(network: Network, config: LocalizerConfig, depth: int) -> list[Stage]:
    parameters = completed_parameters(config.pooling, config.pooling_parameters)
    numbers = [f"{name} = {value:g}" for name, value in parameters.items()]
    pooling = f"{config.pooling}, {', '.join(numbers)}" if numbers else config.pooling
    joined = ("concatenated",) if Input.SECOND_VIEW in inputs_of(network) else ()
    inputs = depth + (len(META) if Input.METADATA in inputs_of(network) else 0)
    outputs = (len(config.findings),)
    return [
        Stage("Global pooling", (pooling, *joined), (depth,)),
        Stage("Prediction", (f"linear, {inputs} to {outputs[0]}",), outputs),
        Stage("Probabilities", ("sigmoid",), outputs),
    ]


def _trunk(name: str, part: nn.Module, image: Tensor) -> tuple[Stage, ...]:
    """Input, the backbone's stages of equal grid, and the transition layer if there is one."""
    backbone, transition = part.get_submodule("backbone"), part.get_submodule("transition")
    start = Stage(name[0].upper() + name[1:], (), tuple(image.shape[1:]))
    with torch.no_grad():
        steps, features = _traced(backbone, image)
        stages = [start, *_stages(steps)]
        if not isinstance(transition, nn.Identity):
            out = tuple(transition(features).shape[1:])
            if isinstance(features, list):
                stages.append(Stage("Decoder", (type(transition).__name__,), out))
            else:
                stages.append(Stage("Transition", tuple(_words([*transition.children()])), out))
    return tuple(stages)


def _traced(
    backbone: nn.Module, image: Tensor
) -> tuple[list[tuple[nn.Module, tuple[int, ...]]], Tensor | list[Tensor]]:
    """The backbone's children in the order in which they run, each with its output's shape.

    The second result is the backbone's features; before a decoder they are a list, from fine to
    coarse.
    """
    steps: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            steps.append((module, tuple(output.shape[1:])))

    parts = in_order(backbone) if isinstance(backbone, Pyramid) else backbone.children()
    hooks = [part.register_forward_hook(note) for part in parts]
    features = backbone(image)
    for hook in hooks:
        hook.remove()
    last = features[-1] if isinstance(features, list) else features
    shape = tuple(last.shape[1:])
    if not steps or steps[-1][1] != shape:
        steps.append((backbone, shape))
    return steps, features


def _stages(steps: Sequence[tuple[nn.Module, tuple[int, ...]]]) -> list[Stage]:
    """Neighbouring steps with the same rows and columns are one stage."""
    groups: list[list[tuple[nn.Module, tuple[int, ...]]]] = []
    for step in steps:
        if groups and groups[-1][-1][1][1:] == step[1][1:]:
            groups[-1].append(step)
        else:
            groups.append([step])
    return [
        Stage(f"Stage {number}", tuple(_words([m for m, _ in group])), group[-1][1])
        for number, group in enumerate(groups, 1)
    ]


def _words(layers: Sequence[nn.Module]) -> list[str]:
    """Layers in words, with counts of equal ones, without those that the chart does not name.

    >>> _words([nn.Conv2d(1, 8, 7), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)])
    ['7 x 7 conv', '2 x 3 x 3 conv']
    """
    words = Counter(_word(layer) for layer in layers if not isinstance(layer, _UNNAMED))
    return [word if n == 1 else f"{n} x {word}" for word, n in words.items()]


def _word(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d):
        rows, columns = layer.kernel_size[0], layer.kernel_size[1]
        return f"{rows} x {columns} conv"
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        return "max pool" if isinstance(layer, nn.MaxPool2d) else "average pool"
    children = [*layer.children()]
    kinds = {type(child).__name__ for child in children}
    if isinstance(layer, nn.Sequential) and len(kinds) == 1:
        return f"{len(children)} x {kinds.pop()}"
    if isinstance(layer, nn.ModuleDict):
        return f"{len(children)} dense layers"
    return type(layer).__name__.lstrip("_")
