"""The embedded model for phantoms: its card, and that it finds the findings that it declares."""

import numpy as np
import pytest
import torch

from cxrloc.evaluation.classification.ranking import auc
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.findings import CHESTXRAY8
from cxrloc.images.preprocessing import preprocess
from cxrloc.localization.heatmaps import cam
from cxrloc.models.names import MODELS, PHANTOM_MODEL
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.recipe import read_recipe
from cxrloc.types import Label, Radiograph

pytestmark = pytest.mark.slow

IMAGES, SEED = 96, 31


@pytest.fixture(scope="module")
def model():
    return read_model(PHANTOM_MODEL)


@pytest.fixture(scope="module")
def fresh(model):
    """Records, probabilities and maps of phantoms that nothing was chosen by."""
    phantoms = [make_phantom(SEED, index, model.preprocessing.size) for index in range(IMAGES)]
    inputs = [preprocess(Radiograph(p.pixels, 16), model.preprocessing)[0] for p in phantoms]
    with torch.no_grad():
        logits, maps = cam(model.network, torch.from_numpy(np.stack(inputs)))
    return [p.record for p in phantoms], logits.sigmoid().numpy(), maps.numpy()


def test_the_file_is_small_and_says_where_it_comes_from(model):
    assert MODELS[PHANTOM_MODEL].stat().st_size < 4e6
    assert model.card.findings == CHESTXRAY8
    assert set(model.card.views) == {"PA", "AP"}
    assert set(model.card.operating_points) == set(model.card.auc) == set(CHESTXRAY8)
    assert "synthetic" in model.card.limits


def test_the_card_names_every_training_and_validation_patient_and_no_other(model):
    data = read_recipe("phantom").data.phantom
    plans = [plan_phantom(data.seed, index) for index in range(0, data.training_images, 250)]
    trained = [phantom_record(plan, 1) for plan in plans]
    assert len(contaminated_patients(trained, model.card.training_patients)) == len(trained)
    held_out = phantom_record(plan_phantom(data.seed, data.training_images), 1)
    assert not contaminated_patients([held_out], model.card.training_patients)
    assert contaminated_patients([held_out], model.card.validation_patients)


def test_it_tells_phantoms_with_a_finding_from_those_without(fresh):
    records, probabilities, _ = fresh
    truth = np.array([[r.labels[f] is Label.POSITIVE for f in CHESTXRAY8] for r in records])
    values = [auc(truth[:, j], probabilities[:, j]) for j in range(len(CHESTXRAY8))]
    assert 0.75 < np.mean(values) < 0.97  # the bounds of the task, plus noise of 96 images


def test_its_maps_are_brightest_near_the_lesions(fresh, model):
    records, _, maps = fresh
    inside = []
    for record, of_image in zip(records, maps, strict=True):
        for annotation in record.annotations:
            scores = of_image[CHESTXRAY8.index(annotation.finding)]
            row, column = np.unravel_index(scores.argmax(), scores.shape)
            x, y = (np.array([column, row]) + 0.5) * model.preprocessing.size / len(scores)
            x, y = x + model.network.cell_shift_pixels, y + model.network.cell_shift_pixels
            box, margin = annotation.box, 0.05 * model.preprocessing.size
            inside.append(
                box.x_min - margin < x < box.x_max + margin
                and box.y_min - margin < y < box.y_max + margin
            )
    assert np.mean(inside) > 0.7
