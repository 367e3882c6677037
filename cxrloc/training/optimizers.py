"""Optimizers, and the learning rate and weight decay of each part of a network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BACKBONE = "backbone"
"""Name of the parts of a network that may be frozen or have a lower learning rate."""


Groups = list[dict[str, Any]]
"""Groups of parameters, each with its own settings, in the format of PyTorch's optimizers."""


def _sgd(groups: Groups, rate: float, momentum: float, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=rate, momentum=momentum, fused=fused or None)


def _adam(groups: Groups, rate: float, momentum: float, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=rate, betas=(momentum, 0.999), fused=fused or None)


def _adamw(groups: Groups, rate: float, momentum: float, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=rate, betas=(momentum, 0.999), fused=fused or None)


OPTIMIZERS: dict[str, Callable[[Groups, float, float, bool], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
}
"""Optimizers by name: (parameter groups, learning rate, momentum or beta1, fused) -> optimizer."""


def parameter_groups(
    network: nn.Module, weight_decay: float, backbone_rate: float, frozen_layers: int = 0
) -> list[dict[str, Any]]:
    """Groups of parameters, each with its weight decay and its factor of the learning rate.

    Weight decay applies to weights, but not to biases and normalisation, which have one axis. The
    learning rate of the backbone is `backbone_rate` times that of the other layers; with 0 the
    backbone is frozen. The first `frozen_layers` layers of the backbone are frozen at any rate.

    >>> groups = parameter_groups(nn.Linear(2, 1), weight_decay=0.1, backbone_rate=1.0)
    >>> [(len(group["params"]), group["weight_decay"], group["factor"]) for group in groups]
    [(1, 0.1, 1.0), (1, 0.0, 1.0)]
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factor = _rate(name, backbone_rate, frozen_layers)
        if factor == 0:
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((decay, factor), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "factor": factor}
        for (decay, factor), parameters in groups.items()
    ]


def set_training(
    network: nn.Module,
    backbone_rate: float,
    frozen_normalisation: bool,
    frozen_layers: int = 0,
) -> None:
    """Set training mode, except for frozen layers, whose statistics must not change."""
    network.train()
    for name, module in network.named_modules():
        frozen = _rate(name, backbone_rate, frozen_layers) == 0
        if frozen or (frozen_normalisation and isinstance(module, _BatchNorm)):
            module.eval()


def _rate(name: str, backbone_rate: float, frozen_layers: int) -> float:
    """The factor of the learning rate for a parameter or module with this dotted name.

    >>> [_rate(f"backbone.{layer}.weight", 0.1, frozen_layers=2) for layer in (1, 2)]
    [0.0, 0.1]
    """
    _, part, after = f".{name}".partition(f".{BACKBONE}")
    if not part:
        return 1.0
    layer = after.lstrip(".").split(".")[0]
    return 0.0 if layer.isdecimal() and int(layer) < frozen_layers else backbone_rate
