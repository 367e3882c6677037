"""The batches of a training step: which images they hold, and how these are augmented."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor

from cxrloc.datasets.single_label import single_label
from cxrloc.datasets.stratification import stratified
from cxrloc.images.augment import DRAWS, Augmentation, augment, centre_crop, cut_out
from cxrloc.images.normalised import normalised
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.types import CxrlocError, Record


class Batch(NamedTuple):
    """One forward pass: the inputs of the network, and labels [batch finding], NaN if unknown."""

    inputs: tuple[Tensor, ...]
    labels: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images to learn from or to validate on.

    Attributes:
        pixels: grey levels of all cached images (`image_cache.CachedImages`).
        slots: where each image of the set is among them; a pair of views has two.
        labels: 1, 0, -1 (uncertain) or NaN (not mentioned).
        values: what the network reads beside each image; None: nothing.
    """

    pixels: Shaped[np.ndarray, "slot row col"]
    slots: Integer[np.ndarray, "image view"]
    labels: Float[np.ndarray, "image finding"]
    values: Float[Tensor, "image value"] | None = None


def label_matrix(
    records: Sequence[Record], findings: Sequence[str], not_mentioned: float = 0.0
) -> Float[np.ndarray, "image finding"]:
    """Labels in CheXpert's coding: 1, 0, -1 (uncertain).

    Args:
        records: of the images.
        findings: one column each.
        not_mentioned: what stands where a record says nothing: 0, or NaN for "unknown", which is
            neither learned from nor scored.

    >>> from cxrloc.types import Label
    >>> record = Record("a", "1", "a", None, labels={"Mass": Label.UNCERTAIN})
    >>> label_matrix([record], ["Mass", "Nodule"])
    array([[-1.,  0.]], dtype=float32)
    """
    rows = [[record.labels.get(name, not_mentioned) for name in findings] for record in records]
    return np.array(rows, dtype=np.float32).reshape(len(records), len(findings))


def shuffled(
    labels: Bool[np.ndarray, "image finding"], batch_size: int, seed: int, first_step: int = 0
) -> Iterator[list[int]]:
    """Endless batches of indices, a new order each epoch.

    Those that fill no whole batch at an epoch's end are left out of that epoch.

    >>> batches = shuffled(np.zeros((4, 1), dtype=bool), batch_size=2, seed=0)
    >>> sorted(next(batches) + next(batches))
    [0, 1, 2, 3]
    """

    def order(rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(len(labels))

    return _by_epoch(order, len(labels) // batch_size, batch_size, seed, first_step)


def half_normals(
    labels: Bool[np.ndarray, "image finding"], batch_size: int, seed: int, first_step: int = 0
) -> Iterator[list[int]]:
    """Endless batches of indices: each epoch all images with a finding and half of the others.

    Which half, and the order, are drawn anew each epoch. What fills no whole batch is left out.

    Raises:
        CxrlocError: an epoch is less than a batch.

    >>> batches = half_normals(np.array([[True]] + 4 * [[False]]), batch_size=3, seed=0)
    >>> [0 in next(batches) for _ in range(3)]
    [True, True, True]
    """
    found = labels.any(axis=1)
    with_finding, without = np.flatnonzero(found), np.flatnonzero(~found)
    kept = without.size // 2
    per_epoch = (with_finding.size + kept) // batch_size
    if not per_epoch:
        raise CxrlocError(
            f"{with_finding.size} images with a finding and half of the {without.size} others "
            f"do not fill a batch of {batch_size}"
        )

    def order(rng: np.random.Generator) -> np.ndarray:
        half = rng.choice(without, size=kept, replace=False)
        return rng.permutation(np.concatenate([with_finding, half]))

    return _by_epoch(order, per_epoch, batch_size, seed, first_step)


Sampler = Callable[[Bool[np.ndarray, "image finding"], int, int, int], Iterator[list[int]]]

SAMPLERS: dict[str, Sampler] = {
    "shuffled": shuffled,
    "half_normals": half_normals,
    "stratified": stratified,
    "single_label": single_label,
}
"""Orders by name: (positive labels, batch size, seed, first step) -> endless batches of indices.

The indices of a step depend on nothing but the arguments, whatever the first step is.
"""


def _by_epoch(
    order: Callable[[np.random.Generator], np.ndarray],
    per_epoch: int,
    batch_size: int,
    seed: int,
    first_step: int,
) -> Iterator[list[int]]:
    """Yields batches; each epoch has its own order, which depends on seed and epoch alone."""
    epoch, start = divmod(first_step, per_epoch)
    while True:
        rows = order(np.random.default_rng([seed, epoch])).tolist()
        for batch in range(start, per_epoch):
            yield rows[batch * batch_size : (batch + 1) * batch_size]
        epoch, start = epoch + 1, 0


Policy = Callable[[Float[Tensor, "image finding"], torch.Generator], Float[Tensor, "image finding"]]
"""What uncertain labels teach: (labels, generator) -> labels (`training.uncertainty.POLICIES`)."""


@dataclass(frozen=True, slots=True)
class Feeding:
    """How images become the forward passes of a step.

    Attributes:
        preprocessing: mean and standard deviation per channel.
        augmentation: random changes.
        policy: what uncertain labels teach.
        device: where the tensors go.
        passes: forward passes that share a step's images.
        share: of each pass, this process's (rank, number of processes).
        seed: of every draw; those of a step depend on it and on the step alone.
    """

    preprocessing: Preprocessing
    augmentation: Augmentation
    policy: Policy
    device: torch.device
    passes: int = 1
    share: tuple[int, int] = (0, 1)
    seed: int = 0


def training_step(
    images: ImageSet, rows: Sequence[int], step: int, feeding: Feeding
) -> list[Batch]:
    """The forward passes of one step: this process's share of each.

    The images of a pass, their changes and their labels are the same however many processes
    share it.
    """
    chosen = np.asarray(rows)
    # A key of its own: the order of an epoch begins at [seed, epoch].
    rng = np.random.default_rng(np.random.SeedSequence(feeding.seed, spawn_key=(step,)))
    draws = rng.random((len(chosen), DRAWS))
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    cuts = rng.random((len(chosen), 4))
    labels = feeding.policy(torch.from_numpy(images.labels[chosen]), generator)
    size = len(chosen) // feeding.passes
    first, processes = feeding.share

    def changed(places: Integer[np.ndarray, " place"]) -> Tensor:
        grey = grey_levels(images, chosen[places], feeding.device)
        return augment(grey, draws[places], feeding.augmentation, feeding.preprocessing.size)

    batches = []
    for start in range(0, len(chosen), size):
        own = np.arange(start, start + size)[first::processes]
        inputs, own_labels = changed(own), labels[own].to(feeding.device)
        if feeding.augmentation.cutmix:
            # Everyone's partner is the image before, in the same pass.
            partners = start + (own - start - 1) % size
            cut = cut_out(cuts[own], feeding.augmentation.cutmix, inputs.shape[-1])
            shares = cut[:, None].to(inputs)
            inputs = torch.lerp(inputs, changed(partners), shares)
            other_labels = labels[partners].to(feeding.device)
            own_labels = torch.lerp(own_labels, other_labels, shares.mean(dim=(2, 3)))
        given = network_inputs(images, chosen[own], inputs, feeding)
        batches.append(Batch(given, own_labels))
    return batches


def evaluation_inputs(
    images: ImageSet, rows: Integer[np.ndarray, " image"], feeding: Feeding
) -> tuple[Tensor, ...]:
    """Some images as the network takes them, unchanged but for the centre crop of larger ones."""
    grey = centre_crop(grey_levels(images, rows, feeding.device), feeding.preprocessing.size)
    return network_inputs(images, rows, grey, feeding)


def network_inputs(
    images: ImageSet,
    rows: Integer[np.ndarray, " image"],
    grey: Float[Tensor, "image view row col"],
    feeding: Feeding,
) -> tuple[Tensor, ...]:
    """The network's inputs: normalised grey levels, and the values that it reads beside them."""
    inputs = normalised(grey, feeding.preprocessing)
    if images.values is None:
        return (inputs,)
    return inputs, images.values[torch.from_numpy(rows)].to(feeding.device)


def grey_levels(
    images: ImageSet, rows: Integer[np.ndarray, " image"], device: torch.device
) -> Float[Tensor, "image view row col"]:
    """Some images of a set, in [0, 1].

    They are sent as they are stored, in 8 or 16 bits, and become floats on the device.
    """
    stored = images.pixels[images.slots[rows]]
    sent = torch.from_numpy(stored)
    if device.type == "cuda":
        # From pinned memory the copy runs beside the computing of the step before.
        sent = sent.pin_memory().to(device, non_blocking=True)
    return sent.to(device).float() / np.iinfo(stored.dtype).max
