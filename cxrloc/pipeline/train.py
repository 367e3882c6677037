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
from cxrloc.models.weights import write_model
from cxrloc.pipeline.classify_inputs import source_of_labels
from cxrloc.pipeline.outputs import make_folder
from cxrloc.pipeline.run_card import versions
from cxrloc.recipe import read_recipe, recipe_of_text, recipe_text
from cxrloc.training.checkpoints import refuse_to_overwrite
from cxrloc.training.data import TrainingData, training_data
from cxrloc.training.distributed import from_first, processes, rank, world_size
from cxrloc.training.first_weights import fill
from cxrloc.training.fit import Moment, Run
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.records import check_folder
from cxrloc.training.stages import train_stages
from cxrloc.training.trained_card import trained_card
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
            card = trained_card(recipe, text, data, trained, versions())
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
