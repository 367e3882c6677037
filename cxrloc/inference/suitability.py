"""Decides whether models were made for images like one image: by its header, pixels and features.

Hendrycks & Gimpel 2017 and many after them observe that networks give confident outputs for images
unlike any that they learned from, so a probability alone does not show that an image is unsuitable.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.images.intensity import is_blank
from cxrloc.images.read import BLANK
from cxrloc.inference.batches import InferenceSettings
from cxrloc.models.feature_distance import distances, mean_features
from cxrloc.models.heads import logits_of_features
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.model import Model
from cxrloc.models.provenance import view_warnings
from cxrloc.types import Radiograph, Suitability


def suitability(
    models: Sequence[Model], radiograph: Radiograph, distances: Sequence[float | None]
) -> Suitability:
    """Whether models were made for images like this one.

    An image is outside if it is blank, if its header names a projection that a model was not
    trained on, or if its features are far from those of the images that a model was validated on.
    Modality and body part in the header decide only where nothing else can: no model knows a
    distance. Otherwise the picture decides, because these two tags are often wrong.

    Args:
        models: the models that were run on the image.
        radiograph: the image.
        distances: of each model, see `Suitability.distance`; None if the model knows no distance.
    """
    known = [distance for distance in distances if distance is not None]
    reasons = [BLANK] * is_blank(radiograph.pixels) + view_warnings(models, radiograph.view)
    reasons += [
        f"the image is unlike those that {model.card.name} was made for: its features are far from "
        "those of validation images"
        for model, distance in zip(models, distances, strict=True)
        if distance is not None and distance > 1
    ]
    if reasons or not known:
        reasons += radiograph.not_a_chest
    return Suitability(tuple(reasons), max(known, default=None))


class Watched(nn.Module):
    """A network that keeps the mean features of the first batch that passes through it.

    So the distance of an image costs no second forward pass.
    """

    def __init__(self, network: LocalizingNetwork) -> None:
        super().__init__()
        self.network = network
        self.prediction = network.prediction
        self.seen: Float[Tensor, "batch depth"] | None = None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features of the images, as the network gives them."""
        logits, features = self.network(images)
        if self.seen is None:
            self.seen = mean_features(features)
        return logits, features

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
            pooled = mean_features(network.network(images)[1])
    return (distances(pooled.cpu(), typical, rule.variance) / rule.threshold).tolist()
