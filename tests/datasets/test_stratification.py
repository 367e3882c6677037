from itertools import islice

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrloc.datasets.stratification import iterative_stratification, stratified


def drawn_labels(images, prevalences, seed=0):
    return np.random.default_rng(seed).random((images, len(prevalences))) < prevalences


def dealt_one_by_one(labels, batch_size, generator):
    """Sechidis' algorithm as it is written, image by image; ties of images go to the first."""
    count = len(labels) // batch_size
    batch_of = np.full(len(labels), -1)
    places = np.full(count, batch_size)
    wanted = np.tile(labels.sum(axis=0) / count, (count, 1))
    while (batch_of < 0).any():
        left = [label for label in range(labels.shape[1]) if labels[batch_of < 0, label].any()]
        rarest = min(left, key=lambda label: labels[batch_of < 0, label].sum(), default=None)
        for image in np.flatnonzero(batch_of < 0):
            if rarest is not None and not labels[image, rarest]:
                continue
            wish = wanted[:, rarest] if rarest is not None else np.zeros(count)
            free = np.flatnonzero(places)
            best = max(free, key=lambda b: (wish[b], places[b], generator.random()))
            batch_of[image] = best
            places[best] -= 1
            wanted[best] -= labels[image]
    return batch_of


def spread(labels, batch_of):
    """Standard deviation over batches of the number of images of each label."""
    counts = [labels[batch_of == batch].sum(axis=0) for batch in np.unique(batch_of)]
    return np.std(counts, axis=0)


def test_every_batch_has_its_share_of_every_label():
    labels = drawn_labels(1600, [0.3, 0.2, 0.1, 0.05, 0.01])
    for batch in islice(stratified(labels, 32, seed=1), 50):
        assert np.abs(labels[batch].sum(axis=0) - 32 * labels.mean(axis=0)).max() < 2


def test_the_batches_are_as_even_as_those_of_the_algorithm_image_by_image():
    labels = drawn_labels(480, [0.3, 0.2, 0.1, 0.03])
    ours = iterative_stratification(labels, 16, np.random.default_rng(0))
    peers = dealt_one_by_one(labels, 16, np.random.default_rng(0))
    chance = np.random.default_rng(0).permutation(480) // 16
    assert (spread(labels, ours) <= spread(labels, peers) + 0.1).all()
    assert (spread(labels, ours) < 0.6 * spread(labels, chance)).all()


@settings(max_examples=30)
@given(images=st.integers(1, 40), batch_size=st.integers(1, 8), seed=st.integers(0, 9))
def test_an_epoch_has_each_image_once_in_whole_batches(images, batch_size, seed):
    if images < batch_size:
        return
    labels = drawn_labels(images, [0.5, 0.1], seed)
    epoch = list(islice(stratified(labels, batch_size, seed), images // batch_size))
    every = [image for batch in epoch for image in batch]
    assert all(len(batch) == batch_size for batch in epoch)
    assert len(set(every)) == len(every) <= images


def test_any_step_can_be_first_and_each_epoch_is_new():
    labels = drawn_labels(40, [0.5, 0.2])
    a, b, c, d, e = islice(stratified(labels, 20, seed=3), 5)
    assert next(stratified(labels, 20, seed=3, first_step=4)) == e
    assert sorted(a + b) == sorted(c + d) == list(range(40))
    assert sorted(a) != sorted(c)


def test_without_any_label_batches_are_filled_all_the_same():
    labels = np.zeros((12, 3), dtype=bool)
    a, b, c = islice(stratified(labels, 4, seed=0), 3)
    assert sorted(a + b + c) == list(range(12))
