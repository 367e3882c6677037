"""Centred features: features minus their mean over many images; maps then show what is unusual."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.models.localizer import Localizer


def centre(network: Localizer, images: Iterable[Float[Tensor, "_ channel row col"]]) -> Localizer:
    """A network that subtracts the mean feature of these images at each position; logits stay.

    Departs: Wang et al. 2017 use the map w f(x, y). With average pooling, the logit alone cannot
    separate evidence for a finding from structures that every chest has, such as the bright heart.
    We subtract the mean feature m, so the map w (f(x, y) - m(x, y)) is 0 at every position that
    looks as usual. The mean of w m over the grid is added to the bias, so all logits stay the same.

    Args:
        network: a network in evaluation mode, with average pooling.
        images: batches of a few hundred training images in total, preprocessed for the network.

    Returns:
        The centred network, which accepts only inputs of the size of these images.

    Raises:
        CxrlocError: the pooling is not the average, the network is already centred, there are no
            images, or they are not square.

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
    mean = total / count
    config = replace(network.config, centred_cells=mean.shape[-1])
    centred = Localizer(config).eval()
    weights = dict(network.state_dict(), usual=mean)
    weights["prediction.bias"] = network.prediction(mean.mean(dim=(1, 2))).detach()
    centred.load_state_dict(weights)
    return centred


def mean_maps(
    network: nn.Module, findings: Sequence[int]
) -> Float[Tensor, "finding map_row map_col"] | None:
    """The maps w m(x, y) that centring subtracts from the class activation maps of these columns.

    None for networks that are not centred.
    """
    mean_features = getattr(network, "usual", None)
    if mean_features is None:
        return None
    prediction: Any = network.get_submodule("prediction")
    weight = prediction.weight[list(findings)]
    with torch.no_grad():
        return torch.einsum("fd,dyx->fyx", weight, mean_features)
