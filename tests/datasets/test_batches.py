from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from cxrloc.datasets.batches import (
    SAMPLERS,
    Feeding,
    ImageSet,
    evaluation_inputs,
    label_matrix,
    training_step,
)
from cxrloc.errors import CxrlocError
from cxrloc.images.augment import Augmentation
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.training.uncertainty import POLICIES
from cxrloc.types import Label, Radiograph, Record

COUNT, SIZE = 12, 8
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE), dtype=np.uint8)
LABELS = np.random.default_rng(1).choice([1.0, 0.0, -1.0], (COUNT, 3)).astype(np.float32)
IMAGES = ImageSet(PIXELS, np.arange(COUNT)[:, None], LABELS)
FEEDING = Feeding(
    preprocessing=Preprocessing(size=SIZE, source_size=None),
    augmentation=Augmentation(mirror=0.5, rotation_degrees=10.0, cutmix=0.5),
    policy=POLICIES["ones_lsr"],
    device=torch.device("cpu"),
)
ROWS = [3, 1, 4, 11, 5, 9, 2, 6]


@pytest.mark.parametrize("sampling", SAMPLERS)
def test_any_step_can_be_the_first(sampling):
    positive = np.eye(3, dtype=bool)[np.arange(30) % 3]
    whole = list(islice(SAMPLERS[sampling](positive, 8, 5, 0), 12))
    later = list(islice(SAMPLERS[sampling](positive, 8, 5, 7), 5))
    assert later == whole[7:]
    assert {len(batch) for batch in whole} == {8}


def test_each_epoch_is_a_new_order_of_all_images():
    a, b, c, d = islice(SAMPLERS["shuffled"](np.zeros((10, 1), dtype=bool), 5, 3, 0), 4)
    assert sorted(a + b) == sorted(c + d) == list(range(10))
    assert a + b != c + d


def test_half_of_the_images_without_a_finding_take_part_in_an_epoch_and_others_in_the_next():
    positive = np.arange(20)[:, None] < 4
    a, b, c, d = islice(SAMPLERS["half_normals"](positive, 6, 3, 0), 4)
    for epoch in (a + b, c + d):
        assert set(range(4)) < set(epoch)
        assert len(set(epoch)) == 4 + 8
    assert set(a + b) != set(c + d)
    with pytest.raises(CxrlocError, match="half of the 16 others do not fill a batch of 13"):
        next(SAMPLERS["half_normals"](positive, 13, 3, 0))


@pytest.mark.parametrize("standardised", [False, True])
def test_an_image_reaches_the_network_as_preprocessing_makes_it(standardised):
    config = Preprocessing(
        SIZE, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0), standardised=standardised
    )
    three = replace(FEEDING, preprocessing=config)
    (inputs,) = evaluation_inputs(IMAGES, np.array([7]), three)
    radiograph = Radiograph(PIXELS[7].astype(np.float32) / 255, bits_stored=8)
    wanted, _ = preprocess(radiograph, three.preprocessing)
    torch.testing.assert_close(inputs[0], torch.from_numpy(wanted))


def test_a_step_is_the_same_whenever_it_is_made_and_another_step_is_not():
    first, again = (training_step(IMAGES, ROWS, 3, FEEDING)[0] for _ in range(2))
    other = training_step(IMAGES, ROWS, 4, FEEDING)[0]
    assert torch.equal(first.inputs[0], again.inputs[0])
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.inputs[0], other.inputs[0])
    assert not torch.equal(first.labels, other.labels)


def test_the_changes_of_a_step_are_not_the_numbers_of_an_epochs_order(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "cxrloc.datasets.batches.augment", lambda grey, draws, *_: seen.append(draws) or grey
    )
    training_step(IMAGES, ROWS, 3, FEEDING)
    order = np.random.default_rng([FEEDING.seed, 3]).random(seen[0].size)
    assert not np.isin(seen[0], order).any()


@pytest.mark.parametrize(("passes", "processes"), [(1, 2), (2, 1), (2, 2)])
def test_however_a_step_is_shared_its_images_changes_and_labels_are_the_same(passes, processes):
    plain = replace(FEEDING, augmentation=replace(FEEDING.augmentation, cutmix=0.0))
    (whole,) = training_step(IMAGES, ROWS, 3, plain)
    for process in range(processes):
        feeding = replace(plain, passes=passes, share=(process, processes))
        parts = training_step(IMAGES, ROWS, 3, feeding)
        size = len(ROWS) // passes
        for number, part in enumerate(parts):
            indices = slice(number * size + process, (number + 1) * size, processes)
            torch.testing.assert_close(part.inputs[0], whole.inputs[0][indices])
            assert torch.equal(part.labels, whole.labels[indices])


def test_a_cut_image_has_labels_by_the_share_of_its_pixels_from_the_other():
    """Image k is all grey level k / 11 and has the label k / 11."""
    grey = np.linspace(0, 1, COUNT, dtype=np.float32)
    pixels = np.broadcast_to((grey * 65535).astype(np.uint16)[:, None, None], (COUNT, 8, 8))
    images = ImageSet(pixels, np.arange(COUNT)[:, None], grey[:, None])
    feeding = replace(
        FEEDING,
        preprocessing=Preprocessing(size=8, mean=(0.0,), std=(1.0,)),
        augmentation=Augmentation(cutmix=0.8),
        policy=POLICIES["zeros"],
    )
    (batch,) = training_step(images, ROWS, 0, feeding)
    means = batch.inputs[0].mean(dim=(1, 2, 3))
    torch.testing.assert_close(means, batch.labels[:, 0], atol=1e-4, rtol=0)
    kinds = [len(image.unique()) for image in batch.inputs[0]]
    assert set(kinds) == {1, 2}, "some are cut, some are whole, none is blended"


def test_a_pair_is_changed_alike_and_its_channels_follow_each_other():
    pairs = ImageSet(PIXELS, np.array([[0, 0], [1, 2]]), LABELS[:2])
    feeding = replace(FEEDING, preprocessing=Preprocessing(SIZE, mean=(0.0,) * 3, std=(1.0,) * 3))
    (batch,) = training_step(pairs, [0, 1], 0, feeding)
    assert batch.inputs[0].shape == (2, 6, SIZE, SIZE)
    plain = replace(feeding, augmentation=Augmentation(rotation_degrees=10.0))
    (batch,) = training_step(pairs, [0, 1], 0, plain)
    assert torch.equal(batch.inputs[0][0, :3], batch.inputs[0][0, 3:])
    assert not torch.equal(batch.inputs[0][1, :3], batch.inputs[0][1, 3:])


def test_what_is_not_mentioned_is_negative_or_unknown():
    record = Record("a", "1", "a", None, labels={"Mass": Label.POSITIVE})
    assert label_matrix([record], ["Mass", "Edema"]).tolist() == [[1, 0]]
    unknown = label_matrix([record], ["Mass", "Edema"], not_mentioned=float("nan"))
    assert np.isnan(unknown).tolist() == [[False, True]]
    column = replace(record, vocabulary=frozenset({"Mass"}))  # no column of Edema: unknown
    assert np.isnan(label_matrix([column], ["Mass", "Edema"])).tolist() == [[False, True]]
    no_row = replace(record, labels={}, labelled=False)
    assert np.isnan(label_matrix([no_row], ["Mass", "Edema"])).all()
