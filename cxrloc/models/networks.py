"""Networks by the name of their architecture."""

from collections.abc import Callable

from cxrloc.models.dualnet import DualNet
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.meta import MetaLocalizer

Network = Localizer | DualNet | MetaLocalizer

NETWORKS: dict[str, Callable[[LocalizerConfig], Network]] = {
    "localizer": Localizer,
    "dualnet": DualNet,
    "meta": MetaLocalizer,
}
"""Config to network with random weights, by `LocalizerConfig.architecture`."""


def build_network(config: LocalizerConfig) -> Network:
    """The network of a config, with random weights.

    >>> type(build_network(LocalizerConfig("small_resnet", ("Mass",)))).__name__
    'Localizer'
    """
    return NETWORKS[config.architecture](config)
