"""Heads: from features to logits, by pooling before or behind the prediction."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Features = Float[Tensor, "batch depth row col"]
Logits = Float[Tensor, "batch finding"]


def pool_then_predict(pool: nn.Module, prediction: nn.Module, features: Features) -> Logits:
    """Logit = w . pool(f) + b (Wang et al. 2017, section 3.1)."""
    return prediction(pool(features))


def predict_then_pool(pool: nn.Module, prediction: nn.Module, features: Features) -> Logits:
    """Logit = pool(z), with a logit in every cell, z_c(i, j) = w_c . f(i, j) + b_c.

    So z, the class activation map plus the bias, is what is pooled (Yao et al. 2018, Ye et al.
    2020). With average pooling it is the same network as `pool_then_predict`.
    """
    z = prediction(features.movedim(1, 3))  # batch row col finding
    return pool(z.movedim(3, 1))


HEADS: dict[str, Callable[[nn.Module, nn.Module, Tensor], Tensor]] = {
    "pool_then_predict": pool_then_predict,
    "predict_then_pool": predict_then_pool,
}
"""Heads by name: (pooling, prediction, features) -> logits."""


class MeanOfMaps(nn.Module):
    """A linear layer that is the mean of M linear layers: M maps per finding (Durand et al. 2017).

    WILDCAT averages the maps of a finding before it pools them. A mean of linear layers is linear:
    `weight` and `bias` are those of the mean, so class activation maps need nothing else.

    Attributes:
        weights: finding, map, depth.
        biases: finding, map.

    >>> import torch
    >>> layer = MeanOfMaps(depth=3, findings=2, maps=4)
    >>> layer(torch.zeros(1, 3)).shape, layer.weight.shape
    (torch.Size([1, 2]), torch.Size([2, 3]))
    """

    def __init__(self, depth: int, findings: int, maps: int) -> None:
        super().__init__()
        drawn = nn.Linear(depth, findings * maps)
        self.in_features, self.out_features = depth, findings
        self.weights = nn.Parameter(drawn.weight.detach().reshape(findings, maps, depth))
        self.biases = nn.Parameter(drawn.bias.detach().reshape(findings, maps))

    @property
    def weight(self) -> Float[Tensor, "finding depth"]:
        """Of the mean over the maps."""
        return self.weights.mean(dim=1)

    @property
    def bias(self) -> Float[Tensor, " finding"]:
        """Of the mean over the maps."""
        return self.biases.mean(dim=1)

    def forward(self, features: Float[Tensor, "*batch depth"]) -> Float[Tensor, "*batch finding"]:
        """The mean of the layers."""
        return F.linear(features, self.weight, self.bias)


def prediction_layer(depth: int, findings: int, maps: int) -> Any:
    """The prediction: an `nn.Linear`, or a `MeanOfMaps` of more than one map per finding."""
    return nn.Linear(depth, findings) if maps == 1 else MeanOfMaps(depth, findings, maps)


def logits_of_features(network: Any, features: Tensor) -> Tensor:
    """A network's logits from its features: its own `head`, or else prediction(pool(features)).

    >>> import torch
    >>> class Own(nn.Module):
    ...     prediction = nn.Linear(3, 2)
    ...
    ...     def pool(self, features):
    ...         return features.mean((2, 3))
    >>> logits_of_features(Own(), torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 2])
    """
    head = getattr(network, "head", None)
    return network.prediction(network.pool(features)) if head is None else head(features)
