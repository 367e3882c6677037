"""Networks of torchvision and timm as backbones; the oracle is what the library itself computes."""

import pytest
import torch
from torch import nn

from cxrloc.errors import CxrlocError
from cxrloc.models.library_backbones import TimmBackbone, find_backbone, timm_network
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.networks import build_network, network_to_fill
from cxrloc.models.pooling import average_normalised

timm = pytest.importorskip("timm", reason="needs the extra zoo")


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("test_vit", "a class token"),
        pytest.param("test_vit3", "none", marks=pytest.mark.slow),
        pytest.param("vit_small_patch14_reg4_dinov2", "5 tokens", marks=pytest.mark.slow),
        pytest.param("vit_small_patch16_dinov3", "5 tokens", marks=pytest.mark.slow),
        pytest.param("swin_tiny_patch4_window7_224", "none, rows last", marks=pytest.mark.slow),
        pytest.param("test_convnext", "no transformer", marks=pytest.mark.slow),
    ],
)
def test_tokens_are_features_on_a_grid_without_prefix_tokens(name: str, prefix: str) -> None:
    backbone = TimmBackbone(name).eval()
    stride = find_backbone(f"timm:{name}").native_stride
    images = torch.rand(1, 3, 4 * stride, 5 * stride)  # no size that the weights were made for
    with torch.no_grad():
        features = backbone(images)
        (expected,) = backbone.network.forward_intermediates(
            images, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )
    assert features.shape == (1, backbone.depth, 4, 5)
    torch.testing.assert_close(features, expected)


def test_the_class_token_stands_beside_every_cell() -> None:
    backbone = TimmBackbone("test_vit").eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        cells = backbone(images)
        backbone.add_class_token()
        both = backbone(images)
        token = backbone.network.forward_features(images)[:, 0]
    assert both.shape[1] == backbone.depth == 2 * cells.shape[1]
    torch.testing.assert_close(both[:, : cells.shape[1]], cells)
    torch.testing.assert_close(both[:, cells.shape[1] :].mean((2, 3)), token)
    with pytest.raises(CxrlocError, match="no class token"):
        TimmBackbone("test_convnext").add_class_token()


def centre_of_gradient(layers: nn.Module, stride: int) -> float:
    """Where the pixels lie that a cell in the middle reads, for a network of equal weights.

    Of equal values a maximum has the gradient of the first, and squeeze-and-excitation reads the
    whole image; means and nothing stand in their places.
    """
    for parent in list(layers.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding))
            elif "squeeze" in type(layer).__name__.lower():
                setattr(parent, name, nn.Identity())
            elif isinstance(layer, nn.Conv2d):
                nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
    images = torch.ones(1, 3, 16 * stride, 16 * stride, requires_grad=True)
    layers.eval()(images)[0, :, 8, 8].sum().backward()
    along = images.grad[0].sum((0, 1))
    centre = float((along * (torch.arange(len(along)) + 0.5)).sum() / along.sum())
    return centre - 8.5 * stride


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("timm:test_efficientnet", marks=pytest.mark.slow),
        pytest.param("torchvision:resnet34", marks=pytest.mark.slow),
        pytest.param("timm:tf_efficientnet_b0", marks=pytest.mark.slow),
        pytest.param("torchvision:regnet_y_400mf", marks=pytest.mark.slow),
        pytest.param("torchvision:shufflenet_v2_x0_5", marks=pytest.mark.slow),
    ],
)
def test_cells_lie_where_the_gradient_says(name: str) -> None:
    backbone = find_backbone(name)
    config = LocalizerConfig(name, ("Mass",), 3, backbone.native_stride, transition_channels=0)
    network = Localizer(config)
    measured = centre_of_gradient(network.backbone, backbone.native_stride)
    assert network.cell_shift_pixels == pytest.approx(measured, abs=1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:vit_tiny_patch16_24", r"timm has no 'vit_tiny_patch16_24' \(did you mean .*_224"),
        ("timm:test_resnet@96", "it has no position embeddings"),
        ("timm:test_vit@big", "after @ comes a number"),
        ("timm:inception_v3", "branches with strides of their own"),
        ("torchvision:resnet35", r"torchvision has no 'resnet35' \(did you mean .*resnet34"),
        ("torchvision:vgg16", "do not come from pooled features"),
        ("resnet999", r"unknown: choose one of alexnet.* timm:NAME"),
    ],
)
def test_a_name_that_is_none_is_refused_with_advice(name: str, message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        find_backbone(name)


def test_position_embeddings_have_the_size_that_the_name_says() -> None:
    cells = (128 // 16) ** 2
    assert timm_network("test_vit@128").pos_embed.shape[1] == cells + 1
    assert timm_network("test_vit").pos_embed.shape[1] == (160 // 16) ** 2 + 1


def test_sides_that_are_no_multiples_of_the_patch_are_refused() -> None:
    with pytest.raises(CxrlocError, match=r"input of 64 x 70 pixels.*multiples of the patch, 16"):
        TimmBackbone("test_vit")(torch.zeros(1, 3, 64, 70))


def test_a_recipe_names_a_transformer_with_one_channel_and_coarser_cells() -> None:
    config = LocalizerConfig("timm:test_vit", ("Mass",), output_stride=32, transition_channels=8)
    logits, features = build_network(config).eval()(torch.zeros(1, 1, 128, 128))
    assert (logits.shape, features.shape) == ((1, 1), (1, 8, 4, 4))
    with pytest.raises(CxrlocError, match="output_stride 40"):
        LocalizerConfig("timm:test_vit", ("Mass",), output_stride=40)
    with pytest.raises(CxrlocError, match="class_token: resnet18 is no transformer"):
        LocalizerConfig("resnet18", ("Mass",), class_token=True)


def test_a_network_to_fill_draws_no_random_numbers_and_keeps_what_is_no_weight() -> None:
    config = LocalizerConfig("timm:test_vit", ("Mass",), 3, 16, transition_channels=0)
    before = torch.get_rng_state()
    empty = network_to_fill(config)
    assert torch.equal(torch.get_rng_state(), before)
    drawn = build_network(config)
    empty.load_state_dict(drawn.state_dict(), assign=True)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(empty.eval()(images)[0], drawn.eval()(images)[0])


def test_layer_normalisation_after_the_pooling_is_a_pooling_and_a_prediction() -> None:
    norm, layer = nn.LayerNorm(6, eps=0.1), nn.Linear(6, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    features = torch.randn(3, 6, 4, 4)
    weight = layer.weight * norm.weight
    weight = weight - weight.mean(dim=1, keepdim=True)
    bias = layer.bias + layer.weight @ norm.bias
    ours = average_normalised(features, epsilon=0.1) @ weight.T + bias
    torch.testing.assert_close(ours, layer(norm(features.mean((2, 3)))))
