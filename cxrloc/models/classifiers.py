"""Classifiers of torchvision and timm: where their features end and their prediction begins."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.extras import import_extra
from cxrloc.models.backbones import BACKBONES, torchvision_models
from cxrloc.models.grid import set_input_channels
from cxrloc.models.library_backbones import (
    TIMM,
    TORCHVISION,
    find_backbone,
    timm_network,
    torchvision_classifier,
    weights_left_unset,
)
from cxrloc.text import did_you_mean

NOT_ADOPTED = {"inception_v3": "its branches have strides of their own"}
"""Classifiers of torchvision that cannot be adopted, and why."""

REMARKS = {
    "googlenet": "its weights do not say whether torchvision's transform_input was on, as it is in "
    "every network that began from torchvision's own weights: then --mean and --std are 0.5 for "
    "each channel, in place of ImageNet's"
}
"""What the user must know of a classifier of torchvision."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """A layer normalisation between pooling and prediction: its name and its epsilon."""

    name: str
    eps: float


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A classifier of a library, with weights that are not set.

    Attributes:
        network: the classifier.
        backbone: name for `find_backbone` of its layers before the pooling.
        head: name of the linear layer that gives the logits.
        depth: number of channels that this layer reads.
        norm: layer normalisation before it; None for networks without one.
        remark: what the user must know of it; empty for most.
        tokens: for transformers with a class token, what the layer reads: "class" or "patches";
            empty for all other networks.
    """

    network: nn.Module
    backbone: str
    head: str
    depth: int
    norm: Normalisation | None = None
    tokens: str = ""
    remark: str = ""

    def logits(self, images: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch out"]:
        """The logits of the classifier in evaluation mode."""
        with torch.no_grad():
            return self.network.eval()(images)


def classifier_of(architecture: str, outputs: int, channels: int = 3) -> Classifier:
    """The classifier of a library with this name: of torchvision if it has one, otherwise of timm.

    Args:
        architecture: "densenet121", "resnet34", "torchvision:NAME" or "timm:NAME".
        outputs: number of logits.
        channels: number of input channels, 1 or 3.

    Raises:
        CxrlocError: there is no such classifier, or its logits are not those of one linear layer
            over pooled features.
    """
    library, name = _library_of(architecture)
    if library == TIMM:
        return _of_timm(name, outputs, channels)
    if name in NOT_ADOPTED:
        raise CxrlocError(f"{architecture} cannot be adopted: {NOT_ADOPTED[name]}")
    backbone = name if name in BACKBONES else TORCHVISION + name
    find_backbone(backbone)
    with weights_left_unset():
        network = torchvision_classifier(name, num_classes=outputs)
        set_input_channels(network, channels)
    layers = dict(network.named_modules())
    head = next(key for key in reversed(layers) if isinstance(layers[key], nn.Linear))
    layer, before = layers[head], head.rpartition(".")[0]
    beside = [key for key in layers if before and key.rpartition(".")[0] == before]
    if sum(isinstance(layers[key], nn.Linear) for key in beside) > 1:
        raise CxrlocError(f"{architecture}: {_HIDDEN}")
    norms = [
        Normalisation(key, each.eps)
        for key in beside
        if isinstance(each := layers[key], nn.LayerNorm)
    ]
    return Classifier(
        network,
        backbone,
        head,
        layer.in_features,
        norms[0] if norms else None,
        remark=REMARKS.get(name, ""),
    )


GRADIENTS = (
    "has no class activation maps; a function that gives the network (--model file.py:function) "
    "and --layer NAME give the maps of the gradient methods"
)
"""How a message about a network ends that cannot be adopted, but can be used otherwise."""

_HIDDEN = f"its logits come from two layers after the pooling, so it {GRADIENTS}"


def _library_of(architecture: str) -> tuple[str, str]:
    """The library and the name in it."""
    for library in (TORCHVISION, TIMM):
        if architecture.startswith(library):
            return library, architecture.removeprefix(library)
    known = torchvision_models().list_models(module=torchvision_models())
    if architecture in known:
        return TORCHVISION, architecture
    timm: Any = import_extra("timm", "zoo")
    if timm.is_model(architecture.partition("@")[0]):
        return TIMM, architecture
    hint = did_you_mean(architecture, sorted({*known, *timm.list_models()}), most=5)
    raise CxrlocError(f"--architecture {architecture}: neither torchvision nor timm has it{hint}")


def _of_timm(name: str, outputs: int, channels: int) -> Classifier:
    find_backbone(TIMM + name)
    with weights_left_unset():
        network = timm_network(name, num_classes=outputs, in_chans=channels)
    head = network.pretrained_cfg.get("classifier")
    if not isinstance(head, str):
        raise CxrlocError(f"{TIMM}{name}: it has two heads (a distilled transformer)")
    layer = network.get_submodule(head)
    if getattr(network, "attn_pool", None) is not None:
        raise CxrlocError(f"{TIMM}{name}: its pooling is an attention layer")
    if not isinstance(layer, nn.Linear) or layer.in_features != network.num_features:
        raise CxrlocError(f"{TIMM}{name}: {_HIDDEN}")
    norm = next(
        (
            Normalisation(key, each.eps)
            for key in ("fc_norm", "head.norm")
            if isinstance(each := _submodule(network, key), nn.LayerNorm)
        ),
        None,
    )
    has_token = getattr(network, "cls_token", None) is not None
    tokens = ("class" if network.global_pool == "token" else "patches") if has_token else ""
    return Classifier(network, TIMM + name, head, layer.in_features, norm, tokens)


def _submodule(network: nn.Module, name: str) -> nn.Module | None:
    try:
        return network.get_submodule(name)
    except AttributeError:
        return None
