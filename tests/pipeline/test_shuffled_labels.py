"""The control with shuffled labels; that it learns nothing is a row of accuracy_phantom.py."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cxrloc.recipe import read_recipe
from cxrloc.training.data import training_data


def test_only_the_training_labels_are_exchanged_image_by_image(tmp_path: Path) -> None:
    true = read_recipe("phantom_few")
    true = replace(true, preprocessing=replace(true.preprocessing, size=64))
    shuffled = replace(true, data=replace(true.data, shuffle_labels=True))
    one, other = (training_data(each, None, None, tmp_path) for each in (true, shuffled))
    assert (one.train.labels != other.train.labels).any()
    assert np.array_equal(np.sort(one.train.labels, axis=0), np.sort(other.train.labels, axis=0))
    assert sorted(map(tuple, one.train.labels)) == sorted(map(tuple, other.train.labels))
    assert np.array_equal(one.train.slots, other.train.slots)
    assert np.array_equal(one.validation.labels, other.validation.labels)
    assert other.description["labels_shuffled"]
