"""Backbones: torchvision's networks without their classifiers, down to any output stride.

All of them reduce an input of N x N (N a multiple of 32) to N/32 x N/32; `grid.set_output_stride`
gives a finer grid. Submodules keep torchvision's names, so that its weights fit.
"""

from collections import OrderedDict
from collections.abc import Callable

import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

NATIVE_STRIDE = 32
"""Pixels of the input per cell of an unchanged backbone's grid."""


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
