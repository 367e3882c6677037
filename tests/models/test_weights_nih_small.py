"""The model for real radiographs is small, names its origin, and never saw a boxed patient."""

from functools import partial

import pytest

from cxrloc.datasets.chestxray14 import official_split, read_chestxray14
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.findings import CHESTXRAY8
from cxrloc.images.read import read_radiograph
from cxrloc.inference.predict import Predicted, predict
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.models.names import MODELS
from cxrloc.models.weights import read_model

NAME = "nih-small-v4"


@pytest.fixture(scope="module")
def model():
    return read_model(NAME)


def test_it_is_small_and_says_where_it_comes_from(model):
    assert MODELS[NAME].stat().st_size < 10e6
    assert model.card.findings == tuple(model.card.operating_points) == CHESTXRAY8
    assert set(model.card.auc) == {*CHESTXRAY8}
    assert set(model.card.views) == {"PA", "AP"}
    for text in (f"{model.card.training_images:,}", "nihcc.app.box.com", "NIH Clinical Center"):
        assert text in model.card.trained_on
    assert model.card.limits.startswith("Research demo")
    assert model.card.licence.startswith("Apache-2.0; NIH asks for")
    assert tuple(model.card.box_thresholds) == CHESTXRAY8
    assert all(60 < level < 255 for level in model.card.box_thresholds.values())
    assert (
        "drawn into radiographs of validation patients" in model.card.provenance["box_thresholds"]
    )


@pytest.mark.slow
def test_no_boxed_and_no_test_patient_ever_trained_or_chose_it(model, shared):
    folder = shared / "data" / "chestxray14"
    records = read_chestxray14(folder)
    boxed = [record for record in records if record.annotations]
    assert len(boxed) == 880
    test = official_split(folder, records)["test"]
    for named in (model.card.training_patients, model.card.validation_patients):
        assert not contaminated_patients(boxed, named)
        assert not contaminated_patients(test, named)
        assert len(contaminated_patients(records, named)) == len(named) > 0  # of this data set
    assert not {*model.card.training_patients} & {*model.card.validation_patients}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("nih_udacity_test1", "ok"),
        ("nih_udacity_test4", "ok"),  # its header says RIBCAGE, but it shows a chest
        ("nih_udacity_test5", "ok"),  # its header says CT
        ("siim_txrv_mono2_jpeg", "ok"),
        ("highdicom_dx_thorax_mono1", "outside"),  # its header says THORAX, but it shows a dog
        ("codecs/pydicom_mlut_18", "outside"),
    ],
)
def test_the_picture_decides_what_is_outside(model, shared, name, status):
    path = shared / "data" / "dicom" / f"{name}.dcm"
    (found,) = predict([model], [Image(name, partial(read_radiograph, path))], InferenceSettings())
    assert isinstance(found, Predicted)
    assert found.suitability.status == status
