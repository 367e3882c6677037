"""The distance of images from those that a model was made for, in the features of its network."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.devices import autocast
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.models.feature_distance import distances, mean_features
from cxrloc.models.heads import logits_of_features
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.model import Model


class Watched(nn.Module):
    """A network that computes in a precision and keeps the mean features of its first batch.

    So the distance of an image costs no second forward pass.

    Attributes:
        network: the network.
        precision: a name of `PRECISIONS`, in which the network computes; its outputs are float32.
        seen: the mean features; None before the first batch.
    """

    def __init__(self, network: LocalizingNetwork, precision: str = "fp32") -> None:
        super().__init__()
        self.network, self.precision = network, precision
        self.prediction = network.prediction
        self.seen: Float[Tensor, "batch depth"] | None = None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features of the images.

        Numbers above 65,504 are infinite in half precision. Where one is met, the batch is computed
        again in float32.
        """
        logits, features = self._run(images, self.precision)
        if self.precision == "fp16" and not (logits.isfinite().all() & features.isfinite().all()):
            logits, features = self._run(images, "fp32")
        if self.seen is None:
            self.seen = mean_features(features)
        return logits, features

    def _run(self, images: Tensor, precision: str) -> tuple[Tensor, Tensor]:
        with autocast(images.device, precision):
            logits, features = self.network(images)
        return logits.float(), features.float()

    def head(self, features: Tensor) -> Tensor:
        """The logits of features, computed by the head of the network."""
        return logits_of_features(self.network, features)


def distances_of(
    model: Model,
    network: Watched,
    images: Float[Tensor, "batch channel row col"],
    settings: InferenceSettings,
) -> list[float | None]:
    """The distance of each image, divided by the model's threshold; None if it knows no distance.

    Args:
        model: the model.
        network: its network, after the images or versions of them passed through it.
        images: its input, without the changes of `settings.versions`.
        settings: how the model is run.
    """
    rule, typical = model.card.distance, model.typical
    if rule is None or typical is None:
        return [None] * len(images)
    if settings.versions == "plain" and network.seen is not None:
        pooled = network.seen
    else:  # the first version of an image need not be the image itself
        with torch.inference_mode():
            pooled = mean_features(network(images)[1])
    return (distances(pooled.cpu(), typical, rule.variance) / rule.threshold).tolist()
