"""Backbones: networks of torchvision and timm without their classifiers, and two of our own.

An input of N x N pixels gives N/J x N/J features, where J is the `native_stride` of the `Backbone`
and N is a multiple of J; `grid.set_output_stride` gives a finer grid. Submodules keep the names
that they have in torchvision and timm, so that published weights fit.

To add a backbone, write a function that builds its layers and add one line to `BACKBONES`.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from cxrloc.extras import import_extra
from cxrloc.models.grid import SamePadded


def torchvision_models() -> Any:
    """The module `torchvision.models`, whose import takes seconds that most commands can save."""
    from torchvision import models

    return models


def first_layers(network: nn.Module, last: str) -> nn.Sequential:
    """The children of a network up to and including `last`; the network must run them in order."""
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
    layers = torchvision_models().alexnet().features
    layers[0].padding = (4, 4)
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
    return layers


def googlenet() -> nn.Sequential:
    """GoogLeNet with batch normalisation, without auxiliary heads; 1024 channels."""
    network = torchvision_models().googlenet(aux_logits=False, init_weights=True)
    return first_layers(network, "inception5b")


def vgg16() -> nn.Sequential:
    """VGG-16's convolutions and all five of its poolings; 512 channels."""
    return torchvision_models().vgg16().features


def resnet18() -> nn.Sequential:
    """ResNet-18; 512 channels."""
    return first_layers(torchvision_models().resnet18(), "layer4")


def resnet38() -> nn.Sequential:
    """The shallow network of Baltruschat et al. 2019, section 2.2; 2048 channels.

    The paper keeps 2, 2 and 3 bottleneck blocks in conv2_x, conv3_x and conv4_x and all 3 blocks of
    conv5_x. Open: with the first convolution and the classifier these are 32 layers, although the
    name says 38; we use the blocks as stated and keep the name.
    """
    parts = torchvision_models().resnet
    return first_layers(parts.ResNet(parts.Bottleneck, [2, 2, 3, 3]), "layer4")


def resnet50() -> nn.Sequential:
    """ResNet-50; 2048 channels."""
    return first_layers(torchvision_models().resnet50(), "layer4")


def resnet101() -> nn.Sequential:
    """ResNet-101; 2048 channels.

    Departs: Baltruschat et al. 2019 say "conv_3 from 5 to 22" blocks; the standard network has 23
    in conv4_x instead of the 6 of ResNet-50.
    """
    return first_layers(torchvision_models().resnet101(), "layer4")


def _large(layers: nn.Sequential) -> nn.Sequential:
    """The `-large` variant of Baltruschat et al. 2019, for inputs of twice the size.

    It has a second 3 x 3 max-pooling after conv2_x. Open: the text of the paper puts this pooling
    after the first bottleneck block, but figure 2 puts it after all of conv2_x.
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
    """A small residual network for CPUs, with the basic blocks of ResNet-18; 192 channels.

    This network is our own and from no paper. It has stages of two blocks with 16, 48 and 96
    channels, and a last stage with 1 x 1 kernels only. The receptive field of a feature is at most
    211 pixels. With a larger receptive field, heatmaps of phantoms were high where the two lungs
    can be compared, and not at the lesion.
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
            stride = 1 if shortcut is None else 2
            block = torchvision_models().resnet.BasicBlock(before, channels, stride, shortcut)
            layers.append(block)
            before = channels
    last = nn.Conv2d(before, 192, kernel_size=1, stride=2, bias=False)
    return nn.Sequential(*layers, last, nn.BatchNorm2d(192), nn.ReLU(inplace=True))


def densenet121() -> nn.Sequential:
    """DenseNet-121 with the ReLU that follows its last normalisation; 1024 channels."""
    return densenet_features(torchvision_models().densenet121())


def densenet169() -> nn.Sequential:
    """DenseNet-169 with the ReLU that follows its last normalisation; 1664 channels."""
    return densenet_features(torchvision_models().densenet169())


def densenet201() -> nn.Sequential:
    """DenseNet-201 with the ReLU that follows its last normalisation; 1920 channels."""
    return densenet_features(torchvision_models().densenet201())


def densenet_features(network: Any) -> nn.Sequential:
    """The features of a DenseNet of torchvision, with the ReLU that follows them."""
    # torchvision applies this ReLU as a function in `forward`, so `features` does not contain it.
    network.features.add_module("relu5", nn.ReLU(inplace=True))
    return network.features


def mobilenet_v2() -> nn.Sequential:
    """MobileNetV2; 1280 channels."""
    return torchvision_models().mobilenet_v2().features


def timm_classifier(name: str, pretrained: bool = False) -> Any:
    """The classifier that has this name in timm.

    Raises:
        CxrlocError: timm is not installed.
    """
    return import_extra("timm", "zoo").create_model(name, pretrained=pretrained)


def inception_resnet_v2() -> nn.Module:
    """Inception-ResNet-v2 (Szegedy et al. 2017); 1536 channels."""
    return _timm_features("inception_resnet_v2", padded=True)


def xception() -> nn.Module:
    """Xception (Chollet 2017), which timm names `legacy_xception`; 2048 channels."""
    return _timm_features("legacy_xception", padded=True)


def nasnet_large() -> nn.Module:
    """NASNet-A Large (Zoph et al. 2018); 4032 channels."""
    network = _timm_features("nasnetalarge", padded=False)
    network.conv0.conv = SamePadded(network.conv0.conv)
    return network


def _timm_features(name: str, padded: bool) -> Any:
    """The layers of a timm classifier without its pooling and its last layer.

    Departs: kernels without padding get half their size as padding, so that the cells cover the
    image without a gap.
    """
    network = timm_classifier(name)
    network.reset_classifier(0, global_pool="")
    for layer in network.modules() if padded else ():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            kernel = layer.kernel_size
            sides = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
            layer.padding = (sides[0] // 2, sides[1] // 2)
    return network


@dataclass(frozen=True, slots=True)
class Backbone:
    """How a backbone is built, and what is known about its grid and its published weights.

    Attributes:
        build: function that returns the layers from 3 channels to the features, with random
            weights.
        torchvision_weights: the name under which torchvision publishes ImageNet weights
            (IMAGENET1K_V1) for these layers; empty where there are none.
        timm_weights: the name under which timm publishes ImageNet weights; empty where there are
            none.
        native_stride: pixels of the input per cell of the grid.
        has_refinable_grid: whether `grid.set_output_stride` can make the grid finer. It cannot do
            so where parallel branches have strides of their own.
        cell_shift_pixels: distance from the centre of a cell to the centre of the receptive field
            of its feature, in pixels to the right and downwards. None: `grid.cell_shift_pixels`
            computes it from the layers, which is not possible for networks with branches.
    """

    build: Callable[[], nn.Module]
    torchvision_weights: str = ""
    timm_weights: str = ""
    native_stride: int = 32
    has_refinable_grid: bool = True
    cell_shift_pixels: float | None = None


BACKBONES: dict[str, Backbone] = {
    "alexnet": Backbone(alexnet, "alexnet"),
    "googlenet": Backbone(googlenet, "googlenet"),
    "vgg16": Backbone(vgg16, "vgg16"),
    "resnet18": Backbone(resnet18, "resnet18"),
    "resnet38": Backbone(resnet38),
    "resnet50": Backbone(resnet50, "resnet50"),
    "resnet101": Backbone(resnet101, "resnet101"),
    # The second max-pooling of the next three has no weights, so weights of the variants without
    # it fit.
    "resnet38_large": Backbone(resnet38_large, native_stride=64),
    "resnet50_large": Backbone(resnet50_large, "resnet50", native_stride=64),
    "resnet101_large": Backbone(resnet101_large, "resnet101", native_stride=64),
    "small_resnet": Backbone(small_resnet),
    "densenet121": Backbone(densenet121, "densenet121"),
    "densenet169": Backbone(densenet169, "densenet169"),
    "densenet201": Backbone(densenet201, "densenet201"),
    "mobilenet_v2": Backbone(mobilenet_v2, "mobilenet_v2"),
    # Five layers of stride 2 with odd kernels and symmetric padding centre the receptive field on
    # the first pixel of a cell of 32 pixels, which lies 15.5 pixels left of the cell's centre.
    "inception_resnet_v2": Backbone(
        inception_resnet_v2,
        timm_weights="inception_resnet_v2",
        has_refinable_grid=False,
        cell_shift_pixels=-15.5,
    ),
    "xception": Backbone(
        xception, timm_weights="legacy_xception", has_refinable_grid=False, cell_shift_pixels=-15.5
    ),
    # NASNet pads as TensorFlow does, and the receptive fields of its branches have different
    # centres. This value is their mean, measured as the centre of the gradient of a network whose
    # weights are all equal.
    "nasnet_large": Backbone(
        nasnet_large, timm_weights="nasnetalarge", has_refinable_grid=False, cell_shift_pixels=5.0
    ),
}
"""Backbones by name: torchvision's name where it has one, otherwise the name in the paper."""
