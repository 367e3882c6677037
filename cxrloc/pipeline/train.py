"""`cxrloc train`: a recipe and a data set in; a model with its card and its history out."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from cxrloc.datasets.image_cache import Watch
from cxrloc.datasets.splits import LEAKS
from cxrloc.inference.batches import choose_device
from cxrloc.models.networks import build_network
from cxrloc.models.weights import ModelCard, hashed_patient, write_model
from cxrloc.pipeline.classify_inputs import source_of_labels
from cxrloc.pipeline.outputs import make_folder
from cxrloc.pipeline.run_card import versions
from cxrloc.pipeline.train_stages import Trained, train_stages
from cxrloc.pipeline.training_data import TrainingData, check_folder, training_data
from cxrloc.recipe import Recipe, read_recipe, recipe_of_text, recipe_text
from cxrloc.training.checkpoints import refuse_to_overwrite
from cxrloc.training.distributed import from_first, processes, rank, world_size
from cxrloc.training.first_weights import earlier_models, fill, weights_sha256
from cxrloc.training.fit import Moment, Run
from cxrloc.types import UsageError


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What `train` does beside the recipe.

    Attributes:
        recipe: name or file.
        data: folder of the data set; None for phantoms.
        labels: labels out of reports, in place of the data set's own.
        start: first weights, in place of the recipe's; empty: the recipe's.
        fold: which of the recipe's folds, from 0; None: the one that it names.
        resume: go on from the last checkpoint, if there is one.
        device: "auto", "cpu", "cuda", ...
        cache: folder that keeps decoded images, for any number of runs.
    """

    recipe: str
    data: Path | None = None
    labels: Path | None = None
    start: str = ""
    fold: int | None = None
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


def chosen_recipe(options: TrainOptions) -> tuple[str, Recipe]:
    """The recipe with the fold and first weights that were asked for: its text, and its values.

    Raises:
        UsageError: there is no such recipe, or no such fold of it.
        CxrlocError: it is no recipe.
    """
    text = _recipe_text(options)
    recipe = recipe_of_text(text, options.recipe)
    return text, replace(recipe, start=options.start or recipe.start)


def check_before_data(recipe: Recipe, options: TrainOptions) -> None:
    """Refuse at once what else would be refused once all images are decoded.

    Raises:
        UsageError: a folder of data is needed and not given, or the other way round.
        CxrlocError: there is no such network, or its first weights cannot be had or do not fit.
    """
    check_folder(recipe, options.data)
    with torch.random.fork_rng([]):
        fill(build_network(recipe.network), recipe.start)


def train(out: Path, options: TrainOptions, watch: TrainWatch) -> TrainResult:
    """Train by a recipe: `out` gets model.safetensors, metrics.csv, last.ckpt and run.json.

    Under `torchrun` every process calls it; the first writes the files.

    Raises:
        UsageError: an option names nothing that exists, or `out` cannot be written.
        CxrlocError: the recipe or the data cannot be used.
    """
    started = time.perf_counter()
    text, recipe = chosen_recipe(options)
    make_folder(out)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(os.cpu_count() or 1)
    with processes(choose_device(options.device)) as device:
        from_first(partial(refuse_to_overwrite, out / "last.ckpt", options.resume))
        check_before_data(recipe, options)
        data = training_data(recipe, options.data, options.labels, options.cache, watch.decoding)
        recipe = replace(recipe, preprocessing=data.preprocessing)
        watch.data(data)
        identity = {"recipe": asdict(recipe), **data.description}
        run = Run(out, options.resume, identity, watch.moment)
        trained = train_stages(recipe, data, device, run)
        path = out / "model.safetensors"
        if rank() == 0:
            card = _card(recipe, text, data, trained)
            write_model(path, trained.network, recipe.preprocessing, card)
        description = {
            "versions": versions(),
            "recipe": asdict(recipe),
            "device": str(device),
            "processes": world_size(),
            LEAKS: data.parts.leaking,
            "data": data.description,
            "labels_from": source_of_labels(options.data, options.labels),
            "failed_images": dict(data.failures),
            "images_in_no_official_list": data.unlisted,
            "warnings": data.warnings,
            "validation": trained.scores,
            "seconds": round(time.perf_counter() - started, 1),
        }
        if rank() == 0:
            (out / "run.json").write_text(json.dumps(description, indent=1) + "\n")
    return TrainResult(description, data.failures, path)


def _recipe_text(options: TrainOptions) -> str:
    """The recipe, with the fold and first weights that were asked for; folders stay unsaid."""
    changes: dict[str, Any] = {}
    if options.start:
        changes["start"] = " + ".join(Path(name).name for name in options.start.split(" + "))
    if options.fold is None:
        return recipe_text(options.recipe, changes)
    folds = read_recipe(options.recipe).data.split.folds
    if not folds:
        raise UsageError(
            f"--fold {options.fold}: the recipe {options.recipe} has no folds; give it "
            "`folds` in [data.split]"
        )
    if not 0 <= options.fold < folds:
        raise UsageError(f"--fold {options.fold}: {options.recipe} has folds 0 to {folds - 1}")
    changes["data"] = {"split": {"fold": options.fold}}
    return recipe_text(options.recipe, changes)


def _card(recipe: Recipe, text: str, data: TrainingData, trained: Trained) -> ModelCard:
    """Who trained or chose it includes who did so for the model that it started from."""
    records, split = data.parts.train, recipe.data.split
    before = [model.card for model in earlier_models(recipe.start)]
    patients = {hashed_patient(record.patient_id) for record in records}
    judges = {hashed_patient(record.patient_id) for record in data.parts.validation}
    seen = {*data.may_have_seen, *(name for card in before for name in card.may_have_seen)}
    origin = " and ".join(f"{card.name} ({card.trained_on})" for card in before)
    name = f"{recipe.title}, fold {split.fold}" if split.folds else recipe.title
    return ModelCard(
        name=name + (" (split by image: patients leak)" if data.parts.leaking else ""),
        trained_on=f"{len(records)} {data.name}" + (f", started from {origin}" if before else ""),
        findings=recipe.network.findings,
        views=tuple(sorted({record.view.value for record in records if record.view})),
        operating_points=trained.operating_points,
        auc={finding: trained.scores[finding] for finding in trained.operating_points},
        probabilities=trained.probabilities,
        training_patients=tuple(sorted(patients.union(*(c.training_patients for c in before)))),
        validation_patients=tuple(sorted(judges.union(*(c.validation_patients for c in before)))),
        training_images=len(records) + sum(c.training_images for c in before),
        limits=_limits(recipe, data),
        recipe=text,
        may_have_seen=tuple(sorted(seen)),
        provenance={
            "split_sha256": data.description["split_sha256"],
            "training_sha256": data.description["training_sha256"],
            "seed": str(recipe.fit.seed),
            "start": " + ".join(card.name for card in before) or Path(recipe.start).name,
            "start_sha256": weights_sha256(recipe.start),
            **versions(),
        },
    )


def _limits(recipe: Recipe, data: TrainingData) -> str:
    limits = ["Research only: not for diagnosis."]
    if recipe.data.phantom is not None:
        limits.append("Trained on synthetic radiographs: must not be used on patients.")
    if data.parts.leaking:
        limits.append("Split by image: patients leak from training into validation and test.")
    if recipe.data.shuffle_labels:
        limits.append("Trained on shuffled labels: a control that has learned nothing.")
    return " ".join(limits)
