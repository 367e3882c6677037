"""Networks that need more input than one image work in the same flow as every other network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.localize import localize
from cxrloc.inference.predict import predict
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.model import Model
from cxrloc.models.networks import build_network
from cxrloc.types import Radiograph, Sex, View

FINDINGS = ("Mass", "Nodule")
SETTINGS = InferenceSettings(device="cpu", batch_size=4)
DARK = Radiograph(np.zeros((40, 40), np.float32), 8, view=View.PA)
BRIGHT = Radiograph(np.ones((40, 40), np.float32), 8, view=View.LATERAL)


def model(architecture):
    config = LocalizerConfig(
        "small_resnet", FINDINGS, architecture=architecture, transition_channels=0
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(config).eval()
        for layer in network.modules():  # random statistics, so that a blank image is not 0
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.uniform_(-1, 1)
    preprocessing = Preprocessing(size=64, source_size=None)
    return Model(network, config, preprocessing, ModelCard(architecture, "nothing", FINDINGS))


@pytest.fixture(scope="module")
def dual():
    return model("dualnet")


@pytest.fixture(scope="module")
def meta():
    return model("meta")


PAIR = [
    Image("frontal", lambda: DARK, lambda: BRIGHT),
    Image("lateral", lambda: BRIGHT, lambda: DARK),
]


def test_both_images_of_a_pair_get_the_pairs_probability_and_their_own_map(dual):
    frontal, lateral = localize([dual], PAIR, SETTINGS)
    np.testing.assert_allclose(frontal.probabilities, lateral.probabilities, rtol=1e-5)
    half = dual.network.frontal.depth
    weight = dual.network.prediction.weight
    for result, trunk, grey, part in (
        (frontal, dual.network.frontal, -2.0, weight[:, :half]),
        (lateral, dual.network.lateral, 2.0, weight[:, half:]),
    ):
        with torch.no_grad():
            features = trunk(torch.full((1, 1, 64, 64), grey))[0]
            expected = torch.einsum("dhw,cd->chw", features, part)
        np.testing.assert_allclose(result.heatmaps.scores, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_an_image_without_partner_is_a_failure_that_says_what_to_do(dual):
    alone = Image("alone", lambda: DARK)
    results = list(predict([dual], [alone, PAIR[0]], SETTINGS))
    assert isinstance(results[0], Failure)
    assert "alone: dualnet reads a frontal and a lateral image together" in results[0].reason
    assert "--pairs" in results[0].reason
    assert not isinstance(results[1], Failure)


@pytest.mark.parametrize("versions", ["tta", "five-patch"])
def test_versions_of_a_pair_are_made_of_both_views(dual, versions):
    settings = replace(SETTINGS, versions=versions)
    frontal, lateral = localize([dual], PAIR, settings)
    np.testing.assert_allclose(frontal.probabilities, lateral.probabilities, rtol=1e-5)


def test_a_two_view_and_a_one_view_network_make_an_ensemble(dual):
    single = model("localizer")
    (together,) = predict([dual, single], PAIR[:1], SETTINGS)
    alone = [next(predict([each], PAIR[:1], SETTINGS)).probabilities for each in (dual, single)]
    np.testing.assert_allclose(together.probabilities, np.mean(alone, axis=0), rtol=1e-5)


def test_what_is_known_of_the_patient_reaches_the_network(meta):
    old = replace(DARK, age_years=100.0, sex=Sex.MALE)
    young = replace(DARK, age_years=0.0, sex=Sex.FEMALE)
    images = [Image("old", lambda: old), Image("young", lambda: young)]
    results = list(localize([meta], images, SETTINGS))
    logits = [np.log(each.probabilities / (1 - each.probabilities)) for each in results]
    with torch.no_grad():
        term = meta.network.meta(torch.tensor([1.0, 1.0, 0.0])).numpy()
    np.testing.assert_allclose(logits[0] - logits[1], term, atol=1e-4)
    np.testing.assert_allclose(results[0].heatmaps.scores, results[1].heatmaps.scores, rtol=1e-5)


def test_what_is_missing_is_a_warning_only_where_it_is_read(meta):
    image = Image("a", lambda: replace(DARK, sex=Sex.MALE))
    (seen,) = predict([meta], [image], SETTINGS)
    assert seen.warnings == ("age is unknown: the training median is taken",)
    (seen,) = predict([model("localizer")], [image], SETTINGS)
    assert seen.warnings == ()


def test_score_cam_takes_one_image_of_a_batch_at_a_time(meta):
    """It runs altered copies: a batch of them must all be given the same patient."""
    settings = replace(SETTINGS, method="score_cam", findings=("Mass",))
    images = [Image(name, lambda: DARK) for name in "ab"]
    first, second = localize([meta], images, settings)
    np.testing.assert_allclose(first.heatmaps.scores, second.heatmaps.scores)
