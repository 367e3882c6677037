"""Networks by the name of their architecture."""

from collections.abc import Callable

import torch

from cxrloc.errors import CxrlocError
from cxrloc.models.described import Input
from cxrloc.models.dualnet import DualNet
from cxrloc.models.library_backbones import weights_left_unset
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.meta import MetaLocalizer

Network = Localizer | DualNet | MetaLocalizer

NETWORKS: dict[str, Callable[[LocalizerConfig], Network]] = {
    "localizer": Localizer,
    "dualnet": DualNet,
    "meta": MetaLocalizer,
}
"""Networks by `LocalizerConfig.architecture`: configuration -> network with random weights."""


def inputs_of_architecture(architecture: str) -> tuple[Input, ...]:
    """The inputs that the networks of an architecture (a name of `NETWORKS`) read.

    >>> [str(each) for each in inputs_of_architecture("dualnet")]
    ['image', 'second view']
    """
    return getattr(NETWORKS[architecture], "reads", (Input.IMAGE,))


def build_network(config: LocalizerConfig) -> Network:
    """The network that a configuration describes, with random weights.

    Raises:
        CxrlocError: the architecture is not a name of `NETWORKS`.

    >>> type(build_network(LocalizerConfig("small_resnet", ("Mass",)))).__name__
    'Localizer'
    """
    if config.architecture not in NETWORKS:
        raise CxrlocError(
            f"architecture {config.architecture!r} is unknown: choose one of {', '.join(NETWORKS)}"
        )
    return NETWORKS[config.architecture](config)


def network_to_fill(config: LocalizerConfig) -> Network:
    """The network that a configuration describes, to be filled with weights.

    It draws no random numbers. Networks of libraries have tensors that are not among their weights,
    so they are built in memory; all others are built without memory (on the device "meta").
    """
    if ":" in config.backbone:
        with weights_left_unset():
            return build_network(config)
    with torch.device("meta"):
        return build_network(config)
