"""Batches for every network: files are read ahead while it computes, and failures are named."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.hierarchy import unconditional
from cxrloc.inference.prepared import (
    Failure,
    Image,
    InferenceSettings,
    Prepared,
    check_names,
    failure_of,
    prepare_image,
)
from cxrloc.inference.threads import map_in_threads
from cxrloc.inference.versions import VERSIONS, Version, make_versions
from cxrloc.models.context import bound
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.model import Model
from cxrloc.models.own_network import check_own_network
from cxrloc.models.probabilities import Probabilities
from cxrloc.types import CxrlocError, UsageError

T = TypeVar("T")


def choose_device(name: str) -> torch.device:
    """The device with this name; "auto" takes a GPU if there is one.

    Raises:
        UsageError: the device is unknown, or not in this machine.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name}: not usable on this machine ({reason})") from error
    return device


def in_batches(
    models: Sequence[Model],
    images: Iterable[Image],
    settings: InferenceSettings,
    compute: Callable[[Sequence[Prepared]], Sequence[T]],
) -> Iterator[T | Failure]:
    """Yields the results of `compute` on batches, one per image, in the order of the images.

    An image that cannot be read gives a `Failure`; the others go on. At most a batch and twice
    `settings.workers` images are held in memory at a time. The user's own networks are checked at
    the first batch (`check_own_network`).

    Raises:
        UsageError: the versions or the device do not exist.
        CxrlocError: the user's own network does not give the outputs that are required.
    """
    run = batch_function(models, settings, compute)
    prepared = map_in_threads(partial(prepare_image, models=models), images, settings.workers)
    while chunk := list(islice(prepared, images_together(settings))):
        yield from run(chunk)


def images_together(settings: InferenceSettings) -> int:
    """Number of images in one forward pass.

    On a CPU, the last bits of a result depend on how many images are computed together, and batches
    are no faster. With one image at a time, results depend neither on the batch size nor on where
    an interrupted run continues.
    """
    return 1 if choose_device(settings.device).type == "cpu" else settings.batch_size


def batch_function(
    models: Sequence[Model],
    settings: InferenceSettings,
    compute: Callable[[Sequence[Prepared]], Sequence[T]],
) -> Callable[[Sequence[Prepared | Failure]], list[T | Failure]]:
    """The function that gives the results of a batch of prepared images, one per image.

    The models are moved to the device of the settings.

    Raises:
        UsageError: the versions or the device do not exist.
    """
    check_names("--versions", [settings.versions], VERSIONS)
    device = choose_device(settings.device)
    for model in models:
        model.network.to(device).eval()
    unchecked = [index for index, model in enumerate(models) if model.config is None]

    def run(chunk: Sequence[Prepared | Failure]) -> list[T | Failure]:
        batch = [item for item in chunk if isinstance(item, Prepared)]
        while unchecked and batch:
            index = unchecked.pop()
            inputs = network_inputs(models[index], batch, index)
            check_own_network(models[index], inputs, [item.radiograph for item in batch])
        done = iter(_computed(batch, compute))
        return [item if isinstance(item, Failure) else next(done) for item in chunk]

    return run


def _computed(
    batch: Sequence[Prepared], compute: Callable[[Sequence[Prepared]], Sequence[T]]
) -> list[T | Failure]:
    """The results of a batch; if it fails, those of its images one by one, to find the cause.

    Raises:
        CxrlocError: `compute` refuses the model or the options, whatever the image.
    """
    if not batch:
        return []
    try:
        return [*compute(batch)]
    except CxrlocError:
        raise
    except Exception as error:
        if len(batch) == 1:
            return [failure_of(batch[0].image_id, error)]
        return [result for item in batch for result in _computed([item], compute)]


def network_for(model: Model, batch: Sequence[Prepared]) -> LocalizingNetwork:
    """A model's network, bound to the further inputs of one batch (age, sex, view or partner)."""
    return bound(model.network, [item.radiograph for item in batch])


def network_inputs(
    model: Model, batch: Sequence[Prepared], index: int
) -> Float[Tensor, "batch channel row col"]:
    """A batch's inputs of model number `index`, on the device of its weights."""
    device = next(model.network.parameters()).device
    return torch.from_numpy(np.stack([item.inputs[index][0] for item in batch])).to(device)


def probabilities_of(model: Model, settings: InferenceSettings) -> Probabilities:
    """The function that turns a model's logits into probabilities.

    With `settings.products`, probabilities are multiplied along the tree. All ancestors that the
    model knows are used, even if they are not asked for or if other models lack them.
    """
    if not settings.products:
        return model.probabilities

    def products(logits: Tensor) -> Tensor:
        conditional = model.probabilities(logits)
        along = unconditional(conditional.cpu().numpy(), model.card.findings, CHEXPERT_PARENTS)
        return torch.from_numpy(along).to(conditional.device)

    return products


def versions_of(
    images: Float[Tensor, "batch channel row col"], model: Model, settings: InferenceSettings
) -> Iterator[Version]:
    """The versions of the images whose outputs are averaged (`versions.VERSIONS`)."""
    affines = VERSIONS[settings.versions](images.shape[-2], images.shape[-1], settings.seed)
    return make_versions(images, affines, model.preprocessing)
