"""`cxrloc train`: trains a model by a recipe, and writes it with its card and its history."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from cxrloc.datasets import label_origin
from cxrloc.datasets.image_cache import Watch
from cxrloc.datasets.splits import LEAKS
from cxrloc.devices import choose_device
from cxrloc.errors import CxrlocError
from cxrloc.files.installed import versions
from cxrloc.files.run_folder import held_folder
from cxrloc.files.whole import write_json
from cxrloc.inference.image_sets import DataOptions, own_data
from cxrloc.models.networks import build_network
from cxrloc.models.weights import write_model
from cxrloc.phantom import NOT_OF_PATIENTS
from cxrloc.recipe import Choices, chosen_recipe
from cxrloc.training.box_thresholds import box_thresholds
from cxrloc.training.checkpoints import refuse_to_overwrite
from cxrloc.training.data import TrainingData, training_data
from cxrloc.training.distributed import (
    from_first,
    own_device,
    planned_world_size,
    processes,
    rank,
    world_size,
)
from cxrloc.training.first_weights import fill
from cxrloc.training.fit import Moment, Run
from cxrloc.training.hardware import computing, precision_warnings
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.records import check_folder
from cxrloc.training.stages import train_stages
from cxrloc.training.trained_card import patient_list_in_words, trained_card, training_identity


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The user's choices for `train` and `lr-range`, except the place of the results.

    Attributes:
        recipe: name or file.
        data: folder of the data set; None for phantoms.
        choices: what the user changes in the recipe. How many processes share the work, and whether
            the data are the user's own, is found out when the training starts.
        cache: folder that keeps decoded images, for any number of runs.
        device: "auto", "cpu", "cuda", ...
        deterministic: the same run on the same device gives the same weights, to the bit.
        resume: continue from the last checkpoint, if there is one.
        images: what the user says about the data: labels out of reports in place of the data set's
            own, or tables of labels and boxes of a plain folder of images.
    """

    recipe: str
    data: Path | None = None
    choices: Choices = field(default_factory=Choices)
    cache: Path = Path("cxrloc-cache")
    device: str = "auto"
    deterministic: bool = False
    resume: bool = False
    images: DataOptions = field(default_factory=DataOptions)


class TrainWatch(NamedTuple):
    """Functions that are called as training goes on.

    Attributes:
        decoding: wraps the iterator of the images that have to be decoded.
        data: called once with the data, before training.
        moment: called about once a second.
    """

    decoding: Watch
    data: Callable[[TrainingData], None]
    moment: Callable[[Moment], None]


class TrainResult(NamedTuple):
    """The results of a training, beside its files.

    Attributes:
        run: the content of run.json.
        failures: images that could not be read, and why.
        model: the file of the model.
        warnings: what went wrong after training.
    """

    run: dict[str, Any]
    failures: Sequence[tuple[str, str]]
    model: Path
    warnings: Sequence[str]


def recipe_of(options: TrainOptions) -> tuple[str, Recipe]:
    """Text and values of the recipe that the user chose, see `chosen_recipe`."""
    data = options.data
    own_tables = data is not None and data.exists() and own_data(data, options.images) is not None
    choices = replace(options.choices, processes=planned_world_size(), own_data=own_tables)
    return chosen_recipe(options.recipe, choices)


def check_before_data(recipe: Recipe, options: TrainOptions) -> None:
    """Refuse a folder or first weights that cannot be used, before any image is decoded.

    Raises:
        UsageError: a folder of data is needed and not given, or given and not needed.
        CxrlocError: there is no such network, or its first weights are not available or do not
            fit.
    """
    check_folder(recipe, options.data)
    with torch.random.fork_rng([]):
        fill(build_network(recipe.network), recipe.start)


def train(out: Path, options: TrainOptions, watch: TrainWatch) -> TrainResult:
    """Train by a recipe: `out` gets model.safetensors, metrics.csv, last.ckpt and run.json.

    Under `torchrun`, every process calls this function, and the first process writes the files.

    Raises:
        UsageError: an option names nothing that exists, or `out` cannot be written, or another run
            is writing into it.
        CxrlocError: the recipe or the data cannot be used.
    """
    started = time.perf_counter()
    text, recipe = recipe_of(options)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(os.cpu_count() or 1)
    device_name = choose_device(own_device(options.device))
    with processes(device_name) as device, ExitStack() as held:
        from_first(partial(held.enter_context, held_folder(out)))
        from_first(partial(refuse_to_overwrite, out / "last.ckpt", options.resume))
        check_before_data(recipe, options)
        data = training_data(recipe, options.data, options.cache, options.images, watch.decoding)
        recipe = replace(recipe, preprocessing=data.preprocessing)
        slow = precision_warnings(recipe.fit.precision, device)
        data = replace(data, warnings=(*data.warnings, *slow))
        watch.data(data)
        note = NOT_OF_PATIENTS if data.description["synthetic"] else ""
        run = Run(out, options.resume, training_identity(recipe, data), watch.moment, note)
        with computing(recipe.fit.hardware, device, options.deterministic):
            trained = train_stages(recipe, data, device, run)
        description = {
            "versions": versions(),
            "recipe": asdict(recipe),
            "device": str(device),
            "processes": world_size(),
            "deterministic": options.deterministic,
            LEAKS: data.parts.leaking,
            "data": data.description,
            "labels_from": label_origin(options.data, options.images.labels),
            "failed_images": dict(data.failures),
            "images_in_no_official_list": data.unlisted,
            "images_of_boxed_patients_left_out": data.left_out,
            "warnings": data.warnings,
            "validation": trained.scores,
            "seconds": round(time.perf_counter() - started, 1),
        }
        path = out / "model.safetensors"
        late: tuple[str, ...] = ()
        if rank() == 0:
            try:
                levels = box_thresholds(trained.network, data, recipe, device)
            except CxrlocError as error:  # the trained model must not be lost
                levels = {}, ""
                late = (f"no thresholds were chosen for the box rule one-box: {error}",)
                description["warnings"] = (*data.warnings, *late)
            card = trained_card(
                recipe, text, data, trained, versions(), levels, options.images.data_set
            )
            typical = trained.distance[0] if trained.distance else None
            write_model(path, trained.network, recipe.preprocessing, card, typical)
            description["patients"] = patient_list_in_words(card, path)
            write_json(out / "run.json", description)
    return TrainResult(description, data.failures, path, late)
