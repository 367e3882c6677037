import math
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from cxrloc.errors import CxrlocError
from cxrloc.localization.attention import ATTENTION_METHODS
from cxrloc.localization.heatmaps import HEATMAPS, cam
from cxrloc.models.backbones import BACKBONES
from cxrloc.models.grid import set_input_channels, set_output_stride
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.networks import build_network
from cxrloc.models.pooling import PoolingParameters, log_sum_exp

FINDINGS = ("Mass", "Nodule")


OF_TIMM = [name for name, backbone in BACKBONES.items() if backbone.timm_weights]

DEEPER = ("resnet101", "resnet101_large", "resnet38_large", "densenet169", "densenet201")
"""More of the same blocks: one grid is enough."""


@pytest.mark.parametrize(
    ("backbone", "side"),
    [
        (backbone, side)
        for backbone in BACKBONES
        if backbone not in OF_TIMM
        for side in ((16,) if backbone in DEEPER else (8, 16, 32))
    ],
)
def test_every_backbone_reaches_wangs_grids_from_one_input_size(backbone, side):
    with torch.device("meta"):
        network = Localizer(LocalizerConfig(backbone, FINDINGS, output_stride=256 // side))
        logits, features = network(torch.zeros(1, 1, 256, 256))
    assert logits.shape == (1, 2)
    assert features.shape[2:] == (side, side)


@pytest.mark.parametrize("backbone", OF_TIMM)
def test_networks_of_timm_tile_the_image_too(backbone):
    """At 224, as Pham et al. 2019 feed them."""
    pytest.importorskip("timm", reason="needs the extra zoo")
    with torch.device("meta"):
        network = Localizer(LocalizerConfig(backbone, FINDINGS, transition_channels=0))
        logits, features = network(torch.zeros(1, 1, 224, 224))
    assert (logits.shape, features.shape[2:]) == ((1, 2), (7, 7))


def test_a_zoo_network_without_timm_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(CxrlocError, match=r"needs the package timm: .*cxrloc\[zoo\]"):
        BACKBONES["xception"].build()


@pytest.mark.parametrize(("depth", "layers"), [(38, 32), (50, 50), (101, 101)])
def test_the_depth_in_baltruschats_names(depth, layers):
    """ResNet-38 is named after more layers than its stated blocks (2, 2, 3, 3) have."""
    with torch.device("meta"):
        modules = dict(BACKBONES[f"resnet{depth}"].build().named_modules())
    convolutions = [n for n, m in modules.items() if isinstance(m, nn.Conv2d)]
    assert len([n for n in convolutions if "downsample" not in n]) + 1 == layers


def test_a_large_network_sees_twice_the_image_on_the_same_grid():
    with torch.device("meta"):
        small = Localizer(LocalizerConfig("resnet50", FINDINGS, transition_channels=0))
        config = LocalizerConfig(
            "resnet50_large", FINDINGS, output_stride=64, transition_channels=0
        )
        large = Localizer(config)
        assert small(torch.zeros(1, 1, 224, 224))[1].shape[2:] == (7, 7)
        assert large(torch.zeros(1, 1, 448, 448))[1].shape[2:] == (7, 7)
    names = [name for name, _ in large.backbone.named_children()]
    assert names[4:7] == ["layer1", "maxpool2", "layer2"]
    assert small.state_dict().keys() == large.state_dict().keys()


def test_a_transition_layer_coarsens_what_a_backbone_can_not():
    with torch.device("meta"):
        config = LocalizerConfig("resnet18", FINDINGS, output_stride=128, transition_channels=64)
        _, features = Localizer(config)(torch.zeros(1, 1, 1024, 1024))
    assert features.shape == (1, 64, 8, 8)


def test_without_transition_layer_the_features_are_the_backbones():
    network = Localizer(LocalizerConfig("mobilenet_v2", FINDINGS, transition_channels=0)).eval()
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(network(image)[1], network.backbone(image))


def test_dilation_keeps_the_values_that_the_coarse_grid_had():
    coarse, fine = BACKBONES["resnet18"].build().eval(), BACKBONES["resnet18"].build().eval()
    fine.load_state_dict(coarse.state_dict())
    set_output_stride(fine, 8)
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fine(image)[:, :, ::4, ::4], coarse(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["vgg16", "googlenet", "densenet121", "alexnet"])
def test_a_pooling_without_stride_leaves_a_blank_image_blank(backbone):
    """Padding must not darken the border: maxima ignore it, averages do not count it."""
    with torch.device("meta"):
        layers = BACKBONES[backbone].build()
    set_output_stride(layers, 8)
    pools = [m for m in layers.modules() if isinstance(m, nn.MaxPool2d | nn.AvgPool2d)]
    assert any(pool.stride == 1 for pool in pools)
    for pool in pools:
        assert (pool(-torch.ones(1, 1, 32, 32)) == -1).all()


def test_one_grey_channel_is_three_equal_ones():
    colour, grey = BACKBONES["resnet18"].build().eval(), BACKBONES["resnet18"].build().eval()
    grey.load_state_dict(colour.state_dict())
    set_input_channels(grey, 1)
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(grey(image), colour(image.expand(-1, 3, -1, -1)))


def test_a_new_network_has_seen_nothing():
    """Finding its depth must not touch the statistics of normalisation layers."""
    network = Localizer(LocalizerConfig("resnet18", FINDINGS))
    assert network.training
    assert all(m.training for m in network.modules())
    assert network.backbone.bn1.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "resnet51"}, "alexnet, googlenet"),
        ({"backbone": "xception", "output_stride": 16}, "xception cannot be made finer than 32"),
        ({"pooling": "mean"}, "average, max, lse"),
        ({"output_stride": 4}, "8, 16, 32"),
        ({"input_channels": 2}, "1, 3"),
        ({"pooling": "lse", "pooling_parameters": {"r": 0.0}}, "r must be above 0"),
        ({"pooling": "lse", "pooling_parameters": {"r": math.inf}}, "r must be above 0"),
        ({"pooling": "max", "pooling_parameters": {"r": 1.0}}, "r is no parameter of the pooling"),
        ({"pooling": "pcam"}, 'needs head = "predict_then_pool"'),
        ({"head": "predict"}, "pool_then_predict, predict_then_pool"),
        ({"head": "predict_then_pool", "architecture": "dualnet"}, "not for .* dualnet"),
        ({"maps_per_finding": 0}, "at least 1"),
        ({"output_stride": 64, "transition_channels": 0}, "transition layer"),
    ],
)
def test_an_impossible_network_is_refused_with_what_is_possible(change, message):
    numbers = change.get("pooling_parameters", {})
    with pytest.raises(CxrlocError, match=message):  # noqa: PT012
        change = change | {"pooling_parameters": PoolingParameters(**numbers)}
        LocalizerConfig(**({"backbone": "resnet50", "findings": FINDINGS} | change))


@pytest.mark.parametrize(
    ("backbone", "stride", "same_padding"),
    [
        ("resnet18", 16, False),
        ("resnet18", 64, False),
        ("alexnet", 16, False),
        ("googlenet", 32, False),
        ("densenet121", 16, False),
        ("mobilenet_v2", 16, False),
        ("mobilenet_v2", 16, True),
        ("mobilenet_v2", 32, True),
    ],
)
def test_where_a_feature_looks_is_where_its_gradient_is(backbone, stride, same_padding):
    """With equal positive weights the gradient's centre of mass is the receptive field's centre."""
    config = LocalizerConfig(
        backbone, FINDINGS, output_stride=stride, transition_channels=1, same_padding=same_padding
    )
    network = Localizer(config).eval()
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d):  # a maximum looks where the image says
            module.forward = partial(blurred, module)
        elif isinstance(module, nn.ReLU6):
            module.forward = nn.functional.relu
        elif isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            nn.init.constant_(module.weight, 1 / fan_in)
    image = torch.ones(1, 1, 512, 512, requires_grad=True)
    _, features = network(image)
    middle = features.shape[3] // 2
    (gradient,) = torch.autograd.grad(features[0, 0, middle, middle], image)
    columns = gradient[0, 0].sum(dim=0).double()
    centre = (columns * (torch.arange(512) + 0.5)).sum() / columns.sum()
    expected = stride * (middle + 0.5) + network.cell_shift_pixels
    assert centre.item() == pytest.approx(expected, abs=0.1)


def blurred(pool, values):
    """The mean over a max-pooling's windows."""
    return nn.functional.avg_pool2d(
        values, pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode
    )


@pytest.mark.parametrize("architecture", ["localizer", "meta", "dualnet"])
@pytest.mark.parametrize("r", [0.5, 7.0])
def test_the_sharpness_of_the_config_is_that_of_the_network(architecture, r):
    config = LocalizerConfig(
        "small_resnet",
        FINDINGS,
        pooling="lse",
        pooling_parameters=PoolingParameters(r=r),
        architecture=architecture,
    )
    network = build_network(config).eval()
    depth = network.prediction.in_features
    features = torch.rand(1, depth, 3, 3)
    expected = network.prediction(log_sum_exp(features, r))
    torch.testing.assert_close(network.head(features), expected)


def test_the_transition_layer_pools_by_averages_and_normalises():
    """Wang et al. 2017, figure 4; a coarser grid is a mean over the backbone's cells."""
    torch.manual_seed(0)
    config = LocalizerConfig("small_resnet", FINDINGS, output_stride=64, transition_channels=4)
    network = Localizer(config).eval()
    _, convolution, normalisation, _ = network.transition
    assert isinstance(normalisation, nn.BatchNorm2d)
    with torch.no_grad():
        normalisation.running_mean.fill_(0.25)
        normalisation.running_var.fill_(4.0)
        normalisation.weight.fill_(3.0)
        normalisation.bias.fill_(0.1)
    x = torch.randn(1, 192, 4, 4)
    mean = x.reshape(1, 192, 2, 2, 2, 2).mean(dim=(3, 5))
    mapped = torch.einsum("bdij,kd->bkij", mean, convolution.weight[:, :, 0, 0])
    expected = ((mapped - 0.25) / 2.0 * 3.0 + 0.1).clamp(min=0)
    torch.testing.assert_close(network.transition(x), expected, atol=1e-4, rtol=1e-4)
    assert convolution.kernel_size == (1, 1)
    assert convolution.bias is None


@pytest.mark.parametrize("pooling", ["average", "max", "lse", "pcam", "noisy_or", "lse_learned"])
@pytest.mark.parametrize("maps", [1, 3])
def test_a_head_that_predicts_first_pools_the_map_plus_the_bias(pooling, maps):
    torch.manual_seed(0)
    config = LocalizerConfig(
        "small_resnet",
        FINDINGS,
        output_stride=16,
        pooling=pooling,
        head="predict_then_pool",
        maps_per_finding=maps,
    )
    network = Localizer(config).eval()
    image = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        logits, maps_of = cam(network, image)
        z = maps_of + network.prediction.bias[:, None, None]
        torch.testing.assert_close(network.pool(z), logits)


def test_with_average_pooling_both_heads_are_the_same_network():
    config = LocalizerConfig("small_resnet", FINDINGS, output_stride=16)
    first = Localizer(config).eval()
    other = Localizer(replace(config, head="predict_then_pool")).eval()
    other.load_state_dict(first.state_dict())
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(first(image)[0], other(image)[0])


@pytest.mark.parametrize("method", sorted(HEATMAPS.keys() - ATTENTION_METHODS.keys()))
def test_every_heatmap_method_works_behind_a_pooled_map(method):
    torch.manual_seed(0)
    config = LocalizerConfig(
        "small_resnet", FINDINGS, transition_channels=4, pooling="pcam", head="predict_then_pool"
    )
    network = Localizer(config).eval()
    _, maps = HEATMAPS[method](network, torch.rand(1, 1, 96, 96), findings=[1])
    assert maps.shape == (1, 1, 3, 3)
    assert maps.isfinite().all()
