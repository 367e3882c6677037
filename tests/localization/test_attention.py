"""Heatmaps from attention, against the formulas written out for a transformer of two blocks."""

import pytest
import torch
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.inference.watched import Watched
from cxrloc.localization.attention import (
    ATTENTION_METHODS,
    attention_rollout,
    check_attention,
    class_attention,
    legrad,
)
from cxrloc.models.context import BoundNetwork
from cxrloc.models.localizer import Localizer, LocalizerConfig

pytest.importorskip("timm", reason="needs the extra zoo")

IMAGES = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))  # 2 x 3 patches
CELLS = 6


def transformer(class_token: bool = False) -> Localizer:
    """A class token, six patches, two heads and two blocks; large weights make attention uneven."""
    config = LocalizerConfig(
        "timm:test_vit", ("Mass", "Nodule"), 3, 16, transition_channels=0, class_token=class_token
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Localizer(config).eval()
        network.backbone.network.blocks = network.backbone.network.blocks[:2]
        for block in network.backbone.network.blocks:
            nn.init.normal_(block.attn.qkv.weight, std=0.3)
    return network


def attention_of(block: nn.Module, x: Tensor) -> Tensor:
    """softmax(Q K' / sqrt(d)) of one block, [batch head query key]."""
    attn = block.attn
    q, k, _ = attn.qkv(block.norm1(x)).unflatten(2, (3, attn.num_heads, -1)).unbind(2)
    return torch.einsum("bqhd,bkhd->bhqk", q, k).div(attn.head_dim**0.5).softmax(-1)


def after(block: nn.Module, x: Tensor, attention: Tensor) -> Tensor:
    """The tokens after a block in which the attention is given."""
    _, _, v = block.attn.qkv(block.norm1(x)).unflatten(2, (3, block.attn.num_heads, -1)).unbind(2)
    mixed = torch.einsum("bhqk,bkhd->bqhd", attention, v).flatten(2)
    x = x + block.attn.proj(mixed)
    return x + block.mlp(block.norm2(x))


def written_out(network: Localizer) -> tuple[Tensor, Tensor, Tensor]:
    """The attention of both blocks, and the logits, from formulas."""
    vit = network.backbone.network
    x = vit.norm_pre(vit._pos_embed(vit.patch_embed(IMAGES)))
    first = attention_of(vit.blocks[0], x)
    x = after(vit.blocks[0], x, first)
    second = attention_of(vit.blocks[1], x)
    x = vit.norm(after(vit.blocks[1], x, second))
    read = x[:, 1:].mean(dim=1)
    if network.config.class_token:
        read = torch.cat([read, x[:, 0]], dim=1)
    return first, second, network.prediction(read)


@pytest.mark.parametrize("class_token", [False, True])
def test_rollout_is_the_product_of_half_attention_and_half_identity(class_token):
    network = transformer(class_token)
    first, second, expected = written_out(network)
    logits, maps = attention_rollout(network, IMAGES)
    torch.testing.assert_close(logits, expected.detach())
    identity = torch.eye(1 + CELLS)
    product = (second.mean(1) / 2 + identity / 2) @ (first.mean(1) / 2 + identity / 2)
    torch.testing.assert_close(product.sum(2), torch.ones(2, 1 + CELLS))  # rows stay shares
    rows = product[:, 0] if class_token else product[:, 1:].mean(dim=1)
    assert maps.shape == (2, 2, 2, 3)
    for finding in range(2):
        torch.testing.assert_close(maps[:, finding].flatten(1), rows[:, 1:].detach())


def test_a_wrapped_network_has_the_same_rollout():
    network = transformer(class_token=True)
    wrapped = Watched(BoundNetwork(network, network))
    torch.testing.assert_close(
        attention_rollout(wrapped, IMAGES)[1], attention_rollout(network, IMAGES)[1]
    )


def test_class_attention_is_the_first_row_of_the_last_block():
    network = transformer()
    _, second, _ = written_out(network)
    _, maps = class_attention(network, IMAGES, findings=[1])
    assert maps.shape == (2, 1, 2, 3)
    torch.testing.assert_close(maps.flatten(1), second.mean(1)[:, 0, 1:].detach())


@pytest.mark.parametrize("class_token", [False, True])
def test_legrad_is_the_positive_gradient_of_the_logit_by_the_attention(class_token):
    """The gradient is taken by differences: each weight of each block is moved in turn."""
    network = transformer(class_token).double()
    vit = network.backbone.network
    image = IMAGES.double()[:1]
    _, maps = legrad(network, image, findings=[1])
    with torch.no_grad():
        x = vit.norm_pre(vit._pos_embed(vit.patch_embed(image)))
        gradients = [torch.zeros(2, 1 + CELLS, 1 + CELLS).double() for _ in range(2)]
        for block, gradient in enumerate(gradients):
            for place in torch.ones_like(gradient).nonzero().tolist():
                ends = []
                for step in (1e-5, -1e-5):
                    y = x
                    for number, layers in enumerate(vit.blocks):
                        weights = attention_of(layers, y)
                        if number == block:
                            weights[0][tuple(place)] += step
                        y = after(layers, y, weights)
                    y = vit.norm(y)
                    read = [y[:, 1:].mean(dim=1)] + ([y[:, 0]] if class_token else [])
                    ends.append(network.prediction(torch.cat(read, dim=1))[0, 1])
                gradient[tuple(place)] = (ends[0] - ends[1]) / 2e-5
        mean = torch.stack([each.clamp(min=0).mean(dim=(0, 1)) for each in gradients]).mean(dim=0)
    torch.testing.assert_close(maps[0, 0].flatten(), mean[1:].float(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ATTENTION_METHODS)
def test_the_network_is_left_as_it_was(name):
    network = transformer()
    attention = network.backbone.network.blocks[0].attn
    fused = attention.fused_attn
    with torch.inference_mode():
        logits, maps = ATTENTION_METHODS[name](network, IMAGES, findings=[1, 0])
    torch.testing.assert_close(logits, network(IMAGES)[0])
    assert maps.shape == (2, 2, 2, 3)
    assert not maps.requires_grad
    assert attention.fused_attn == fused
    assert not attention.attn_drop._forward_hooks
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name", ATTENTION_METHODS)
def test_a_network_without_attention_is_refused(name):
    network = Localizer(LocalizerConfig("small_resnet", ("Mass",))).eval()
    with pytest.raises(CxrlocError, match="one vision transformer of timm"):
        ATTENTION_METHODS[name](network, torch.rand(1, 1, 64, 64))


def test_a_class_token_is_needed_for_its_attention():
    network = transformer()
    check_attention("class_attention", network)
    network.backbone.network.cls_token = None
    check_attention("legrad", network)
    with pytest.raises(CxrlocError, match="class_attention: the network has no class token"):
        check_attention("class_attention", network)


def test_cam_and_gradient_methods_suit_a_transformer_too():
    """The grad-cam package, given the tokens as a grid, has the same map (its ReLU after ours)."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    from cxrloc.localization.heatmaps import cam, grad_cam

    network = transformer()
    with torch.no_grad():
        network.prediction.weight.mul_(1e4)  # so large that the package's epsilon vanishes
    ours = grad_cam(network, IMAGES)[1]
    torch.testing.assert_close(ours * CELLS, cam(network, IMAGES)[1], rtol=1e-3, atol=1e-3)

    class LogitsOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> Tensor:
            return network(images)[0]

    norm = network.backbone.network.norm
    explain = GradCAM(
        LogitsOnly(),
        [norm],
        reshape_transform=lambda tokens: tokens[:, 1:].mT.unflatten(2, (2, 3)),
    )
    theirs = explain(IMAGES, [ClassifierOutputTarget(1)] * 2)
    scaled = scale_cam_image(scale_cam_image(ours[:, 1].clamp(min=0).numpy(), (48, 32)))
    torch.testing.assert_close(
        torch.from_numpy(scaled), torch.from_numpy(theirs), atol=2e-3, rtol=0
    )
