import pytest
import torch

from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.localization.heatmaps import HEATMAPS, cam
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.meta import MetaLocalizer, learn_ages, meta_values, missing_meta
from cxrloc.models.weights import read_model, write_model
from cxrloc.types import Record, Sex, View

FINDINGS = ("Mass", "Nodule")
CONFIG = LocalizerConfig("small_resnet", FINDINGS, architecture="meta", transition_channels=0)
KNOWN = Record("a", "1", "a", None, View.AP, age_years=60.0, sex=Sex.MALE)
UNKNOWN = Record("b", "2", "b", None)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MetaLocalizer(CONFIG).eval()
    learn_ages(network, [20.0, 30.0, 100.0])
    return network


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))


def test_the_two_layers_are_one_over_the_appended_vector(network, images):
    """Baltruschat's Fig. 2: image features and patient features concatenated, then one layer."""
    values = meta_values([KNOWN, UNKNOWN], network.ages_years.tolist())
    pooled = network.backbone(images).mean((2, 3))
    appended = torch.cat([pooled, values], dim=1)
    weight = torch.cat([network.prediction.weight, network.meta.weight], dim=1)
    expected = appended @ weight.T + network.prediction.bias
    torch.testing.assert_close(network(images, values)[0], expected)
    torch.testing.assert_close(network.bind([KNOWN, UNKNOWN])(images)[0], expected)


@pytest.mark.parametrize(
    ("age", "share"),
    [(20.0, 0.0), (60.0, 0.5), (100.0, 1.0), (19.0, 0.0), (101.0, 1.0), (None, 0.125)],
)
def test_ages_are_shares_of_the_training_range_and_clipped(network, age, share):
    subject = Record("a", "1", "a", None, age_years=age)
    assert meta_values([subject], network.ages_years.tolist())[0, 0] == share


def test_what_is_missing_is_half_way_and_said():
    lateral = Record("a", "1", "a", None, View.LATERAL, age_years=1.0, sex=Sex.FEMALE)
    assert meta_values([UNKNOWN, lateral], [0.0, 1.0, 2.0])[:, 1:].tolist() == [
        [0.5, 0.5],
        [0, 0.5],
    ]
    assert missing_meta(UNKNOWN).count("unknown") == 2
    assert missing_meta(lateral) == "view is neither PA nor AP: 0.5 is taken"
    assert missing_meta(KNOWN) == ""


def test_the_identity_of_average_pooling_gains_the_meta_term(network, images):
    logits, maps = cam(network.bind([KNOWN, UNKNOWN]), images)
    term = network.meta(meta_values([KNOWN, UNKNOWN], network.ages_years.tolist()))
    torch.testing.assert_close(maps.mean((2, 3)) + network.prediction.bias + term, logits)


def test_a_map_does_not_depend_on_the_meta_data(network, images):
    for method in ("cam", "grad_cam", "layer_cam"):
        maps = [
            HEATMAPS[method](network.bind([subject]), images[:1])[1] for subject in (KNOWN, UNKNOWN)
        ]
        torch.testing.assert_close(*maps)


def test_ages_travel_with_the_weights(network, tmp_path):
    path = tmp_path / "meta.safetensors"
    write_model(path, network, Preprocessing(size=64), ModelCard("meta", "nothing", FINDINGS))
    again = read_model(path).network
    assert isinstance(again, MetaLocalizer)
    assert again.ages_years.tolist() == [20.0, 30.0, 100.0]


def test_one_age_is_no_range():
    with pytest.raises(CxrlocError, match="two different ages"):
        learn_ages(MetaLocalizer(CONFIG), [40.0, 40.0])
