"""Backbones that torchvision lacks: three of the six of Pham et al. 2019, from the timm package.

They need the extra `zoo`. Their grid is the image's size / 32 and cannot be refined: branches
that run beside each other have strides of their own.
"""

from typing import Any

from torch import nn

from cxrloc.models.grid import SamePadded
from cxrloc.types import CxrlocError

CELL_SHIFTS_PIXELS = {"inception_resnet_v2": -15.5, "xception": -15.5, "nasnet_large": 5.0}
"""Where a feature looks, off its cell's centre: `grid.cell_shift_pixels` cannot follow branches.

Five strides of 2 with odd kernels and padding on both sides look at a cell's first pixel. NASNet
pads as TensorFlow does, and its branches look at different places: their mean, measured as the
centre of the gradient with equal weights."""

TIMM_NAMES = {
    "inception_resnet_v2": "inception_resnet_v2",
    "xception": "legacy_xception",
    "nasnet_large": "nasnetalarge",
}
"""Our name -> timm's; Xception is the original of Chollet 2017, which timm calls legacy."""


def timm_network(backbone: str, pretrained: bool = False) -> Any:
    """A classifier of timm by our name.

    Raises:
        CxrlocError: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise CxrlocError(
            f"backbone {backbone} needs the timm package: pip install 'cxrloc[zoo]'"
        ) from error
    return timm.create_model(TIMM_NAMES[backbone], pretrained=pretrained)


def inception_resnet_v2() -> nn.Module:
    """Inception-ResNet-v2 (Szegedy et al. 2017); 1536 channels."""
    return _features("inception_resnet_v2", padded=True)


def xception() -> nn.Module:
    """Xception (Chollet 2017); 2048 channels."""
    return _features("xception", padded=True)


def nasnet_large() -> nn.Module:
    """NASNet-A Large (Zoph et al. 2018); 4032 channels."""
    network = _features("nasnet_large", padded=False)
    network.conv0.conv = SamePadded(network.conv0.conv)
    return network


def _features(backbone: str, padded: bool) -> Any:
    """All but pooling and classifier.

    Departs: unpadded kernels get half their size as padding, so that the cells tile the image.
    """
    network = timm_network(backbone)
    network.reset_classifier(0, global_pool="")
    for layer in network.modules() if padded else ():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            kernel = layer.kernel_size
            sides = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
            layer.padding = (sides[0] // 2, sides[1] // 2)
    return network
