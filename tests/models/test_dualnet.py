import pytest
import torch

from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.localization.heatmaps import HEATMAPS, cam
from cxrloc.models.card import ModelCard
from cxrloc.models.dualnet import DualNet, start_from_views
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.networks import build_network
from cxrloc.models.weights import read_model, write_model
from cxrloc.types import Record, View

FINDINGS = ("Mass", "Nodule", "Hernia")
CONFIG = LocalizerConfig("small_resnet", FINDINGS, architecture="dualnet", transition_channels=0)
FRONTAL = Record("f", "1", "s", None, View.PA)
LATERAL = Record("l", "1", "s", None, View.LATERAL)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DualNet(CONFIG).eval()


@pytest.fixture(scope="module")
def pairs():
    return torch.rand(2, 2, 64, 96, generator=torch.Generator().manual_seed(0))


def test_an_unknown_architecture_names_those_that_there_are():
    config = LocalizerConfig("small_resnet", FINDINGS, architecture="triplenet")
    with pytest.raises(CxrlocError, match="unknown: choose one of localizer, dualnet, meta"):
        build_network(config)


def test_the_prediction_reads_both_views_as_rubin_draws_it(network, pairs):
    """Fig. 1: two networks, their pooled outputs concatenated, one fully connected layer."""
    frontal = network.frontal(pairs[:, :1]).mean((2, 3))
    lateral = network.lateral(pairs[:, 1:]).mean((2, 3))
    expected = network.prediction(torch.cat([frontal, lateral], dim=1))
    torch.testing.assert_close(network(pairs)[0], expected)


def test_each_views_map_comes_from_its_half_of_the_weights(network, pairs):
    with torch.no_grad():
        direct = network.lateral(pairs[1:, 1:])
    weights = network.prediction.weight[:, direct.shape[1] :]
    expected = torch.einsum("bdhw,cd->bchw", direct, weights)
    logits, maps = cam(network.bind([FRONTAL, LATERAL]), pairs)
    torch.testing.assert_close(maps[1:], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, network(pairs)[0])


def test_the_two_maps_and_the_bias_make_the_logit(network, pairs):
    one = pairs[:1]
    logits, of_frontal = cam(network.bind([FRONTAL]), one)
    _, of_lateral = cam(network.bind([LATERAL]), one)
    total = of_frontal.mean((2, 3)) + of_lateral.mean((2, 3)) + network.prediction.bias
    torch.testing.assert_close(total, logits)


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam", "grad_cam_plus_plus", "xgrad_cam"])
def test_gradients_of_a_views_map_ignore_the_other_view(network, pairs, method):
    frontal = pairs[:1]
    changed = torch.cat([frontal[:, :1], 1 - frontal[:, 1:]], dim=1)
    bound = network.bind([FRONTAL])
    maps, after = (HEATMAPS[method](bound, images, [0])[1] for images in (frontal, changed))
    torch.testing.assert_close(maps, after)


def test_it_starts_where_the_two_models_end(pairs):
    single = LocalizerConfig("small_resnet", FINDINGS, transition_channels=0)
    frontal, lateral, network = Localizer(single), Localizer(single), DualNet(CONFIG)
    start_from_views(network, frontal, lateral)
    for each in (frontal, lateral, network):
        each.eval()
    mean = (frontal(pairs[:, :1])[0] + lateral(pairs[:, 1:])[0]) / 2
    torch.testing.assert_close(network(pairs)[0], mean)


def test_models_that_do_not_fit_are_refused():
    wide = Localizer(LocalizerConfig("small_resnet", FINDINGS, transition_channels=8))
    fitting = Localizer(LocalizerConfig("small_resnet", FINDINGS, transition_channels=0))
    other = Localizer(LocalizerConfig("small_resnet", FINDINGS[:2], transition_channels=0))
    with pytest.raises(CxrlocError, match="lateral model has another trunk: Unexpected key"):
        start_from_views(DualNet(CONFIG), fitting, wide)
    with pytest.raises(CxrlocError, match="frontal model has other findings"):
        start_from_views(DualNet(CONFIG), other, fitting)


def test_a_dualnet_comes_back_from_its_file(network, pairs, tmp_path):
    card = ModelCard("dual", "nothing", FINDINGS, views=("PA", "LATERAL"))
    write_model(tmp_path / "dual.safetensors", network, Preprocessing(size=64), card)
    again = read_model(tmp_path / "dual.safetensors").network
    assert isinstance(again, DualNet)
    torch.testing.assert_close(again(pairs)[0], network(pairs)[0], rtol=0.02, atol=0.02)
