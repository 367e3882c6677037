"""Which images are outside: by header, blank, or by their features."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydicom import Dataset

from cxrloc.images.dicom_header import header_warnings, not_a_chest
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.predict import Predicted, predict
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.inference.suitability import Status, suitability
from cxrloc.models.card import DistanceRule
from cxrloc.models.feature_distance import TypicalFeatures
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom
from cxrloc.types import Radiograph, View

CT = "Modality (0008,0060) is CT, not CR or DX"
CHEST = Radiograph(make_phantom(1, 0, 96).pixels, bits_stored=8, view=View.PA)


@pytest.fixture
def model(untrained_model: Path) -> Model:
    found = read_model(untrained_model)
    return replace(found, card=replace(found.card, views=("AP", "PA")))


def knowing(model: Model, radiograph: Radiograph, threshold: float) -> Model:
    """The model with a distance whose typical features are those of one radiograph."""
    seen: list[torch.Tensor] = []
    model.network.register_forward_hook(lambda _, __, output: seen.append(output[1]))
    list(predict([model], [Image("a", lambda: radiograph)], InferenceSettings()))
    mean = seen[0].mean(dim=(0, 2, 3))
    card = replace(model.card, distance=DistanceRule(threshold, 1.0, 0, 0.0))
    return replace(model, card=card, typical=TypicalFeatures(mean, torch.zeros(1, len(mean))))


@pytest.mark.parametrize(
    ("radiograph", "distance", "outside"),
    [
        (CHEST, None, False),
        (CHEST, 1.0, False),
        (CHEST, 1.01, True),
        (replace(CHEST, view=View.LATERAL), 0.1, True),
        (replace(CHEST, view=View.FRONTAL), 0.1, False),
        (replace(CHEST, view=None), 0.1, False),
        (replace(CHEST, pixels=np.full((96, 96), 0.5, np.float32)), 0.1, True),
        (replace(CHEST, not_a_chest=(CT,)), 0.1, False),  # the picture decides
        (replace(CHEST, not_a_chest=(CT,)), None, True),  # nothing but the header can decide
        (replace(CHEST, not_a_chest=(CT,)), 2.0, True),
    ],
)
def test_status(model: Model, radiograph: Radiograph, distance: float, outside: bool) -> None:
    found = suitability([model], radiograph, [distance])
    assert (found.status is Status.OUTSIDE) == outside
    assert (CT in found.reasons) == (outside and bool(radiograph.not_a_chest))
    assert found.distance == distance


def test_a_model_that_names_no_views_takes_all(model: Model) -> None:
    own = replace(model, card=replace(model.card, views=()))
    assert suitability([own], replace(CHEST, view=View.LATERAL), [None]).reasons == ()


def test_of_several_models_the_farthest_counts(model: Model) -> None:
    other = replace(model, card=replace(model.card, name="other"))
    found = suitability([model, other, model], CHEST, [0.5, 1.5, None])
    assert found.distance == 1.5
    assert len(found.reasons) == 1
    assert "other" in found.reasons[0]


@pytest.mark.parametrize("versions", ["plain", "tta"])
@pytest.mark.parametrize("method", ["cam", "layer_cam", "eigen_cam"])
def test_distances_are_of_the_image_itself_whatever_the_method(
    model: Model, versions: str, method: str
) -> None:
    """The features of the image itself are at distance 0, those of another image are not."""
    knows = knowing(model, CHEST, threshold=1e-3)
    other = Radiograph(CHEST.pixels[::-1].copy(), bits_stored=8)
    images = [Image("a", lambda: CHEST), Image("b", lambda: other)]
    settings = InferenceSettings(method, ("Mass",), versions)
    mapped = list(localize([knows], images, settings))
    predicted = list(predict([knows], images, settings))
    for own, alone in zip(mapped, predicted, strict=True):
        assert isinstance(own, Localized)
        assert isinstance(alone, Predicted)
        assert own.suitability.status is alone.suitability.status
        assert own.suitability.distance == pytest.approx(alone.suitability.distance, abs=1e-3)
    assert [each.suitability.status for each in mapped] == ["ok", "outside"]  # type: ignore[union-attr]


def test_of_another_layers_features_no_distance_is_known(model: Model) -> None:
    knows = knowing(model, CHEST, threshold=1e-3)
    settings = InferenceSettings("grad_cam", ("Mass",), layer="backbone")
    (mapped,) = localize([knows], [Image("a", lambda: CHEST)], settings)
    assert isinstance(mapped, Localized)
    assert mapped.suitability.distance is None


@pytest.mark.parametrize(
    ("modality", "part", "contradicts"),
    [
        ("DX", "CHEST", 0),
        ("CR", "THORAX", 0),
        ("DX", "", 0),
        ("", "", 0),  # missing is no contradiction
        ("OT", "", 0),  # as converted images say
        ("CT", "CHEST", 1),
        ("DX", "HAND", 1),
        ("MR", "KNEE", 2),
    ],
)
def test_a_header_contradicts_by_modality_and_body_part(
    modality: str, part: str, contradicts: int
) -> None:
    header = Dataset()
    header.Modality, header.BodyPartExamined = modality, part
    assert len(not_a_chest(header)) == contradicts
    assert set(not_a_chest(header)) <= set(header_warnings(header))
