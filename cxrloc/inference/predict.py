"""Probabilities of many images, without maps."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from cxrloc.errors import CxrlocError
from cxrloc.inference.batches import (
    Compute,
    network_for,
    network_inputs,
    probabilities_of,
    versions_of,
)
from cxrloc.inference.ensemble import mean_probabilities
from cxrloc.inference.prepared import Failure, Image, InferenceSettings, Prepared, chosen_findings
from cxrloc.inference.streaming import in_batches
from cxrloc.inference.suitability import Suitability, suitability
from cxrloc.inference.versions import average_probabilities
from cxrloc.inference.watched import Watched, distances_of
from cxrloc.models.model import Model
from cxrloc.types import Predictions, View


class Predicted(NamedTuple):
    """The prediction of one image, with the view and warnings from its file.

    Attributes:
        image_id: the image.
        probabilities: of each finding, in [0, 1].
        view: projection that the file names, None if unknown.
        warnings: warnings from reading the file.
        suitability: whether the models were made for such an image.
    """

    image_id: str
    probabilities: Float[np.ndarray, " finding"]
    view: View | None
    warnings: tuple[str, ...]
    suitability: Suitability = Suitability()


def predict(
    models: Sequence[Model], images: Iterable[Image], settings: InferenceSettings
) -> Iterator[Predicted | Failure]:
    """Run models on images; results come in the order of the images.

    Several models form an ensemble: the mean of their probabilities for the findings that all of
    them know (`chosen_findings`). The heatmap method of the settings is not used.

    Raises:
        UsageError: the versions, the device or a finding do not exist.
        CxrlocError: the models share no finding.
    """
    settings = replace(settings, method="")
    yield from in_batches(models, images, settings, _predicting, keep_pixels=False)


def _predicting(models: Sequence[Model], settings: InferenceSettings) -> Compute[Predicted]:
    """The function that predicts on a batch."""
    findings = chosen_findings(models, settings)

    def compute(batch: Sequence[Prepared]) -> list[Predicted]:
        return _predict_batch(models, batch, findings, settings)

    return compute


def pooled_features(
    model: Model, images: Iterable[Image], settings: InferenceSettings
) -> Iterator[Float[np.ndarray, " depth"] | Failure]:
    """The pooled features of each image, which are the input of the model's prediction layer.

    Raises:
        UsageError: the device does not exist.
        CxrlocError: the network pools logits, not features.
    """
    yield from in_batches([model], images, settings, _pooling, keep_pixels=False)


def _pooling(
    models: Sequence[Model], settings: InferenceSettings
) -> Compute[Float[np.ndarray, " depth"]]:
    """The function that pools the features of a batch."""
    (model,) = models
    if model.config is not None and model.config.head == "predict_then_pool":
        raise CxrlocError(f"{model.card.name} pools logits: it has no pooled features")
    pool: Any = model.network.pool

    def compute(batch: Sequence[Prepared]) -> list[Float[np.ndarray, " depth"]]:
        network = Watched(network_for(model, batch), settings.precision)
        with torch.inference_mode():
            _, features = network(network_inputs(model, batch, 0))
            return list(pool(features).cpu().numpy())

    return compute


def gather(predicted: Sequence[Predicted], findings: tuple[str, ...]) -> Predictions:
    """Results of single images as one table.

    >>> seen = Predicted("a", np.array([0.5]), None, ())
    >>> gather([seen], ("Mass",)).probabilities
    array([[0.5]])
    """
    rows = np.array([each.probabilities for each in predicted], dtype=float)
    image_ids = tuple(each.image_id for each in predicted)
    return Predictions(image_ids, findings, rows.reshape(len(image_ids), len(findings)))


def _predict_batch(
    models: Sequence[Model],
    batch: Sequence[Prepared],
    findings: tuple[str, ...],
    settings: InferenceSettings,
) -> list[Predicted]:
    """Probabilities of one batch, averaged over models."""
    probabilities, far = [], []
    for index, model in enumerate(models):
        images = network_inputs(model, batch, index)
        with torch.inference_mode():
            network = Watched(network_for(model, batch), settings.precision)
            versions = versions_of(images, model, settings)
            every = average_probabilities(network, versions, probabilities_of(model, settings))
            far.append(distances_of(model, network, images, settings))
        columns = [model.card.findings.index(finding) for finding in findings]
        probabilities.append(every[:, columns].cpu().numpy())
    mean = mean_probabilities(probabilities)
    return [
        Predicted(
            item.image_id,
            mean[row],
            item.radiograph.view,
            item.radiograph.warnings,
            suitability(models, item.radiograph, [distances[row] for distances in far]),
        )
        for row, item in enumerate(batch)
    ]
