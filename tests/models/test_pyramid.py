"""The features of a backbone at each stride."""

import pytest
import torch
from torch import nn

from cxrloc.errors import CxrlocError
from cxrloc.models.library_backbones import find_backbone, weights_left_unset
from cxrloc.models.pyramid import Pyramid, pyramid_of


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("resnet18", [(2, 64), (4, 64), (8, 128), (16, 256), (32, 512)]),
        ("resnet50_large", [(2, 64), (4, 256), (8, 256), (16, 512), (32, 1024), (64, 2048)]),
        ("alexnet", [(4, 64), (8, 192), (16, 256), (32, 256)]),
        ("googlenet", [(2, 64), (4, 192), (8, 480), (16, 832), (32, 1024)]),
        # The dense blocks, not the thinner transitions behind them.
        ("densenet121", [(2, 64), (4, 256), (8, 512), (16, 1024), (32, 1024)]),
        ("mobilenet_v2", [(2, 16), (4, 24), (8, 32), (16, 96), (32, 1280)]),
        ("small_resnet", [(2, 16), (4, 16), (8, 48), (16, 96), (32, 192)]),
        ("torchvision:efficientnet_b0", [(2, 16), (4, 24), (8, 40), (16, 112), (32, 1280)]),
        ("torchvision:convnext_tiny", [(4, 96), (8, 192), (16, 384), (32, 768)]),
    ],
)
def test_every_stride_has_the_last_features_that_the_backbone_makes_there(name, levels):
    with weights_left_unset():
        layers = find_backbone(name).build().eval()
        pyramid = pyramid_of(name, layers)
        keys = [*layers.state_dict()]
    assert [(level.stride, level.depth) for level in pyramid.levels] == levels
    assert [*pyramid.state_dict()] == keys  # published weights still fit
    with torch.no_grad():
        image = torch.rand(1, 3, 64, 64)
        features = pyramid.eval()(image)
        torch.testing.assert_close(features[-1], layers(image), equal_nan=True)
    assert [(64 // each.shape[3], each.shape[1]) for each in features] == levels


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("timm:test_convnext", [(4, 24), (8, 32), (16, 48), (32, 64)]),
        ("timm:efficientnet_b0", [(2, 16), (4, 24), (8, 40), (16, 112), (32, 1280)]),
        ("timm:resnet18", [(2, 64), (4, 64), (8, 128), (16, 256), (32, 512)]),
    ],
)
def test_networks_of_timm_give_their_features_too(name, levels):
    pytest.importorskip("timm", reason="needs the extra zoo")
    layers = find_backbone(name).build().eval()
    pyramid = pyramid_of(name, layers)
    assert [(level.stride, level.depth) for level in pyramid.levels] == levels
    with torch.no_grad():
        image = torch.rand(1, 3, 96, 96)
        features = pyramid.eval()(image)
        torch.testing.assert_close(features[-1], layers(image))
    assert [(96 // each.shape[3], each.shape[1]) for each in features] == levels


def test_later_layers_do_not_change_the_features_that_were_kept():
    layers = nn.Sequential(nn.Conv2d(1, 2, 2, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(2))
    image = torch.randn(1, 1, 64, 64)
    fine, coarse = Pyramid("layers", layers)(image)
    torch.testing.assert_close(fine, layers[:2](image))
    torch.testing.assert_close(coarse, layers(image))


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(CxrlocError, match="xception gives features at one stride only"):
        pyramid_of("xception", nn.Conv2d(1, 1, 1))
