"""Backbones: torchvision's networks without their classifiers, down to any output stride.

All of them reduce an input of N x N (N a multiple of 32) to N/32 x N/32; `set_output_stride`
gives a finer grid. Submodules keep torchvision's names, so that its weights fit.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

NATIVE_STRIDE = 32
"""Pixels of the input per cell of an unchanged backbone's grid."""

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
"""Layers that look at neighbours, or stride."""


def _first(network: nn.Module, last: str) -> nn.Sequential:
    """The children of a network that runs them in order, up to and with the one named `last`."""
    children: OrderedDict[str, nn.Module] = OrderedDict()
    for name, child in network.named_children():
        children[name] = child
        if name == last:
            break
    return nn.Sequential(children)


def alexnet() -> nn.Sequential:
    """AlexNet's convolutions; 256 channels.

    Departs: the paddings give N/32 cells (2 at the first convolution would lose one of them).
    """
    layers = torchvision.models.alexnet().features
    layers[0].padding = (4, 4)
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    return layers


def googlenet() -> nn.Sequential:
    """GoogLeNet with batch normalisation, without auxiliary heads; 1024 channels."""
    return _first(torchvision.models.googlenet(aux_logits=False, init_weights=True), "inception5b")


def vgg16() -> nn.Sequential:
    """VGG-16's convolutions and all five of its poolings; 512 channels."""
    return torchvision.models.vgg16().features


def resnet18() -> nn.Sequential:
    """ResNet-18; 512 channels."""
    return _first(torchvision.models.resnet18(), "layer4")


def resnet50() -> nn.Sequential:
    """ResNet-50; 2048 channels."""
    return _first(torchvision.models.resnet50(), "layer4")


def small_resnet() -> nn.Sequential:
    """A residual network for CPUs, of basic blocks as in ResNet-18; 192 channels.

    Ours, no paper's: stages of two blocks of 16, 48 and 96 channels, and a last stage of 1 x 1
    kernels only. A feature sees 211 pixels at most: with a wider view, maps of phantoms lit up
    where the two lungs can be compared, not at the lesion.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(3, 16, kernel_size=7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    ]
    before = 16
    for channels, blocks in ((16, 2), (48, 2), (96, 2)):
        for _ in range(blocks):
            shortcut = None
            if channels != before:
                shortcut = nn.Sequential(
                    nn.Conv2d(before, channels, kernel_size=1, stride=2, bias=False),
                    nn.BatchNorm2d(channels),
                )
            layers.append(BasicBlock(before, channels, 1 if shortcut is None else 2, shortcut))
            before = channels
    last = nn.Conv2d(before, 192, kernel_size=1, stride=2, bias=False)
    return nn.Sequential(*layers, last, nn.BatchNorm2d(192), nn.ReLU(inplace=True))


def densenet121() -> nn.Sequential:
    """DenseNet-121 with the ReLU that follows its last normalisation; 1024 channels."""
    layers = torchvision.models.densenet121().features
    layers.add_module("relu5", nn.ReLU(inplace=True))
    return layers


def mobilenet_v2() -> nn.Sequential:
    """MobileNetV2; 1280 channels."""
    return torchvision.models.mobilenet_v2().features


BACKBONES: dict[str, Callable[[], nn.Sequential]] = {
    "alexnet": alexnet,
    "googlenet": googlenet,
    "vgg16": vgg16,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "small_resnet": small_resnet,
    "densenet121": densenet121,
    "mobilenet_v2": mobilenet_v2,
}
"""Networks by torchvision's names, and our own: () -> layers from 3 channels to the features."""


def set_output_stride(layers: nn.Sequential, output_stride: int) -> None:
    """Coarsen the input no further than `output_stride`, by dilation, in place.

    From the layer on that would pass it, strides become 1 and kernels are spread by the factor
    left out, so that each still sees the neighbours it was trained on (Yu et al. 2017, Dilated
    Residual Networks). A pooling there keeps its reach of one such neighbour to each side.
    """
    stride, rate = 1, 1
    for name, layer in layers.named_modules():
        if not isinstance(layer, WINDOWS):
            continue
        before = rate
        step = _first_of(layer.stride)
        # A residual block's "downsample" runs beside the layer whose stride was just counted.
        if not name.endswith("downsample.0"):
            if stride * step <= output_stride:
                stride *= step
            else:
                rate *= step
        if rate > 1:
            _dilate(layer, before)


def _dilate(layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, rate: int) -> None:
    """One layer at a place where the grid is `rate` times finer than it was made for."""
    if isinstance(layer, nn.Conv2d):
        layer.stride = (1, 1)
        layer.dilation = (rate, rate)
        layer.padding = tuple(rate * (k // 2) for k in layer.kernel_size)
        return
    layer.kernel_size, layer.stride, layer.padding = 2 * rate + 1, 1, rate
    layer.ceil_mode = False
    if isinstance(layer, nn.AvgPool2d):
        layer.count_include_pad = False


def set_input_channels(layers: nn.Sequential, channels: int) -> None:
    """Make the first convolution read 1 channel instead of 3, in place.

    A grey image counts as red, green and blue alike: the weights are summed over the three.

    >>> layers = nn.Sequential(nn.Conv2d(3, 1, kernel_size=1))
    >>> _ = nn.init.constant_(layers[0].weight, 2.0)
    >>> set_input_channels(layers, 1)
    >>> layers[0].weight.item()
    6.0
    """
    if channels == 1:
        first = next(layer for layer in layers.modules() if isinstance(layer, nn.Conv2d))
        first.weight = nn.Parameter(first.weight.detach().sum(dim=1, keepdim=True))
        first.in_channels = 1


def cell_shift_pixels(layers: nn.Module) -> float:
    """How far right of (and below) its cell's centre the centre of what a feature sees lies.

    A feature in column j of a grid of stride J stands for the cell [J j, J (j + 1)), but padding
    at both sides of strided kernels centres its receptive field elsewhere: half a cell to the
    left in a ResNet. With kernel k, dilation d, padding p and the stride J' of the layers before,
    each layer adds J' (d (k - 1) / 2 - p) (Araujo et al. 2019, Computing Receptive Fields).
    Global pooling gives training no reason to undo it.

    >>> cell_shift_pixels(nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1))  # pixel 0, not 0.5
    -0.5
    >>> cell_shift_pixels(nn.MaxPool2d(2))
    0.0
    """
    centre, stride = 0.5, 1
    for name, layer in layers.named_modules():
        if not isinstance(layer, WINDOWS) or name.endswith("downsample.0"):
            continue
        kernel, step, padding = map(_first_of, (layer.kernel_size, layer.stride, layer.padding))
        dilation = 1 if isinstance(layer, nn.AvgPool2d) else _first_of(layer.dilation)
        centre += stride * (dilation * (kernel - 1) / 2 - padding)
        stride *= step
    return centre - stride / 2


def _first_of(value: Any) -> int:
    """Rows and columns are treated alike."""
    return value if isinstance(value, int) else value[0]
