from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.inference.localize import localize
from cxrloc.inference.localized import Localized
from cxrloc.inference.predict import Predicted, predict
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom
from cxrloc.types import Radiograph


def phantom(index: int) -> Radiograph:
    return Radiograph(make_phantom(1, index, 96).pixels, bits_stored=8)


def broken() -> Radiograph:
    raise CxrlocError("cannot be read")


IMAGES = [
    Image("a", lambda: phantom(0)),
    Image("b", broken),
    Image("c", lambda: phantom(1)),
]


@pytest.mark.parametrize("versions", ["plain", "tta", "five-patch"])
@pytest.mark.parametrize("models", [1, 2])
def test_probabilities_without_maps_are_those_with_maps(
    untrained_model: Path, versions: str, models: int
) -> None:
    ensemble = [read_model(untrained_model)] * models
    settings = InferenceSettings(versions=versions, findings=("Mass", "Effusion"), batch_size=2)
    for alone, mapped in zip(
        predict(ensemble, IMAGES, settings), localize(ensemble, IMAGES, settings), strict=True
    ):
        if isinstance(alone, Failure):
            assert alone == mapped == Failure("b", "cannot be read")
            continue
        assert isinstance(alone, Predicted)
        assert isinstance(mapped, Localized)
        assert alone.image_id == mapped.heatmaps.image_id
        np.testing.assert_allclose(alone.probabilities, mapped.probabilities, atol=1e-6)


def test_a_network_of_one_label_per_image_shares_one_probability(untrained_model: Path) -> None:
    model = read_model(untrained_model)
    model = replace(model, card=replace(model.card, probabilities="softmax"))
    (alone,) = predict([model], IMAGES[:1], InferenceSettings())
    (mapped,) = localize([model], IMAGES[:1], InferenceSettings())
    assert isinstance(alone, Predicted)
    assert isinstance(mapped, Localized)
    assert alone.probabilities.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(alone.probabilities, mapped.probabilities, atol=1e-6)
