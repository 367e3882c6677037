"""Prepares the forward passes of a training stage from images and labels."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice

import torch
from torch import Tensor

from cxrloc.datasets.batches import SAMPLERS, Batch, Feeding, ImageSet, training_step
from cxrloc.errors import CxrlocError
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.threads import map_in_threads
from cxrloc.training.conditional import CONDITIONS, learned_images
from cxrloc.training.distributed import rank, world_size
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.uncertainty import POLICIES

READ_AHEAD = 2
"""Number of threads that prepare the next steps while a GPU computes."""


def feeding_for(recipe: Recipe, config: FitConfig, condition: str, device: torch.device) -> Feeding:
    """The settings that define how images and labels of a stage become forward passes.

    Raises:
        CxrlocError: the processes cannot share the batches evenly.
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
    """The labels that a stage learns, after the uncertainty policy and then the condition."""
    labels = POLICIES[recipe.data.uncertain](labels, generator)
    if not condition:
        return labels
    return CONDITIONS[condition](labels, recipe.network.findings, CHEXPERT_PARENTS)


def images_learned(images: ImageSet, recipe: Recipe, condition: str) -> ImageSet:
    """The images that a stage learns from; a conditional stage skips images without any label.

    Raises:
        CxrlocError: a conditional stage has no image to learn from.
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
    """The forward passes of all steps from `first_step` on; on a GPU they are prepared ahead."""
    sampler = SAMPLERS[config.sampling]
    order = sampler(images.labels == 1, config.batch_size, config.seed, first_step)
    steps = islice(zip(count(first_step), order, strict=False), config.steps - first_step)

    def prepare(step_and_rows: tuple[int, list[int]]) -> list[Batch]:
        step, rows = step_and_rows
        return training_step(images, rows, step, feeding)

    if feeding.device.type == "cpu":
        # Threads that prepare steps would slow the network down by a third (measured): each of
        # them starts a team of OpenMP threads that waits by spinning.
        return map(prepare, steps)
    return map_in_threads(prepare, steps, READ_AHEAD)
