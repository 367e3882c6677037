"""Phantoms are reproducible and alike at every size; their boxes are exact and hard to guess."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou

from cxrloc.findings import CHESTXRAY8
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.phantom.plan import lesion_box
from cxrloc.phantom.render import draw_plan
from cxrloc.types import Label

PLANS = 640


@pytest.fixture(scope="module")
def plans():
    return [plan_phantom(11, index) for index in range(PLANS)]


@pytest.fixture(scope="module")
def boxes(plans):
    """Unit boxes and patients' numbers, per finding."""
    found = defaultdict(list)
    for plan in plans:
        for lesion in plan.lesions:
            box = lesion_box(lesion, plan.anatomy.pose)
            found[lesion.finding].append((plan.anatomy.patient.number, box))
    return {
        finding: (np.array([n for n, _ in rows]), np.array([box for _, box in rows]))
        for finding, rows in found.items()
    }


def test_seed_and_index_decide_everything_whatever_was_drawn_before():
    first = make_phantom(3, 7, 128)
    make_phantom(4, 1, 64)
    again = make_phantom(3, 7, 128)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.record == again.record
    assert not np.array_equal(first.pixels, make_phantom(3, 8, 128).pixels)
    assert not np.array_equal(first.pixels, make_phantom(4, 7, 128).pixels)


@pytest.mark.parametrize("index", [0, 5])
def test_small_image_is_the_large_one_shrunk(index):
    small, large = make_phantom(1, index, 128), make_phantom(1, index, 512)
    shrunk = np.asarray(Image.fromarray(large.pixels).reduce(4))
    assert np.abs(shrunk - small.pixels).mean() < 0.012
    for ours, theirs in zip(small.record.annotations, large.record.annotations, strict=True):
        assert ours.finding == theirs.finding
        assert theirs.box.x_max == pytest.approx(4 * ours.box.x_max)


@pytest.mark.parametrize("finding", [f for f in CHESTXRAY8 if f != "Cardiomegaly"])
def test_box_encloses_what_the_lesion_changes(finding, plans):
    """Drawn with and without the lesion, images differ inside its box and reach its edges."""
    size = 256
    plan = next(p for p in plans if [lesion.finding for lesion in p.lesions] == [finding])
    change = np.abs(draw_plan(plan, size) - draw_plan(replace(plan, lesions=()), size))
    rows, columns = np.nonzero(change > 0.15 * change.max())
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / size
    box = lesion_box(plan.lesions[0], plan.anatomy.pose)
    assert np.all(seen[:2] > box[:2] - 0.02)
    assert np.all(seen[2:] < box[2:] + 0.02)
    shared = np.minimum(seen[2:], box[2:]) - np.maximum(seen[:2], box[:2])
    assert shared.prod() > 0.6 * (box[2:] - box[:2]).prod()


MEDIAN_AREAS = {
    "Nodule": 0.0046,
    "Mass": 0.0148,
    "Atelectasis": 0.0188,
    "Pneumothorax": 0.0358,
    "Effusion": 0.0557,
    "Infiltration": 0.0566,
    "Pneumonia": 0.0572,
    "Cardiomegaly": 0.1709,
}
"""Of the 984 boxes of ChestX-ray14, as a share of the image."""


@pytest.mark.parametrize(("finding", "median"), MEDIAN_AREAS.items())
def test_box_areas_are_those_of_real_boxes_within_a_quarter(finding, median, boxes):
    _, found = boxes[finding]
    area = (found[:, 2:] - found[:, :2]).prod(axis=1)
    assert np.median(area) == pytest.approx(median, rel=0.25)
    assert found.min() >= 0
    assert found.max() <= 1


def prior_boxes(patients, found):
    """Mean box and IoU-medoid box from other patients' boxes, for every box."""
    iou = box_iou(torch.from_numpy(found), torch.from_numpy(found)).numpy()
    means, medoids = [], []
    for patient in patients:
        others = np.flatnonzero(patients != patient)
        means.append(found[others].mean(axis=0))
        medoids.append(found[others[iou[np.ix_(others, others)].sum(axis=1).argmax()]])
    return np.array(means), np.array(medoids)


def overlaps(detected, found):
    """IoU and IoBB of boxes in pairs."""
    low, high = np.maximum(detected[:, :2], found[:, :2]), np.minimum(detected[:, 2:], found[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in (detected, found)]
    return shared / (areas[0] + areas[1] - shared), shared / areas[0]


def test_one_mean_box_fits_hearts_as_well_as_it_does_on_real_ones(boxes):
    patients, found = boxes["Cardiomegaly"]
    iou, iobb = overlaps(prior_boxes(patients, found)[0], found)
    scores = [*((iou > t).mean() for t in (0.3, 0.5, 0.7)), (iobb > 0.5).mean()]
    assert scores == pytest.approx([0.99, 0.85, 0.36, 0.98], abs=0.10)


def test_one_medoid_box_per_finding_fits_as_rarely_as_on_real_images(boxes):
    thresholds = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    scores = []
    for patients, found in boxes.values():
        iou, _ = overlaps(prior_boxes(patients, found)[1], found)
        scores.append((iou[:, None] > thresholds).mean(axis=0))
    real = [0.52, 0.33, 0.24, 0.19, 0.15, 0.09, 0.04]
    assert np.mean(scores, axis=0) == pytest.approx(real, abs=0.10)


def test_findings_come_together_and_some_images_have_none(plans):
    counts = Counter(len(plan.lesions) for plan in plans)
    assert counts[0] / PLANS == pytest.approx(0.3, abs=0.06)
    assert sum(counts[n] for n in counts if n > 1) / PLANS > 0.3
    with_heart = [{x.finding for x in p.lesions} for p in plans]
    hearts = [names for names in with_heart if "Cardiomegaly" in names]
    fluid = np.mean(["Effusion" in names for names in with_heart])
    assert np.mean(["Effusion" in names for names in hearts]) > 1.2 * fluid


def test_drains_go_with_pneumothorax_but_not_always(plans):
    drains = Counter(
        (any(x.finding == "Pneumothorax" for x in p.lesions), p.drain is not None) for p in plans
    )
    assert 0.2 < drains[True, True] / (drains[True, True] + drains[True, False]) < 0.6
    assert 0.02 < drains[False, True] / (drains[False, True] + drains[False, False]) < 0.1


def test_some_patients_have_several_images_of_one_chest(plans):
    images = Counter(plan.anatomy.patient.number for plan in plans)
    assert set(images.values()) == {1, 2, 3}
    patients = {plan.anatomy.patient for plan in plans}
    assert len(patients) == len(images)
    ids = [phantom_record(plan, 100).image_id for plan in plans]
    assert len(set(ids)) == PLANS


def test_record_labels_all_eight_findings_and_boxes_the_positive_ones(plans):
    for plan in plans[:40]:
        record = phantom_record(plan, 1024)
        positive = {f for f, label in record.labels.items() if label is Label.POSITIVE}
        assert set(record.labels) == set(CHESTXRAY8)
        assert [a.finding for a in record.annotations] == sorted(positive)


def test_pixels_are_grey_levels_that_use_their_range():
    pixels = make_phantom(2, 0, 256).pixels
    assert pixels.dtype == np.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert pixels.std() > 0.15
