"""Mini-batches that keep the prevalence of every label."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int


def stratified(
    labels: Bool[np.ndarray, "image finding"], batch_size: int, seed: int, first_step: int = 0
) -> Iterator[list[int]]:
    """Endless batches of indices in which each label is as frequent as in the whole data set.

    Rubin et al. 2018, section 6 ("each mini-batch maintained overall class prevalence"). Open:
    the paper does not say how; here by `iterative_stratification`. Batches are formed again each
    epoch. The indices of a step depend only on the arguments. Indices that do not fill a whole
    batch are left out of an epoch; they are drawn again for each epoch.

    Args:
        labels: where a finding is positive.
        batch_size: images per batch.
        seed: of the order.
        first_step: number of the first batch to give.

    >>> labels = np.array([[True], [False], [True], [False]])
    >>> batches = stratified(labels, batch_size=2, seed=0)
    >>> [int(labels[next(batches)].sum()) for _ in range(6)]
    [1, 1, 1, 1, 1, 1]
    """
    per_epoch = len(labels) // batch_size
    step = first_step
    while True:
        epoch, start = divmod(step, per_epoch)
        generator = np.random.default_rng([seed, epoch])
        kept = generator.permutation(len(labels))[: per_epoch * batch_size]
        batch_of = iterative_stratification(labels[kept], batch_size, generator)
        batches = kept[np.argsort(batch_of, kind="stable")].reshape(per_epoch, batch_size)
        for batch in batches[start:]:
            yield batch.tolist()
            step += 1


def iterative_stratification(
    labels: Bool[np.ndarray, "image finding"], batch_size: int, generator: np.random.Generator
) -> Int[np.ndarray, " image"]:
    """The number of the batch of each image; batches keep the prevalence of every label.

    Sechidis et al. 2011, On the Stratification of Multi-Label Data, Algorithm 1. Each batch should
    get its share of the images of each label. The algorithm repeatedly takes the label with the
    fewest remaining images. It gives each of these images to the batch that still needs most images
    of this label; ties are broken by the number of free places, and then at random. At last the
    images without labels fill the free places.

    Args:
        labels: of images in a random order, a whole number of batches.
        batch_size: places in each batch, all of which are filled.
        generator: breaks ties.

    >>> labels = np.array([[True], [True], [False], [False]])
    >>> batch = iterative_stratification(labels, 2, np.random.default_rng(0))
    >>> sorted(batch[:2].tolist()), sorted(batch[2:].tolist())  # one of each kind in both
    ([0, 1], [0, 1])
    """
    count = len(labels) // batch_size
    batch_of = np.full(len(labels), -1)
    places = np.full(count, batch_size)
    # Shape: batch finding. The unit is 1 / count images, so that all numbers are whole and equal
    # demands compare as equal.
    demand = np.tile(labels.sum(axis=0), (count, 1))
    while (left := batch_of < 0).any():
        images = labels[left].sum(axis=0)
        if images.any():
            rarest = int(np.where(images > 0, images, len(labels) + 1).argmin())
            dealt = np.flatnonzero(left & labels[:, rarest])
            wish = demand[:, rarest]
        else:
            dealt, wish = np.flatnonzero(left), np.zeros(count, dtype=int)
        batch_of[dealt] = _most_wanting(wish, places, len(dealt), generator)
        places -= np.bincount(batch_of[dealt], minlength=count)
        np.subtract.at(demand, batch_of[dealt], count * labels[dealt])
    return batch_of


def _most_wanting(
    wish: Int[np.ndarray, " batch"],
    places: Int[np.ndarray, " batch"],
    count: int,
    generator: np.random.Generator,
) -> Int[np.ndarray, " {count}"]:
    """Batches of `count` images, each given to the batch that then needs images most.

    Each image reduces the need of its batch by one. The result therefore consists of the `count`
    largest values of wish - k over all batches, where k = 0, 1, ... is below the batch's places.
    """
    batch = np.repeat(np.arange(len(places)), places)
    earlier = np.arange(len(batch)) - np.repeat(np.cumsum(places) - places, places)  # k
    order = np.lexsort(
        (generator.random(len(batch)), earlier - places[batch], len(places) * earlier - wish[batch])
    )
    return batch[order[:count]]
