"""Networks and weights under Hugging Face transformers' names, renamed as in timm.

The families are ViT and DeiT, DINOv2, ResNet and ConvNeXt. The names are those in the files on the
hub, which have been the same since these classes were added to transformers.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cxrloc.errors import CxrlocError

_VIT = (
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.mask_token", "mask_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)", r"blocks.\1.attn.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense", r"blocks.\1.attn.proj"),
    (r"encoder\.layer\.(\d+)\.layernorm_before", r"blocks.\1.norm1"),
    (r"encoder\.layer\.(\d+)\.layernorm_after", r"blocks.\1.norm2"),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense", r"blocks.\1.mlp.fc1"),
    (r"encoder\.layer\.(\d+)\.output\.dense", r"blocks.\1.mlp.fc2"),
    (r"encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1", r"blocks.\1.ls\2.gamma"),
    (r"encoder\.layer\.(\d+)\.(norm[12]|mlp\.fc[12])", r"blocks.\1.\2"),
    (r"layernorm\.(weight|bias)", r"norm.\1"),
    (r"classifier\.(weight|bias)", r"head.\1"),
)
_RESNET = (
    (r"embedder\.embedder\.convolution", "conv1"),
    (r"embedder\.embedder\.normalization", "bn1"),
    (
        r"encoder\.stages\.(\d)\.layers\.(\d+)\.layer\.(\d)\.convolution",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.conv{int(m[3]) + 1}",
    ),
    (
        r"encoder\.stages\.(\d)\.layers\.(\d+)\.layer\.(\d)\.normalization",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.bn{int(m[3]) + 1}",
    ),
    (
        r"encoder\.stages\.(\d)\.layers\.(\d+)\.shortcut\.(convolution|normalization)",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.{int(m[3] == 'normalization')}",
    ),
    (r"classifier\.1", "fc"),
)
_CONVNEXT = (
    (r"embeddings\.patch_embeddings", "stem.0"),
    (r"embeddings\.layernorm", "stem.1"),
    (r"encoder\.stages\.(\d)\.downsampling_layer\.([01])", r"stages.\1.downsample.\2"),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.dwconv", r"stages.\1.blocks.\2.conv_dw"),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.layernorm", r"stages.\1.blocks.\2.norm"),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.pwconv([12])", r"stages.\1.blocks.\2.mlp.fc\3"),
    (r"encoder\.stages\.(\d)\.layers\.(\d+)\.layer_scale_parameter", r"stages.\1.blocks.\2.gamma"),
    (r"layernorm\.(weight|bias)", r"head.norm.\1"),
    (r"classifier\.(weight|bias)", r"head.fc.\1"),
)
FAMILIES = {
    "encoder.layer.0.attention.attention.query.weight": _VIT,
    "embedder.embedder.convolution.weight": _RESNET,
    "encoder.stages.0.layers.0.dwconv.weight": _CONVNEXT,
}
"""Rules of each family by the end of a name that only this family has."""


_SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large"}
"""Names of vision transformers by their number of channels."""

_RESNETS = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}
_CONVNEXTS = {
    ((3, 3, 9, 3), 96): "convnext_tiny",
    ((3, 3, 27, 3), 96): "convnext_small",
    ((3, 3, 27, 3), 128): "convnext_base",
    ((3, 3, 27, 3), 192): "convnext_large",
}


def timm_name(config: Mapping[str, Any], where: str) -> str:
    """The name in timm of the network that a config.json of transformers describes.

    Raises:
        CxrlocError: the family is none of these; the message names `where`.
        KeyError: a size is missing, or no network of the family has it.

    >>> timm_name({"model_type": "vit", "hidden_size": 768, "patch_size": 16}, "hf:org/name")
    'timm:vit_base_patch16_224'
    """
    kind = config.get("model_type")
    if kind in ("vit", "deit"):
        return f"timm:vit_{_SIZES[config['hidden_size']]}_patch{config['patch_size']}_224"
    if kind == "dinov2":
        return f"timm:vit_{_SIZES[config['hidden_size']]}_patch14_dinov2"
    if kind == "resnet":
        return f"timm:{_RESNETS[config['layer_type'], tuple(config['depths'])]}"
    if kind == "convnext":
        return f"timm:{_CONVNEXTS[tuple(config['depths']), config['hidden_sizes'][0]]}"
    raise CxrlocError(
        f"{where}: a {kind or 'network without config.json'} of transformers: vit, deit, "
        "dinov2, resnet and convnext are adopted; a function of your own gives any other "
        "(--model file.py:function)"
    )


def from_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under timm's names if they are under transformers' names, else as they are.

    >>> list(from_transformers({"resnet.embedder.embedder.convolution.weight": torch.ones(1)}))
    ['conv1.weight']
    """
    for sign, rules in FAMILIES.items():
        wrapped = next((name for name in tensors if name.endswith(sign)), None)
        if wrapped is not None:
            prefix = wrapped.removesuffix(sign)
            named = {_renamed(name.removeprefix(prefix), rules): t for name, t in tensors.items()}
            return _joined(named)
    return dict(tensors)


def _renamed(name: str, rules: tuple[tuple[str, object], ...]) -> str:
    for pattern, new in rules:
        renamed, matches = re.subn(f"^{pattern}", new, name)  # type: ignore[call-overload]
        if matches:
            return str(renamed)
    return name


def _joined(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of query, key and value joined to one layer, as timm has them."""
    joined = {}
    for name, tensor in named.items():
        if ".attn.query." in name:
            parts = [named.get(name.replace("query", part), tensor) for part in ("key", "value")]
            joined[name.replace("query", "qkv")] = torch.cat([tensor, *parts])
        elif ".attn.key." not in name and ".attn.value." not in name:
            joined[name] = tensor
    return joined
