"""Features as what differs from the usual chest, so that maps show what is unusual."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.models.localizer import Localizer
from cxrloc.types import CxrlocError


def centre(network: Localizer, images: Iterable[Float[Tensor, "_ channel row col"]]) -> Localizer:
    """The network with its features measured from their mean at each place over these images.

    Departs: Wang et al. 2017 map w f(x, y). With average pooling the logit does not tell where
    evidence lies from where every chest has it: the heart is bright on each of them. Less the
    mean feature m, the map w (f(x, y) - m(x, y)) is 0 at every place that looks as usual. The
    bias takes up w m averaged over the grid, so all logits stay.

    Args:
        network: in evaluation mode, with average pooling.
        images: a few hundred of the training images, as the network takes them.

    Returns:
        A network for inputs of this size alone.

    Raises:
        CxrlocError: its pooling is not the average, it has been centred, or there is no square
            image.

    >>> from cxrloc.models.localizer import LocalizerConfig
    >>> plain = Localizer(LocalizerConfig("resnet18", ("Mass",))).eval()
    >>> image = torch.rand(1, 1, 64, 64)
    >>> logits, features = centre(plain, [image])(image)
    >>> features.abs().max().item(), torch.allclose(logits, plain(image)[0], atol=1e-5)
    (0.0, True)
    """
    if network.config.pooling != "average" or network.config.centred_cells:
        raise CxrlocError("only a network with average pooling can be centred, and only once")
    total, count = torch.zeros(()), 0
    with torch.no_grad():
        for batch in images:
            total = total + network(batch)[1].float().sum(dim=0)
            count += len(batch)
    if not count or total.shape[-2] != total.shape[-1]:
        raise CxrlocError("centring needs square images, and at least one")
    usual = total / count
    config = replace(network.config, centred_cells=usual.shape[-1])
    centred = Localizer(config).eval()
    weights = dict(network.state_dict(), usual=usual)
    weights["prediction.bias"] = network.prediction(usual.mean(dim=(1, 2))).detach()
    centred.load_state_dict(weights)
    return centred


def mean_maps(
    network: nn.Module, findings: Sequence[int]
) -> Float[Tensor, "finding map_row map_col"] | None:
    """What centring subtracts from the class activation maps of these columns: w m(x, y).

    None for networks that are not centred.
    """
    mean_features = getattr(network, "usual", None)
    if mean_features is None:
        return None
    prediction: Any = network.get_submodule("prediction")
    weight = prediction.weight[list(findings)]
    with torch.no_grad():
        return torch.einsum("fd,dyx->fyx", weight, mean_features)
