"""Decoders: features of several strides, joined on a finer grid."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cxrloc.errors import CxrlocError
from cxrloc.localization.attention import ATTENTION_METHODS
from cxrloc.localization.heatmaps import HEATMAPS, cam
from cxrloc.models.decoders import Pylon, PyramidAttention, doubled
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.networks import build_network
from cxrloc.models.pyramid import Level

FINDINGS = ("Mass", "Nodule")


def pylon(backbone: str = "small_resnet", stride: int = 4, **changes: object) -> LocalizerConfig:
    settings = {"transition_channels": 4, "pooling": "max", "head": "predict_then_pool"}
    return LocalizerConfig(backbone, FINDINGS, 1, stride, decoder="pylon", **(settings | changes))


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (1, 1)])
def test_doubling_agrees_with_torchs_interpolation(size):
    x = torch.rand(2, 3, *size)
    twice = (2 * size[0], 2 * size[1])
    expected = F.interpolate(x, twice, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubled(x, twice), expected)
    torch.testing.assert_close(doubled(x, (twice[0] - 1, twice[1])), expected[:, :, :-1])


def test_with_an_offset_every_second_cell_is_a_coarse_one():
    """Symmetric padding puts the first cell of each grid on the first pixel."""
    x = torch.rand(1, 1, 4, 4)
    fine = doubled(x, (8, 8), offset=0.25)
    torch.testing.assert_close(fine[:, :, ::2, ::2], x)
    torch.testing.assert_close(fine[0, 0, 1, 0], (x[0, 0, 0, 0] + x[0, 0, 1, 0]) / 2)


def identity(layers: nn.Module) -> None:
    """Convolutions of one channel whose output is 1 x their input, and no normalisation."""
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            middle = layer.kernel_size[0] // 2
            layer.weight.data[:, :, middle, middle] = 1.0
        elif isinstance(layer, nn.BatchNorm2d):
            layer.eps = 0.0


def test_the_decoder_by_hand():
    """Two levels of one channel; the coarse one has 2 x 2 cells with 1, 2, 3 and 4."""
    decoder = Pylon([Level(4, 1, 0.0), Level(8, 1, 0.0)], output_stride=4, channels=1).eval()
    identity(decoder)
    coarse = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    fine = torch.full((1, 1, 4, 4), 100.0)
    # The maximum of every window is 4, on grids of 1 x 1, 1 x 1 and 1 x 1 cell: the sum is 12.
    weighted = 12.0 * coarse
    joined = decoder([fine, coarse])
    torch.testing.assert_close(joined, doubled(weighted, (4, 4)) + 100.0)
    assert joined[0, 0, 0, 0].item() == 112.0  # the corner repeats the coarse cell's 12 x 1
    assert joined[0, 0, 1, 1].item() == pytest.approx(100 + 12 * (9 + 2 * 3 + 3 * 3 + 4) / 16)


def test_the_attention_sees_the_whole_grid():
    attention = PyramidAttention(1, 1).eval()
    identity(attention)
    with torch.no_grad():
        near = attention(torch.ones(1, 1, 8, 8))
        far = attention(torch.ones(1, 1, 8, 8) + F.pad(torch.ones(1, 1, 1, 1), (7, 0, 7, 0)))
    # The maxima of all grids are 1 and add up to 3. With a 2 in the opposite corner, the grid of
    # one cell has the maximum 2; the others are interpolated and differ in the nearer cells only.
    assert (near[0, 0, 0, 0], far[0, 0, 0, 0]) == (3.0, 4.0)
    assert far[0, 0, 7, 7].item() == 12.0  # the weight 6 of a cell with the value 2


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("size", [64, 96])
def test_the_grid_has_the_stride_and_the_logit_is_the_maximum_of_the_map(stride, size):
    network = Localizer(pylon(stride=stride)).eval()
    with torch.no_grad():
        logits, maps = cam(network, torch.rand(2, 1, size, size))
        assert maps.shape == (2, 2, size // stride, size // stride)
        torch.testing.assert_close(maps.amax((2, 3)) + network.prediction.bias, logits)


@pytest.mark.parametrize("architecture", ["localizer", "meta", "dualnet"])
def test_every_layer_gets_a_gradient(architecture):
    torch.manual_seed(0)
    settings = {"pooling": "average", "head": "pool_then_predict", "architecture": architecture}
    network = build_network(pylon(**settings))
    inputs = [torch.rand(4, 2 if architecture == "dualnet" else 1, 64, 64)]
    inputs += [torch.rand(4, 3)] if architecture == "meta" else []
    logits, _ = network(*inputs)
    logits.square().sum().backward()
    without = [name for name, each in network.named_parameters() if each.grad is None]
    assert without == []
    zero = [name for name, each in network.named_parameters() if not each.grad.any()]
    assert zero == []


@pytest.mark.parametrize("method", sorted(HEATMAPS.keys() - ATTENTION_METHODS.keys()))
def test_every_heatmap_method_works_behind_a_decoder(method):
    torch.manual_seed(0)
    network = Localizer(pylon(stride=8)).eval()
    _, maps = HEATMAPS[method](network, torch.rand(1, 1, 64, 64), findings=[1])
    assert maps.shape == (1, 1, 8, 8)
    assert maps.isfinite().all()


@pytest.mark.parametrize(
    ("backbone", "same_padding"),
    [("resnet18", False), ("small_resnet", False), ("mobilenet_v2", True)],
)
@pytest.mark.parametrize("stride", [4, 8])
def test_where_a_cell_looks_is_where_its_gradient_is(backbone, same_padding, stride, monkeypatch):
    """With equal positive weights the gradient's centre of mass is the receptive field's centre.

    The weight that the attention gives to a cell comes from windows that hold the cell but are not
    centred on it, so it is left out.
    """
    monkeypatch.setattr(PyramidAttention, "forward", lambda self, x: self.middle(x))
    network = Localizer(pylon(backbone, stride, same_padding=same_padding)).eval()
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.MaxPool2d):
                mean = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding)
                setattr(parent, name, mean)
            elif isinstance(layer, nn.ReLU | nn.ReLU6):
                setattr(parent, name, nn.Identity())
            elif isinstance(layer, nn.Conv2d):
                nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
    image = torch.ones(1, 1, 416, 416, requires_grad=True)
    _, features = network(image)
    for cell in (208 // stride, 208 // stride + 1, 208 // stride + 2):
        (gradient,) = torch.autograd.grad(features[0, 0, cell, cell], image, retain_graph=True)
        columns = gradient[0, 0].sum(dim=0).double()
        centre = (columns * (torch.arange(416) + 0.5)).sum() / columns.sum()
        expected = stride * (cell + 0.5) + network.cell_shift_pixels
        assert centre.item() == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": 16}, "output_stride 16 is unknown: choose one of 4, 8"),
        ({"decoder": "fpn"}, "decoder 'fpn' is unknown: choose one of pylon"),
        ({"transition_channels": 0}, "a decoder has at least 1 channel"),
    ],
)
def test_an_impossible_decoder_is_refused(change, message):
    decoder = {"decoder": change.pop("decoder")} if "decoder" in change else {}
    with pytest.raises(CxrlocError, match=message):
        LocalizerConfig(
            "resnet18",
            FINDINGS,
            output_stride=change.pop("stride", 4),
            **({"decoder": "pylon"} | decoder | change),
        )


def test_a_backbone_without_finer_strides_is_refused():
    with pytest.raises(CxrlocError, match=r"stride 4 and at each doubled .* gives \[16\]"):
        Pylon([Level(16, 8, 0.0)], output_stride=4, channels=4)
