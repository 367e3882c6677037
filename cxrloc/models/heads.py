"""Heads: they turn features into logits, with the pooling before or after the prediction."""

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

    The pooled map z is the class activation map plus the bias (Yao et al. 2018, Ye et al. 2020).
    With average pooling this network is the same as that of `pool_then_predict`.
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

    WILDCAT averages the M maps of a finding before it pools them. The mean of linear layers is
    itself linear. `weight` and `bias` are those of this mean, and class activation maps use them
    as those of any other linear layer.

    Attributes:
        weights: weights of all layers, with the axes finding, map and depth.
        biases: biases of all layers, with the axes finding and map.

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
        """The weight of the mean layer."""
        return self.weights.mean(dim=1)

    @property
    def bias(self) -> Float[Tensor, " finding"]:
        """The bias of the mean layer."""
        return self.biases.mean(dim=1)

    def forward(self, features: Float[Tensor, "*batch depth"]) -> Float[Tensor, "*batch finding"]:
        """The mean of the outputs of all layers."""
        return F.linear(features, self.weight, self.bias)


def prediction_layer(depth: int, findings: int, maps: int) -> Any:
    """The prediction layer: `nn.Linear` for one map per finding, `MeanOfMaps` for several."""
    return nn.Linear(depth, findings) if maps == 1 else MeanOfMaps(depth, findings, maps)


def any_weight(network: Any) -> Tensor:
    """A weight of the network, for its data type and its device: that of its prediction layer.

    >>> any_weight(nn.Linear(2, 1)).dtype
    torch.float32
    """
    prediction = getattr(network, "prediction", None)
    return next(network.parameters()) if prediction is None else prediction.weight


def logits_of_features(network: Any, features: Tensor) -> Tensor:
    """The logits of a network from its features: by its `head`, or prediction(pool(features)).

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
