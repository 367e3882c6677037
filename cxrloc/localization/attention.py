"""Heatmaps from the attention of a vision transformer of timm.

In every block, each head weighs the values of all tokens for each token:
attention[batch, head, query, key], whose rows sum to 1. The tokens are the class token and
registers, if there are any, and then the patches in raster order. The methods here have the
signature of `heatmaps.HEATMAPS`. Attention in windows (Swin) is not supported, because it does not
weigh all tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.localizer import LocalizingNetwork

Images = Float[Tensor, "batch channel height width"]
Logits = Float[Tensor, "batch all_finding"]
Maps = Float[Tensor, "batch finding row col"]
Attention = Float[Tensor, "batch head token token"]


def attention_rollout(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """Attention rollout: how much each patch reaches the prediction through all blocks.

    Abnar & Zuidema 2020, section 3, with the residual connection as an identity: with the mean
    attention W over heads, A = W / 2 + I / 2, and the rollout is the product A_last ... A_first.
    The map is the row of the class token if the prediction reads it, otherwise the mean row of the
    patches. It is the same for every finding.

    Raises:
        CxrlocError: the network has no such attention (`attention_layers`).
    """
    with torch.no_grad(), _recorded(network) as attention:
        logits, features = network(images)
    cells = features.shape[2] * features.shape[3]
    identity = torch.eye(attention[0].shape[-1], device=images.device)
    rollout = identity
    for weights in attention:
        rollout = (weights.float().mean(dim=1) + identity) / 2 @ rollout  # batch token token
    rows = rollout[:, :1] if _reads_class_token(network) else rollout[:, -cells:]
    return logits, _on_grid(rows.mean(dim=1), logits, features, findings)


def class_attention(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """The attention of the class token to the patches in the last block, as a mean over its heads.

    Caron et al. 2021 (DINO), section 4.2.2 and figure 1. It is the same for every finding.

    Raises:
        CxrlocError: the network has no such attention (`attention_layers`).
    """
    with torch.no_grad(), _recorded(network) as attention:
        logits, features = network(images)
    weights = attention[-1].float().mean(dim=1)  # batch token token
    return logits, _on_grid(weights[:, 0], logits, features, findings)


def legrad(
    network: LocalizingNetwork, images: Images, findings: Sequence[int] | None = None
) -> tuple[Logits, Maps]:
    """LeGrad: the positive gradient of a logit with respect to the attention of all blocks.

    Bousselham et al. 2024, "LeGrad: an explainability method for vision transformers via feature
    formation sensitivity", section 3: E = mean over heads and queries of max(0, d y_c / d A), and
    the map is the mean of E over the blocks, without the columns of prefix tokens.
    Departs: the paper gives the tokens of every block a score of their own by the last layer. Here
    y_c is the logit itself, so that the method suits every head.

    Raises:
        CxrlocError: the network has no such attention (`attention_layers`).
    """
    # Tensors made in inference mode have no gradient, so a copy is made outside of it. The images
    # ask for a gradient because weights may be frozen.
    with torch.inference_mode(False), torch.enable_grad(), _recorded(network) as attention:
        logits, features = network(images.clone().requires_grad_())
        columns = range(logits.shape[1]) if findings is None else findings
        maps = []
        for column in columns:
            gradients = torch.autograd.grad(
                logits[:, column].sum(), attention, retain_graph=True, allow_unused=True
            )
            kept = [each.float().clamp(min=0) for each in gradients if each is not None]
            maps.append(torch.stack([each.mean(dim=(1, 2)) for each in kept]).mean(dim=0))
    cells = features.shape[2] * features.shape[3]
    stacked = torch.stack(maps, dim=1)[:, :, -cells:]  # batch finding cell
    return logits.detach(), stacked.unflatten(2, features.shape[2:])


ATTENTION_METHODS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "attention_rollout": attention_rollout,
    "class_attention": class_attention,
    "legrad": legrad,
}
"""Methods that need the attention of a transformer."""


def check_attention(method: str, network: nn.Module) -> None:
    """Raise an error if a method of `ATTENTION_METHODS` is not possible for a network.

    Raises:
        CxrlocError: it has no such attention, or no class token for "class_attention".
    """
    attention_layers(network)
    tokens = (getattr(layer, "cls_token", None) for layer in network.modules())
    if method == "class_attention" and all(token is None for token in tokens):
        raise CxrlocError("class_attention: the network has no class token")


def attention_layers(network: nn.Module) -> list[Any]:
    """The attention layers of a transformer of timm, in the order in which they run.

    Raises:
        CxrlocError: there are none, or they are of more than one transformer or in windows.
    """
    found = [
        layer
        for layer in network.modules()
        if hasattr(layer, "fused_attn") and isinstance(getattr(layer, "attn_drop", None), nn.Module)
    ]
    transformers = [
        layer
        for layer in network.modules()
        if hasattr(layer, "num_prefix_tokens") and hasattr(layer, "blocks")
    ]
    if not found or len(transformers) != 1:
        raise CxrlocError(
            f"the methods {', '.join(ATTENTION_METHODS)} are of networks with one vision "
            "transformer of timm (ViT, DeiT, DINOv2, DINOv3, ...), whose tokens are all patches of "
            "the image"
        )
    return found


@contextmanager
def _recorded(network: Any) -> Iterator[list[Attention]]:
    """The attention of each layer, filled by a pass of the network in the block.

    Fused kernels do not compute the attention as a tensor, so they are switched off in the block.
    """
    layers = attention_layers(network)
    recorded: list[Tensor] = []
    hooks = [
        layer.attn_drop.register_forward_hook(
            lambda module, inputs, output: recorded.append(output)
        )
        for layer in layers
    ]
    fused = [layer.fused_attn for layer in layers]
    try:
        for layer in layers:
            layer.fused_attn = False
        yield recorded
    finally:
        for layer, is_fused, hook in zip(layers, fused, hooks, strict=True):
            layer.fused_attn = is_fused
            hook.remove()


def _reads_class_token(network: Any) -> bool:
    """Whether the prediction reads the class token, and not the patches alone."""
    # The network may be wrapped, and then its configuration is that of a layer.
    configs = (getattr(layer, "config", None) for layer in network.modules())
    return any(getattr(config, "class_token", False) for config in configs)


def _on_grid(
    weights: Float[Tensor, "batch token"],
    logits: Logits,
    features: Float[Tensor, "batch depth row col"],
    findings: Sequence[int] | None,
) -> Maps:
    """The weights of the patches on the grid of the features, repeated for every finding."""
    cells = features.shape[2] * features.shape[3]
    count = logits.shape[1] if findings is None else len(findings)
    grid = weights[:, weights.shape[1] - cells :].unflatten(1, features.shape[2:])
    return grid[:, None].expand(-1, count, -1, -1).contiguous()
