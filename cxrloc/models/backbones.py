"""Backbones: torchvision's networks without their classifiers, down to any output stride.

An input of N x N gives N/J x N/J features, with J of `native_stride` and N a multiple of it;
`grid.set_output_stride` gives a finer grid. Submodules keep torchvision's names, so that its
weights fit.
"""

from collections import OrderedDict
from collections.abc import Callable

import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from cxrloc.models import zoo


def native_stride(backbone: str) -> int:
    """Pixels of the input per cell of an unchanged backbone's grid.

    >>> native_stride("resnet50"), native_stride("resnet50_large")
    (32, 64)
    """
    return 64 if backbone in LARGE else 32


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


def resnet38() -> nn.Sequential:
    """The shallow network of Baltruschat et al. 2019, section 2.2; 2048 channels.

    The paper leaves 2, 2 and 3 bottleneck blocks in conv2_x, conv3_x and conv4_x and the 3 of
    conv5_x. Open: with the first convolution and the classifier these are 32 layers, not the 38
    of its name; the blocks are taken as stated, the name is kept.
    """
    return _first(ResNet(Bottleneck, [2, 2, 3, 3]), "layer4")


def resnet50() -> nn.Sequential:
    """ResNet-50; 2048 channels."""
    return _first(torchvision.models.resnet50(), "layer4")


def resnet101() -> nn.Sequential:
    """ResNet-101; 2048 channels.

    Departs: Baltruschat et al. 2019 say "conv_3 from 5 to 22" blocks; the standard network has 23
    in conv4_x instead of the 6 of ResNet-50.
    """
    return _first(torchvision.models.resnet101(), "layer4")


def _large(layers: nn.Sequential) -> nn.Sequential:
    """Baltruschat's `-large`, for twice the input: a second 3 x 3 max-pooling, after conv2_x.

    Open: the text puts it after the first bottleneck block, figure 2 after all of conv2_x.
    """
    children: OrderedDict[str, nn.Module] = OrderedDict()
    for name, child in layers.named_children():
        children[name] = child
        if name == "layer1":
            children["maxpool2"] = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
    return nn.Sequential(children)


def resnet38_large() -> nn.Sequential:
    """`resnet38` for inputs of 448 pixels; 2048 channels."""
    return _large(resnet38())


def resnet50_large() -> nn.Sequential:
    """ResNet-50 for inputs of 448 pixels; 2048 channels."""
    return _large(resnet50())


def resnet101_large() -> nn.Sequential:
    """ResNet-101 for inputs of 448 pixels; 2048 channels."""
    return _large(resnet101())


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
    return _densenet(torchvision.models.densenet121())


def densenet169() -> nn.Sequential:
    """DenseNet-169, likewise; 1664 channels."""
    return _densenet(torchvision.models.densenet169())


def densenet201() -> nn.Sequential:
    """DenseNet-201, likewise; 1920 channels."""
    return _densenet(torchvision.models.densenet201())


def _densenet(network: torchvision.models.DenseNet) -> nn.Sequential:
    network.features.add_module("relu5", nn.ReLU(inplace=True))
    return network.features


def mobilenet_v2() -> nn.Sequential:
    """MobileNetV2; 1280 channels."""
    return torchvision.models.mobilenet_v2().features


LARGE: dict[str, Callable[[], nn.Module]] = {
    "resnet38_large": resnet38_large,
    "resnet50_large": resnet50_large,
    "resnet101_large": resnet101_large,
}
"""Backbones that halve the image once more than the others."""

BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "alexnet": alexnet,
    "googlenet": googlenet,
    "vgg16": vgg16,
    "resnet18": resnet18,
    "resnet38": resnet38,
    "resnet50": resnet50,
    "resnet101": resnet101,
    **LARGE,
    "small_resnet": small_resnet,
    "densenet121": densenet121,
    "densenet169": densenet169,
    "densenet201": densenet201,
    "mobilenet_v2": mobilenet_v2,
    "inception_resnet_v2": zoo.inception_resnet_v2,
    "xception": zoo.xception,
    "nasnet_large": zoo.nasnet_large,
}
"""Networks by torchvision's names, and others: () -> layers from 3 channels to the features."""
