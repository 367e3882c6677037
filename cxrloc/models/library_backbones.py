"""Backbones by their name in a library: `torchvision:resnet34`, `timm:vit_small_patch16_224`.

A name of timm may end with the side of the square that the position embeddings were made for, such
as `timm:vit_small_patch16_224@512`, if it is not that of the library's own weights. The position
embeddings of a transformer are resized to the network's input.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cxrloc.errors import CxrlocError
from cxrloc.extras import import_extra
from cxrloc.models.backbones import (
    BACKBONES,
    Backbone,
    densenet_features,
    first_layers,
    torchvision_models,
)
from cxrloc.models.grid import WINDOWS, first_of, receptive_field
from cxrloc.text import did_you_mean

TORCHVISION, TIMM = "torchvision:", "timm:"

AFTER_FEATURES = (
    "attn_pool",
    "classifier",
    "fc",
    "fc_norm",
    "global_pool",
    "head",
    "head_dist",
    "head_drop",
    "last_linear",
)
"""Names of timm's layers between the features and the logits."""


def find_backbone(name: str) -> Backbone:
    """The backbone with this name: of `BACKBONES`, or of a library.

    Raises:
        CxrlocError: there is no such name; the message lists similar ones.

    >>> find_backbone("torchvision:resnet34").native_stride
    32
    """
    if name.startswith(TORCHVISION):
        return _of_torchvision(name.removeprefix(TORCHVISION))
    if name.startswith(TIMM):
        return _of_timm(name.removeprefix(TIMM))
    if name in BACKBONES:
        return BACKBONES[name]
    raise CxrlocError(
        f"backbone {name!r} is unknown: choose one of {', '.join(BACKBONES)}, or a name of a "
        "library: torchvision:NAME, timm:NAME"
    )


def torchvision_classifier(name: str, **settings: Any) -> nn.Module:
    """The classifier that has this name in torchvision, with random weights.

    Raises:
        CxrlocError: there is no such name; the message lists similar ones.
    """
    known = torchvision_models().list_models(module=torchvision_models())
    if name not in known:
        raise CxrlocError(f"torchvision has no {name!r}{did_you_mean(name, known)}")
    if name in ("googlenet", "inception_v3"):
        settings |= {"init_weights": False, "aux_logits": False}
    return torchvision_models().get_model(name, weights=None, **settings)


def timm_network(name: str, **settings: Any) -> Any:
    """The classifier that has this name in timm, with random weights, for inputs of any size.

    Args:
        name: name in timm; "@SIZE" at its end is the side that position embeddings are made for.
        settings: keywords of `timm.create_model`.

    Raises:
        CxrlocError: timm is not installed, or has no such network (the message has similar names),
            or a size is given for a network without position embeddings.
    """
    timm: Any = import_extra("timm", "zoo")
    name, _, size = name.partition("@")
    if not timm.is_model(name):
        raise CxrlocError(f"timm has no {name!r}{did_you_mean(name, timm.list_models())}")
    if size and not size.isdecimal():
        raise CxrlocError(f"{TIMM}{name}@{size}: after @ comes a number of pixels")
    sized = {"img_size": int(size)} if size else {}
    try:
        return timm.create_model(name, **settings, **sized, dynamic_img_size=True)
    except TypeError:  # a network without position embeddings has no such keyword
        pass
    try:
        return timm.create_model(name, **settings, **sized)
    except TypeError as error:
        raise CxrlocError(f"{TIMM}{name}@{size}: it has no position embeddings") from error


@contextmanager
def weights_left_unset() -> Iterator[None]:
    """Networks built in the block have arbitrary weights; drawing random ones takes seconds.

    The state of torch's random numbers is not changed.
    """
    with torch.random.fork_rng(devices=[]), _NoRandomNumbers():
        yield


class _NoRandomNumbers(TorchFunctionMode):
    """Leaves out the functions that fill a tensor with random numbers."""

    LEFT_OUT = (Tensor.uniform_, Tensor.normal_, Tensor.erfinv_, Tensor.clamp_)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in self.LEFT_OUT:
            return args[0]
        return func(*args, **(kwargs or {}))


class TimmBackbone(nn.Module):
    """The layers of a timm network up to its features, which it gives as a grid.

    The patch tokens of a transformer become features on a grid. Its prefix tokens (class token and
    registers) are left out; the class token can be put beside every cell instead.

    Attributes:
        network: the network of timm without the layers after its features.
        patch: side of a patch in pixels; the input's sides must be multiples of it. 1 for networks
            that take every size.
        has_class_token: whether the class token is put beside every cell.
        depth: number of output channels.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = timm_network(name)
        for layer in AFTER_FEATURES:
            if isinstance(getattr(self.network, layer, None), nn.Module):
                setattr(self.network, layer, nn.Identity())
        patches: Any = getattr(self.network, "patch_embed", None)
        self.patch = int(patches.patch_size[0]) if hasattr(patches, "patch_size") else 1
        self.depth = int(self.network.num_features)
        self.has_class_token = False

    def add_class_token(self) -> None:
        """Put the class token beside every cell.

        Raises:
            CxrlocError: the network has none.
        """
        if getattr(self.network, "cls_token", None) is None:
            raise CxrlocError("this network has no class token")
        self.has_class_token = True
        self.depth = 2 * int(self.network.num_features)

    def forward(
        self, images: Float[Tensor, "batch channel row col"]
    ) -> Float[Tensor, "batch depth feature_row feature_col"]:
        """The features of every cell.

        Raises:
            CxrlocError: a side of the input is no multiple of the patch.
        """
        rows, columns = images.shape[2] // self.patch, images.shape[3] // self.patch
        if (rows * self.patch, columns * self.patch) != tuple(images.shape[2:]):
            raise CxrlocError(
                f"input of {images.shape[2]} x {images.shape[3]} pixels: the sides must be "
                f"multiples of the patch, {self.patch}"
            )
        features = self.network.forward_features(images)
        if features.ndim == 4:
            return channels_first(self.network, features)
        prefix = self.network.num_prefix_tokens
        cells = features[:, prefix:].mT.unflatten(2, (rows, columns))  # batch depth row col
        if not self.has_class_token:
            return cells
        token = features[:, 0, :, None, None].expand_as(cells)
        return torch.cat([cells, token], dim=1)


def channels_first(network: nn.Module, features: Tensor) -> Float[Tensor, "batch depth row col"]:
    """The features of a network of timm with the channels before rows and columns."""
    last = getattr(network, "output_fmt", "NCHW") == "NHWC"
    return features.movedim(3, 1) if last else features


@cache
def _of_timm(name: str) -> Backbone:
    with weights_left_unset():
        layers = TimmBackbone(name)
    network = layers.network
    reductions = getattr(network, "feature_info", None)
    if not reductions:
        raise CxrlocError(f"{TIMM}{name}: timm does not say the stride of its features")
    stride = int(reductions[-1]["reduction"])
    return Backbone(
        partial(TimmBackbone, name),
        timm_weights=name,
        native_stride=stride,
        has_refinable_grid=False,
        cell_shift_pixels=cell_shift_of(TIMM + name, network, stride),
    )


@cache
def _of_torchvision(name: str) -> Backbone:
    # RegNet computes its widths with tensors, so that it cannot be built on "meta".
    with weights_left_unset():
        classifier = torchvision_classifier(name)
    layers = _features_of(name, classifier).to("meta").eval()
    stride = 256 // layers(torch.zeros(1, 3, 256, 256, device="meta")).shape[-1]
    is_resnet = isinstance(classifier, torchvision_models().ResNet)
    return Backbone(
        partial(_torchvision_features, name),
        torchvision_weights=name,
        native_stride=stride,
        has_refinable_grid=is_resnet,
        cell_shift_pixels=None if is_resnet else cell_shift_of(TORCHVISION + name, layers, stride),
    )


def _torchvision_features(name: str) -> nn.Module:
    return _features_of(name, torchvision_classifier(name))


def _features_of(name: str, network: Any) -> nn.Module:
    """The layers of a torchvision classifier before its pooling."""
    models = torchvision_models()
    if isinstance(network, models.DenseNet):
        return densenet_features(network)
    if isinstance(network, models.SwinTransformer):
        parts = ("features", "norm", "permute")  # normalised, then with the channels first
        return nn.Sequential(OrderedDict((part, getattr(network, part)) for part in parts))
    families = {
        models.ResNet: "layer4",
        models.RegNet: "trunk_output",
        models.ShuffleNetV2: "conv5",
    }
    for family, last in families.items():
        if isinstance(network, family):
            return first_layers(network, last)
    pooled = getattr(network, "avgpool", None)
    if hasattr(network, "features") and getattr(pooled, "output_size", 0) in (1, (1, 1)):
        return network.features
    raise CxrlocError(
        f"{TORCHVISION}{name}: its logits do not come from pooled features of one grid; "
        "transformers are taken from timm (timm:NAME)"
    )


def cell_shift_of(name: str, layers: nn.Module, stride: int, last: str = "") -> float:
    """The distance from the centre of a cell to that of its receptive field, in pixels.

    Open: it is that of the layers without the shortcuts beside them. The shortcuts of ResNet-D (He
    et al. 2019) average pixels and pull the true centre nearer to that of the cell.

    Args:
        name: name of the backbone, for the error message.
        layers: its layers.
        stride: pixels of the input per cell of the features.
        last: name of the layer that gives the features; empty: all layers are taken.

    Raises:
        CxrlocError: the layers are no chain, so that the place of the cells is unknown.
    """
    centre, walked = receptive_field(layers, last)
    if walked == stride:
        return centre - stride / 2
    strided = [each for each in layers.modules() if isinstance(each, WINDOWS)]
    if all(
        first_of(each.kernel_size) == first_of(each.stride)
        for each in strided
        if first_of(each.stride) > 1
    ):
        # Patches of Swin Transformers and of ConvNeXt do not overlap, and kernels of stride 1 are
        # symmetric, so that cells and receptive fields have the same centre.
        return 0.0
    raise CxrlocError(
        f"{name}: branches with strides of their own, so that the place of its cells is unknown; a "
        "network of your own can say it (--model file.py:function)"
    )
