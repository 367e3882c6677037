"""Trains the network of a recipe: it sets the first weights and runs one or two stages."""

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cxrloc.datasets.batches import evaluation_inputs
from cxrloc.datasets.splits import LEAKS
from cxrloc.models.card import DistanceRule
from cxrloc.models.context import inputs_of
from cxrloc.models.described import Input
from cxrloc.models.feature_distance import TypicalFeatures, fit_distance
from cxrloc.models.meta import learn_ages, meta_values
from cxrloc.models.networks import Network, build_network
from cxrloc.training.data import TrainingData
from cxrloc.training.distributed import synchronised, world_size
from cxrloc.training.feeding import feeding_for, images_learned, training_batches
from cxrloc.training.first_weights import start
from cxrloc.training.fit import Run, fit
from cxrloc.training.fit_config import FitConfig, resolved
from cxrloc.training.losses import probabilities_after
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.validation import (
    calibration,
    operating_points,
    outputs_of,
    validation_labels,
    validation_scores,
)

FIRST_IMAGES = 32
"""Number of training images with which `first_weights.start` sets folded batch normalisation."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network and its scores on the validation images.

    Attributes:
        network: the network in evaluation mode, on the device.
        scores: scores of `validation_scores`; with `splits.LEAKS` if patients leak between parts.
        operating_points: by finding, chosen by Youden's index on the validation images.
        calibration: by finding, Platt's slope and intercept at the training set's prevalence.
        probabilities: how its logits become probabilities, as in `ModelCard`.
        distance: features of validation images and the rule of `fit_distance`; None for a network
            of two views, and where there are too few images.
    """

    network: Network
    scores: dict[str, float]
    operating_points: dict[str, float]
    calibration: dict[str, tuple[float, float]]
    probabilities: str
    distance: tuple[TypicalFeatures, DistanceRule] | None


class _Stage(NamedTuple):
    """The settings of one call of `fit`.

    Attributes:
        config: settings of the training.
        condition: a name of `CONDITIONS`, or empty for all labels.
        run: folder and identity of the run.
    """

    config: FitConfig
    condition: str
    run: Run


def train_stages(recipe: Recipe, data: TrainingData, device: torch.device, run: Run) -> Trained:
    """Train the network of a recipe, and then its last layer alone if the recipe has [head].

    The files of the second stage are in the folder `head` below those of the first.

    Raises:
        CxrlocError: as `fit`, or the processes cannot share the batches evenly.
    """
    network = build(recipe, data, device)
    data = with_values(data, network)
    stage = _Stage(recipe.fit, recipe.data.condition, run)
    trained = _train_stage(network, stage, recipe, data, device)
    if recipe.head is not None:
        head = _Stage(recipe.head, "", replace(run, out=run.out / "head"))
        trained = _train_stage(trained.network, head, recipe, data, device)
    return trained


def _train_stage(
    network: Network, stage: _Stage, recipe: Recipe, data: TrainingData, device: torch.device
) -> Trained:
    """Train one stage and score the weights that it keeps, on the labels that the stage learns."""
    images = images_learned(data.train, recipe, stage.condition)
    config = resolved(stage.config, len(images.slots))
    findings = recipe.network.findings
    labels = validation_labels(
        data.validation.labels, findings, stage.condition, config.loss, recipe.data.uncertain_truth
    )
    feeding = feeding_for(recipe, config, stage.condition, device)
    batches = partial(training_batches, images, feeding, config)

    def scores(logits: Tensor) -> dict[str, float]:
        found = validation_scores(logits, labels, config.loss, findings)
        return {**found, LEAKS: 1.0} if found and data.parts.leaking else found

    def validate(network: nn.Module) -> dict[str, float]:
        return scores(outputs_of(data.validation, feeding, config, network).logits)

    kept = fit(network, batches, validate, config, stage.run)
    assert isinstance(kept, Network)
    logits, features = outputs_of(data.validation, feeding, config, kept)
    # The two views of a pair would need a distance each.
    one_view = Input.SECOND_VIEW not in inputs_of(kept)
    patients = [record.patient_id for record in data.parts.validation]
    return Trained(
        network=kept,
        scores=scores(logits),
        operating_points=operating_points(logits, labels, config.loss, findings),
        calibration=calibration(logits, labels, config.loss, data.prevalence),
        probabilities=probabilities_after(config.loss),
        distance=fit_distance(features, patients, config.seed) if one_view else None,
    )


def build(recipe: Recipe, data: TrainingData, device: torch.device) -> Network:
    """The network with its first weights; random weights are drawn by the recipe's seed."""
    with torch.random.fork_rng([]):  # networks are built on the CPU: no GPU draws numbers
        torch.manual_seed(recipe.fit.seed)
        network = build_network(recipe.network)
    if Input.METADATA in inputs_of(network):
        ages = [r.age_years for r in data.parts.train if r.age_years is not None]
        learn_ages(network, ages)
    feeding = feeding_for(recipe, recipe.fit, "", torch.device("cpu"))
    first = np.arange(min(FIRST_IMAGES, len(data.train.slots)))
    start(network, recipe.start, evaluation_inputs(data.train, first, feeding)[0])
    if world_size() > 1:
        network = synchronised(network, device, recipe.fit.frozen_normalisation)
    layout = torch.channels_last if recipe.fit.channels_last else torch.contiguous_format
    return network.to(device).to(memory_format=layout)


def with_values(data: TrainingData, network: Network) -> TrainingData:
    """The data with age, sex and view beside each image, if the network reads them."""
    if Input.METADATA not in inputs_of(network):
        return data
    ages = network.get_buffer("ages_years").tolist()
    return replace(
        data,
        train=replace(data.train, values=meta_values(data.parts.train, ages)),
        validation=replace(data.validation, values=meta_values(data.parts.validation, ages)),
    )
