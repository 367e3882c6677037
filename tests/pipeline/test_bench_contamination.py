from dataclasses import replace

import pytest
import torch

from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.image_sets import read_images
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.models.card import ModelCard, card_patient
from cxrloc.models.model import Model
from cxrloc.models.provenance import contamination_warnings
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import write_phantoms
from cxrloc.pipeline.bench import BenchOptions, bench

CARD = ModelCard("xrv:nih", "NIH ChestX-ray14", ("Mass",), may_have_seen=("ChestX-ray14",))


@pytest.mark.parametrize(
    ("seen", "image_id", "warned"),
    [
        (CARD.may_have_seen, "00000013_005", True),
        (CARD.may_have_seen, "view1_frontal", False),
        ((), "00000013_005", False),
    ],
)
def test_weights_whose_training_part_is_lost_are_doubted_by_image(seen, image_id, warned):
    model = Model(torch.nn.Identity(), None, Preprocessing(8), replace(CARD, may_have_seen=seen))
    assert bool(contamination_warnings([model], image_id)) == warned


def test_boxes_of_patients_who_chose_the_weights_are_scored_with_a_warning(
    tmp_path, untrained_model
):
    write_phantoms(tmp_path / "chests", n=3, seed=0, size=32)
    judge = next(r.patient_id for r in read_images(tmp_path / "chests").records if r.annotations)
    model = read_model(untrained_model)
    card = replace(
        model.card, name="chosen", validation_patients=(card_patient(judge, public=True),)
    )
    write_model(tmp_path / "chosen.safetensors", model.network, model.preprocessing, card)
    options = BenchOptions(
        models=(str(tmp_path / "chosen.safetensors"),),
        protocol=ScoringProtocol(resampling=Resampling(0)),
        inference=InferenceSettings(device="cpu"),
    )
    claims = bench(tmp_path / "chests", tmp_path / "out", options).claims
    (warning,) = (text for text in claims.warnings if "chosen on these patients" in text)
    assert claims.warnings[warning] == 1


def test_an_image_knows_of_its_patient_what_the_data_set_knows(tmp_path):
    """PNG files say nothing of age, sex and view; a network that reads them needs them."""
    write_phantoms(tmp_path, n=2, seed=0, size=64)
    image_set = read_images(tmp_path)
    for record, image in zip(image_set.records, image_set.images, strict=True):
        seen = image.read()
        assert (seen.age_years, seen.sex, seen.view) == (record.age_years, record.sex, record.view)
        assert None not in (seen.age_years, seen.sex, seen.view)


def test_a_list_without_patients_that_names_nihs_images_tells_whose_they_are(tmp_path):
    boxes = tmp_path / "mine.csv"
    boxes.write_text(
        "image,finding,x,y,width,height\n00000013_005.png,Mass,1,2,3,4\nother.png,Mass,1,2,3,4\n"
    )
    records = read_images(boxes).records
    assert [record.patient_id for record in records] == ["13", "other"]
    assert contaminated_patients(records, ["13"]) == ("13",)
