"""Mini-batches of images with exactly one label, with balanced classes."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int

from cxrloc.errors import CxrlocError

LEAST_IMAGES = 380
LARGEST_SHARE = 0.219
"""Dong et al. 2017, section IV.B: fewest samples of a class, largest share of the largest class."""


def single_label(
    labels: Bool[np.ndarray, "image finding"], batch_size: int, seed: int, first_step: int = 0
) -> Iterator[list[int]]:
    """Endless batches of indices of images with exactly one label, with balanced classes.

    Dong et al. 2017, section IV.B: small classes get at least 380 samples, so each of their images
    is used several times (random crops make the samples differ), and the largest class is reduced
    to 21.9 %. Images with no label or with several labels are left out. The indices of a step
    depend only on the arguments. Indices that do not fill a whole batch are left out of an epoch;
    they are drawn again for each epoch.

    Departs: the paper thins the normal images, its largest class; here it is whichever is largest.

    Args:
        labels: where a finding is positive.
        batch_size: images per batch.
        seed: of the order.
        first_step: number of the first batch to give.

    Raises:
        CxrlocError: no image has exactly one label.

    >>> labels = np.array([[True, False], [True, True], [False, True]])
    >>> set(next(single_label(labels, batch_size=99, seed=0)))
    {0, 2}
    """
    class_of = np.where(labels.sum(axis=1) == 1, labels.argmax(axis=1), -1)
    samples = samples_per_class(np.bincount(class_of[class_of >= 0], minlength=labels.shape[1]))
    per_epoch = int(samples.sum()) // batch_size
    if not per_epoch:
        raise CxrlocError("no image has exactly one label: nothing to sample by single_label")
    epoch, start = divmod(first_step, per_epoch)
    while True:
        generator = np.random.default_rng([seed, epoch])
        drawn = [
            np.resize(generator.permutation(np.flatnonzero(class_of == each)), count)
            for each, count in enumerate(samples)
            if count
        ]
        order = generator.permutation(np.concatenate(drawn)).tolist()
        for batch in range(start, per_epoch):
            yield order[batch * batch_size : (batch + 1) * batch_size]
        epoch, start = epoch + 1, 0


def samples_per_class(images: Int[np.ndarray, " finding"]) -> Int[np.ndarray, " finding"]:
    """How many samples an epoch takes of each class.

    Args:
        images: number of images that have only this label. A class without images gets no sample.

    >>> samples_per_class(np.array([8000, 900, 20, 0]))  # 359 is 21.9 % of 359 + 900 + 380
    array([359, 900, 380,   0])
    """
    samples = np.where(images > 0, np.maximum(images, LEAST_IMAGES), 0)
    most = int(images.argmax())
    others = samples.sum() - samples[most]
    if others:
        samples[most] = min(samples[most], round(others * LARGEST_SHARE / (1 - LARGEST_SHARE)))
    return samples
