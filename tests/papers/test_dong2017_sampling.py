"""Dong et al. 2017, section IV.B: how the classes of table I are balanced."""

from itertools import islice

import numpy as np
import pytest

from cxrloc.datasets.single_label import samples_per_class, single_label
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.published import published


def test_the_classes_of_table_1_after_boosting():
    """Every class has 380 or more, at least 3 % of the 12,550; normals are 21.9 % of the epoch."""
    table = published("dong2017:I")
    images = table.loc[table["metric"] == "single_label_images", "value"].to_numpy(dtype=int)
    assert images.tolist() == [8397, 2927, 743, 88, 120, 70, 53, 58, 17, 77]
    wanted = samples_per_class(images)
    assert wanted[1:].tolist() == [2927, 743, 380, 380, 380, 380, 380, 380, 380]
    assert 380 / images.sum() > 0.03
    assert round(wanted[0] / wanted.sum(), 3) == 0.219


def test_an_epoch_takes_the_images_of_a_small_class_equally_often():
    """One large class of 800, one of 100 images: 380 samples of it, each image 3 or 4 times."""
    labels = np.zeros((1000, 2), dtype=bool)
    labels[:800, 0] = labels[800:900, 1] = True
    labels[900:950] = True  # two labels; the last 50 have none
    batches = islice(single_label(labels, 1, seed=0), 380 + 107)
    times = np.bincount([image for (image,) in batches], minlength=1000)
    assert set(times[800:900]) == {3, 4}
    assert times[800:900].sum() == 380
    assert times[:800].sum() == 107
    assert set(times[:800]) == {0, 1}
    assert not times[900:].any()


def test_any_step_can_be_first_and_each_epoch_is_new():
    labels = np.eye(2, dtype=bool)[[0] * 30 + [1] * 10]
    steps = list(islice(single_label(labels, 100, seed=1), 8))
    assert next(single_label(labels, 100, seed=1, first_step=6)) == steps[6]
    assert len({tuple(step) for step in steps}) == 8


def test_without_any_image_of_one_label_there_is_nothing_to_sample():
    with pytest.raises(CxrlocError, match="no image has exactly one label"):
        next(single_label(np.ones((8, 2), dtype=bool), 4, seed=0))
