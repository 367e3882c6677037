"""From a recipe and its data to a trained network: first weights, one stage or two, scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.datasets.batches import (
    SAMPLERS,
    Batch,
    Feeding,
    ImageSet,
    evaluation_inputs,
    training_step,
)
from cxrloc.datasets.splits import LEAKS
from cxrloc.evaluation.classification.operating_points import choose_operating_point
from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.classification.units import ATTRIBUTES
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.threads import map_in_threads
from cxrloc.models.meta import MetaLocalizer, learn_ages, meta_values
from cxrloc.models.networks import Network, build_network
from cxrloc.models.probabilities import PROBABILITIES
from cxrloc.pipeline.training_data import TrainingData
from cxrloc.recipe import Recipe
from cxrloc.training.conditional import CONDITIONS, learned_images
from cxrloc.training.distributed import gathered, own_share, rank, synchronised, world_size
from cxrloc.training.first_weights import start
from cxrloc.training.fit import Run, fit
from cxrloc.training.fit_config import FitConfig, resolved
from cxrloc.training.losses import LOSSES, loss_terms, probabilities_after
from cxrloc.training.step import AUTOCAST
from cxrloc.training.uncertainty import POLICIES
from cxrloc.types import CxrlocError, Label

READ_AHEAD = 2
"""Threads that prepare the next steps while a GPU computes."""

FIRST_IMAGES = 32
"""Training images that show a network what its inputs look like before the first step."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network, and what it says of the validation images.

    Attributes:
        network: in evaluation mode, on the device.
        scores: as `validation_scores` gives them, marked where patients leak.
        operating_points: by finding; Youden's index on the validation images.
        probabilities: how its logits become probabilities (`ModelCard`).
    """

    network: Network
    scores: dict[str, float]
    operating_points: dict[str, float]
    probabilities: str


class _Stage(NamedTuple):
    """One call of `fit`: how, on which labels, and where its traces lie."""

    config: FitConfig
    condition: str
    run: Run


def train_stages(recipe: Recipe, data: TrainingData, device: torch.device, run: Run) -> Trained:
    """Train a recipe's network: `fit`, then its head if the recipe says so.

    Traces of the second stage are in the folder `head` below those of the first.

    Raises:
        CxrlocError: as `fit`, or the processes cannot share the batches.
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
    """`fit`, judged on what the stage learns; and what the network then says."""
    images = images_learned(data.train, recipe, stage.condition)
    config = resolved(stage.config, len(images.slots))
    findings = recipe.network.findings
    truth = data.validation.labels
    if recipe.data.uncertain_truth == "negative":
        truth = np.where(truth == Label.UNCERTAIN, np.float32(Label.NEGATIVE), truth)
    labels = validation_labels(truth, findings, stage.condition, config.loss)
    feeding = feeding_for(recipe, config, stage.condition, device)
    batches = partial(training_batches, images, feeding, config)

    def scores(logits: Tensor) -> dict[str, float]:
        return _marked(validation_scores(logits, labels, config.loss, findings), data.parts.leaking)

    def validate(network: nn.Module) -> dict[str, float]:
        return scores(logits_of(data.validation, feeding, config, network))

    kept = fit(network, batches, validate, config, stage.run)
    assert isinstance(kept, Network)
    logits = logits_of(data.validation, feeding, config, kept)
    return Trained(
        network=kept,
        scores=scores(logits),
        operating_points=_operating_points(logits, labels, config.loss, findings),
        probabilities=probabilities_after(config.loss),
    )


def build(recipe: Recipe, data: TrainingData, device: torch.device) -> Network:
    """The network with its first weights, random ones drawn by the recipe's seed."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.fit.seed)
        network = build_network(recipe.network)
    if isinstance(network, MetaLocalizer):
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
    if not isinstance(network, MetaLocalizer):
        return data
    ages = network.ages_years.tolist()
    return replace(
        data,
        train=replace(data.train, values=meta_values(data.parts.train, ages)),
        validation=replace(data.validation, values=meta_values(data.parts.validation, ages)),
    )


def feeding_for(recipe: Recipe, config: FitConfig, condition: str, device: torch.device) -> Feeding:
    """How images and labels of a stage become forward passes.

    Raises:
        CxrlocError: the processes cannot share its batches evenly.
    """
    if config.batch_size % (config.accumulation * world_size()):
        raise CxrlocError(
            f"a batch of {config.batch_size} in {config.accumulation} passes cannot be shared by "
            f"{world_size()} processes"
        )
    return Feeding(
        preprocessing=recipe.preprocessing,
        augmentation=recipe.augmentation,
        policy=partial(taught_labels, recipe=recipe, condition=condition),
        device=device,
        passes=config.accumulation,
        share=(rank(), world_size()),
        seed=config.seed,
    )


def taught_labels(
    labels: Tensor, generator: torch.Generator, recipe: Recipe, condition: str
) -> Tensor:
    """Labels as a stage learns them: first the uncertainty policy, then the condition."""
    labels = POLICIES[recipe.data.uncertain](labels, generator)
    if not condition:
        return labels
    return CONDITIONS[condition](labels, recipe.network.findings, CHEXPERT_PARENTS)


def images_learned(images: ImageSet, recipe: Recipe, condition: str) -> ImageSet:
    """The images of a conditional stage that have a label to learn from; of other stages all.

    Raises:
        CxrlocError: there are none.
    """
    if not condition:
        return images
    labels = taught_labels(torch.from_numpy(images.labels), torch.Generator(), recipe, condition)
    rows = learned_images(labels).numpy()
    if not rows.any():
        raise CxrlocError(
            f'condition = "{condition}": none of the {len(rows)} training images meets it, so '
            "there is nothing to learn from"
        )
    values = None if images.values is None else images.values[torch.from_numpy(rows)]
    return replace(images, slots=images.slots[rows], labels=images.labels[rows], values=values)


def training_batches(
    images: ImageSet, feeding: Feeding, config: FitConfig, first_step: int
) -> Iterator[list[Batch]]:
    """The forward passes of the steps from one on; for a GPU they are prepared ahead."""
    sampler = SAMPLERS[config.sampling]
    order = sampler(images.labels == 1, config.batch_size, config.seed, first_step)
    steps = islice(zip(count(first_step), order, strict=False), config.steps - first_step)

    def prepare(step_and_rows: tuple[int, list[int]]) -> list[Batch]:
        step, rows = step_and_rows
        return training_step(images, rows, step, feeding)

    if feeding.device.type == "cpu":
        # Threads beside the network's own would take more from it than they spare (measured: a
        # third), as each brings a team of its own that waits by spinning.
        return map(prepare, steps)
    return map_in_threads(prepare, steps, READ_AHEAD)


def logits_of(images: ImageSet, feeding: Feeding, config: FitConfig, network: nn.Module) -> Tensor:
    """Logits of a whole set, in its order, on the CPU; the processes share the work."""
    own = np.array(own_share(range(len(images.slots))), dtype=np.int64)
    size = config.batch_size // config.accumulation // world_size()
    precision = AUTOCAST.get(config.precision)
    rows = [torch.empty(0, images.labels.shape[1])]
    with (
        torch.inference_mode(),
        torch.autocast(feeding.device.type, precision, enabled=precision is not None),
    ):
        for first in range(0, len(own), size):
            inputs = evaluation_inputs(images, own[first : first + size], feeding)
            rows.append(network(*inputs)[0].float().cpu())
    return gathered(torch.cat(rows), len(images.slots))


def validation_labels(
    labels: Float[np.ndarray, "image finding"], findings: Sequence[str], condition: str, loss: str
) -> Float[Tensor, "image finding"]:
    """Labels that a stage is judged by: as it learns them, and NaN where it learns nothing.

    Uncertain labels are not scored, whatever they teach. A conditional stage is not judged on
    children whose parent is absent (`CONDITIONS`), and a network trained with softmax not on images
    without exactly one label.

    >>> labels = np.array([[1.0, 0.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> validation_labels(labels, ("Mass", "Nodule"), "", "softmax")
    tensor([[1., 0.],
            [nan, nan],
            [nan, nan]], dtype=torch.float64)
    """
    known = torch.from_numpy(labels)
    known = known.where(known >= 0, torch.nan)
    if condition:
        known = CONDITIONS[condition](known, findings, CHEXPERT_PARENTS)
    if probabilities_after(loss) == "softmax":
        known = known.where(known.sum(dim=1, keepdim=True) == 1, torch.nan)
    return known


def validation_scores(
    logits: Tensor, labels: Tensor, loss: str, findings: Sequence[str]
) -> dict[str, float]:
    """Mean loss (`loss_terms`), mean AUC and AUC of each finding; NaN where one class is missing.

    The mean is over findings: No Finding and other `ATTRIBUTES` are none. Without labels: nothing.
    """
    if not labels.isfinite().any():
        return {}
    areas, probabilities = {}, PROBABILITIES[probabilities_after(loss)](logits)
    for column, finding in enumerate(findings):
        truth, scores = _known(probabilities, labels, column)
        area = auc(truth, scores)
        areas[finding] = float("nan") if area is None else area
    counted = [area for finding, area in areas.items() if finding not in ATTRIBUTES]
    defined = [area for area in counted if not np.isnan(area)]
    return {
        "validation_loss": (LOSSES[loss](logits, labels) / loss_terms(loss, labels)).item(),
        "mean_auc": float(np.mean(defined)) if defined else float("nan"),
        **areas,
    }


def _marked(scores: dict[str, float], leaking: bool) -> dict[str, float]:
    """Scores that patients leaked into say so, wherever they go."""
    return {**scores, LEAKS: 1.0} if leaking and scores else scores


def _operating_points(
    logits: Tensor, labels: Tensor, loss: str, findings: Sequence[str]
) -> dict[str, float]:
    """Youden's index on the validation images; none for a finding that lacks a class there."""
    points, probabilities = {}, PROBABILITIES[probabilities_after(loss)](logits)
    for column, finding in enumerate(findings):
        truth, scores = _known(probabilities, labels, column)
        if (point := choose_operating_point(truth, scores)) is not None:
            points[finding] = point.threshold
    return points


def _known(scores: Tensor, labels: Tensor, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores of one finding, where the truth is known."""
    known = labels[:, column].isfinite()
    return (labels[known, column] == 1).numpy(), scores[known, column].numpy()
