"""`cxrloc train`: a recipe and a data set in; a model with its card and its history out."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cxrloc.datasets.batches import (
    SAMPLERS,
    Batch,
    Feeding,
    ImageSet,
    grey_levels,
    normalised,
    training_step,
)
from cxrloc.datasets.image_cache import Watch
from cxrloc.evaluation.classification.operating_points import choose_operating_point
from cxrloc.evaluation.classification.ranking import auc
from cxrloc.inference.batches import choose_device
from cxrloc.inference.threads import map_in_threads
from cxrloc.models.localizer import Localizer
from cxrloc.models.weights import ModelCard, hashed_patient, write_model
from cxrloc.pipeline.outputs import make_folder
from cxrloc.pipeline.run_card import versions
from cxrloc.pipeline.training_data import TrainingData, training_data
from cxrloc.recipe import Recipe, read_recipe, recipe_text
from cxrloc.training.distributed import (
    gathered,
    own_share,
    processes,
    rank,
    synchronised,
    world_size,
)
from cxrloc.training.first_weights import start
from cxrloc.training.fit import AUTOCAST, Moment, Run, fit
from cxrloc.training.fit_config import FitConfig, resolved
from cxrloc.training.losses import LOSSES
from cxrloc.training.uncertainty import POLICIES
from cxrloc.types import CxrlocError

READ_AHEAD = 2
"""Threads that prepare the next steps while the network computes."""

FIRST_IMAGES = 32
"""Training images that show a network what its inputs look like before the first step."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `train` does beside the recipe.

    Attributes:
        recipe: name or file.
        data: folder of the data set; None for phantoms.
        labels: labels out of reports, in place of the data set's own.
        start: first weights, in place of the recipe's; empty: the recipe's.
        resume: go on from the last checkpoint, if there is one.
        device: "auto", "cpu", "cuda", ...
        cache: folder that keeps decoded images, for any number of runs.
    """

    recipe: str
    data: Path | None = None
    labels: Path | None = None
    start: str = ""
    resume: bool = False
    device: str = "auto"
    cache: Path = Path("cxrloc-cache")


class TrainWatch(NamedTuple):
    """Who is told how far things are."""

    decoding: Watch
    data: Callable[[TrainingData], None]
    moment: Callable[[Moment], None]


class TrainResult(NamedTuple):
    """What came out, for the terminal; the files are written."""

    run: dict[str, Any]
    failures: Sequence[tuple[str, str]]
    model: Path


def train(out: Path, options: TrainOptions, watch: TrainWatch) -> TrainResult:
    """Train by a recipe: `out` gets model.safetensors, metrics.csv, last.ckpt and run.json.

    Under `torchrun` every process calls it; the first writes the files.

    Raises:
        UsageError: an option names nothing that exists, or `out` cannot be written.
        CxrlocError: the recipe or the data cannot be used.
    """
    started = time.perf_counter()
    recipe = read_recipe(options.recipe)
    recipe = replace(recipe, start=options.start or recipe.start)
    make_folder(out)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(os.cpu_count() or 1)
    with processes(choose_device(options.device)) as device:
        data = training_data(recipe, options.data, options.labels, options.cache, watch.decoding)
        watch.data(data)
        identity = {"recipe": asdict(recipe), **data.description}
        run = Run(out, options.resume, identity, watch.moment)
        fitted = _fit(recipe, data, device, run)
        path = out / "model.safetensors"
        if rank() == 0:
            card = _card(recipe, recipe_text(options.recipe), data, fitted)
            write_model(path, fitted.network, recipe.preprocessing, card)
        description = {
            "versions": versions(),
            "recipe": asdict(recipe),
            "device": str(device),
            "processes": world_size(),
            "data": data.description,
            "failed_images": dict(data.failures),
            "steps": fitted.steps,
            "validation": fitted.scores,
            "seconds": round(time.perf_counter() - started, 1),
        }
        if rank() == 0:
            (out / "run.json").write_text(json.dumps(description, indent=1) + "\n")
    return TrainResult(description, data.failures, path)


class _Fitted(NamedTuple):
    """A trained network, and what it says of the validation images."""

    network: Localizer
    steps: int
    scores: dict[str, float]
    operating_points: dict[str, float]


def _fit(recipe: Recipe, data: TrainingData, device: torch.device, run: Run) -> _Fitted:
    config = resolved(recipe.fit, len(data.train.slots))
    if config.batch_size % (config.accumulation * world_size()):
        raise CxrlocError(
            f"a batch of {config.batch_size} in {config.accumulation} passes cannot be shared by "
            f"{world_size()} processes"
        )
    network = _network(recipe, data, device)
    feeding = Feeding(
        preprocessing=recipe.preprocessing,
        augmentation=recipe.augmentation,
        policy=POLICIES[recipe.data.uncertain],
        device=device,
        passes=config.accumulation,
        share=(rank(), world_size()),
        seed=config.seed,
    )
    labels = torch.from_numpy(data.validation.labels)
    labels = labels.where(labels >= 0, torch.nan)
    predict = partial(_logits, data.validation, feeding=feeding, config=config)

    def validate(network: nn.Module) -> dict[str, float]:
        return validation_scores(predict(network), labels, config.loss, recipe.network.findings)

    kept = fit(network, partial(_batches, data.train, feeding, config), validate, config, run)
    assert isinstance(kept, Localizer)
    logits = predict(kept)
    scores = validation_scores(logits, labels, config.loss, recipe.network.findings)
    points = _operating_points(logits, labels, recipe.network.findings)
    return _Fitted(kept, config.steps, scores, points)


def _network(recipe: Recipe, data: TrainingData, device: torch.device) -> Localizer:
    """The network with its first weights, drawn by the recipe's seed."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.fit.seed)
        network = Localizer(recipe.network)
    first = np.arange(min(FIRST_IMAGES, len(data.train.slots)))
    grey = grey_levels(data.train, first, torch.device("cpu"))
    start(network, recipe.start, normalised(grey, recipe.preprocessing))
    if world_size() > 1:
        network = synchronised(network, device, recipe.fit.frozen_normalisation)
    layout = torch.channels_last if recipe.fit.channels_last else torch.contiguous_format
    return network.to(device).to(memory_format=layout)


def _batches(
    images: ImageSet, feeding: Feeding, config: FitConfig, first_step: int
) -> Iterator[list[Batch]]:
    """The forward passes of the steps from one on, prepared ahead."""
    sampler = SAMPLERS[config.sampling]
    order = sampler(images.labels == 1, config.batch_size, config.seed, first_step)
    steps = islice(zip(count(first_step), order, strict=False), config.steps - first_step)

    def prepare(step_and_rows: tuple[int, list[int]]) -> list[Batch]:
        step, rows = step_and_rows
        return training_step(images, rows, step, feeding)

    return map_in_threads(prepare, steps, READ_AHEAD)


def _logits(images: ImageSet, network: nn.Module, feeding: Feeding, config: FitConfig) -> Tensor:
    """Logits of a whole set, in its order, on the CPU; the processes share the work."""
    own = np.array(own_share(range(len(images.slots))), dtype=np.int64)
    size = max(1, config.batch_size // config.accumulation // world_size())
    precision = AUTOCAST.get(config.precision)
    device = feeding.device
    rows = [torch.empty(0, images.labels.shape[1])]
    with (
        torch.inference_mode(),
        torch.autocast(device.type, precision, enabled=precision is not None),
    ):
        for first in range(0, len(own), size):
            grey = grey_levels(images, own[first : first + size], device)
            rows.append(network(normalised(grey, feeding.preprocessing))[0].float().cpu())
    return gathered(torch.cat(rows), len(images.slots))


def validation_scores(
    logits: Tensor, labels: Tensor, loss: str, findings: Sequence[str]
) -> dict[str, float]:
    """Mean loss per label, mean AUC and AUC of each finding; NaN where one class is missing.

    Without images: nothing.
    """
    if not len(labels):
        return {}
    values = {}
    for column, finding in enumerate(findings):
        known = labels[:, column].isfinite()
        truth, scores = labels[known, column] == 1, logits[known, column]
        area = auc(truth.numpy(), scores.numpy())
        values[finding] = float("nan") if area is None else area
    defined = [value for value in values.values() if value == value]
    return {
        "validation_loss": (LOSSES[loss](logits, labels) / labels.isfinite().sum()).item(),
        "mean_auc": float(np.mean(defined)) if defined else float("nan"),
        **values,
    }


def _operating_points(logits: Tensor, labels: Tensor, findings: Sequence[str]) -> dict[str, float]:
    """Youden's index on the validation images; none for a finding that lacks a class there."""
    points = {}
    for column, finding in enumerate(findings):
        known = labels[:, column].isfinite()
        truth, scores = labels[known, column] == 1, logits[known, column].sigmoid()
        if (point := choose_operating_point(truth.numpy(), scores.numpy())) is not None:
            points[finding] = point.threshold
    return points


def _card(recipe: Recipe, text: str, data: TrainingData, fitted: _Fitted) -> ModelCard:
    trained = data.parts.train
    patients = sorted({record.patient_id for record in trained})
    limits = ["Research only: not for diagnosis."]
    if data.parts.leaking:
        limits.append("Split by image: patients leak from training into validation and test.")
    if recipe.data.shuffle_labels:
        limits.append("Trained on shuffled labels: a control that has learned nothing.")
    return ModelCard(
        name=recipe.title,
        trained_on=f"{len(trained)} images of {recipe.data.reader} ({data.name})",
        findings=recipe.network.findings,
        views=tuple(sorted({record.view.value for record in trained if record.view})),
        operating_points=fitted.operating_points,
        training_patients=tuple(map(hashed_patient, patients)),
        training_images=len(trained),
        limits=" ".join(limits),
        recipe=text,
        provenance={
            "split_sha256": data.description["split_sha256"],
            "training_sha256": data.description["training_sha256"],
            "seed": str(recipe.fit.seed),
            **versions(),
        },
    )
