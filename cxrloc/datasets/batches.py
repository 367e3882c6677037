"""The batches of a training step: which images they hold, and how these are augmented."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, Shaped
from torch import Tensor

from cxrloc.datasets.records import judges
from cxrloc.datasets.single_label import single_label
from cxrloc.datasets.stratification import stratified
from cxrloc.devices import sent
from cxrloc.errors import CxrlocError
from cxrloc.images.augment import DRAWS, Augmentation, augment, centre_crop, cut_out
from cxrloc.images.normalised import normalised
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.types import Record


class Batch(NamedTuple):
    """One forward pass: the inputs of the network, and labels [batch finding], NaN if unknown."""

    inputs: tuple[Tensor, ...]
    labels: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images to learn from or to validate on.

    Attributes:
        pixels: grey levels of all cached images (`image_cache.CachedImages`).
        slots: index into `pixels` of each image of the set; a pair of views has two indices.
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
        not_mentioned: value where a record does not mention a finding: 0, or NaN for "unknown".
            It is unknown anyway where the record does not judge the finding (`records.judges`).
            Unknown labels are neither used for training nor scored.

    >>> from cxrloc.types import Label
    >>> record = Record("a", "1", "a", None, labels={"Mass": Label.UNCERTAIN})
    >>> label_matrix([record], ["Mass", "Nodule"])
    array([[-1.,  0.]], dtype=float32)
    """
    unknown = float("nan")
    rows = [
        [
            record.labels.get(name, not_mentioned if judges(record, name) else unknown)
            for name in findings
        ]
        for record in records
    ]
    return np.array(rows, dtype=np.float32).reshape(len(records), len(findings))


def shuffled(
    labels: Bool[np.ndarray, "image finding"], batch_size: int, seed: int, first_step: int = 0
) -> Iterator[list[int]]:
    """Endless batches of indices, in a new order each epoch.

    Indices at the end of an epoch that do not fill a whole batch are left out of that epoch.

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
    """Endless batches of indices: each epoch has all images with a finding, and half of the others.

    The half and the order are drawn again each epoch. Images that do not fill a whole batch are
    left out of that epoch.

    Raises:
        CxrlocError: an epoch has fewer images than one batch.

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
"""Samplers by name: (positive labels, batch size, seed, first step) -> endless batches of indices.

The indices of a step depend only on the labels, the batch size and the seed, not on the first
step, so a training run that is resumed at any step sees the same batches.
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
"""Replaces uncertain labels: (labels, generator) -> labels (`training.uncertainty.POLICIES`)."""


@dataclass(frozen=True, slots=True)
class Feeding:
    """How images become the forward passes of a step.

    Attributes:
        preprocessing: mean and standard deviation per channel.
        augmentation: random changes.
        policy: replaces uncertain labels by the labels to train on.
        device: where the tensors go.
        passes: number of forward passes over which a step's images are divided.
        share: (rank of this process, number of processes) that share each pass.
        seed: of every draw; the draws of a step depend on the seed and the step alone.
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
    """The batches of one step, one for each forward pass, with this process's share of the images.

    The images of a pass, their augmentation and their labels do not depend on the number of
    processes that share the pass.
    """
    chosen = np.asarray(rows)
    # The spawn key keeps this generator independent of the one that orders an epoch, which is
    # seeded by [seed, epoch].
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
        own_places = np.arange(start, start + size)[first::processes]
        inputs, own_labels = changed(own_places), sent(labels[own_places], feeding.device)
        if feeding.augmentation.cutmix:
            # The CutMix partner of each image is the image before it in the same pass.
            partners = start + (own_places - start - 1) % size
            cut = cut_out(cuts[own_places], feeding.augmentation.cutmix, inputs.shape[-1])
            shares = sent(cut[:, None], feeding.device).to(inputs.dtype)
            inputs = torch.lerp(inputs, changed(partners), shares)
            other_labels = sent(labels[partners], feeding.device)
            own_labels = torch.lerp(own_labels, other_labels, shares.mean(dim=(2, 3)))
        network_input = network_inputs(images, chosen[own_places], inputs, feeding)
        batches.append(Batch(network_input, own_labels))
    return batches


def evaluation_inputs(
    images: ImageSet, rows: Integer[np.ndarray, " image"], feeding: Feeding
) -> tuple[Tensor, ...]:
    """The network's inputs for some images: larger ones are centre-cropped, none is augmented."""
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
    return inputs, sent(images.values[torch.from_numpy(rows)], feeding.device)


def grey_levels(
    images: ImageSet, rows: Integer[np.ndarray, " image"], device: torch.device
) -> Float[Tensor, "image view row col"]:
    """Grey levels of some images of a set, in [0, 1].

    The stored values, of 8 or 16 bits, are sent to the device and become floats there, because
    they are smaller to copy.
    """
    stored = images.pixels[images.slots[rows]]
    return sent(stored, device).float() / np.iinfo(stored.dtype).max
