from pathlib import Path

import pytest
import torch
from torch import nn

from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.names import DEFAULT_MODEL
from cxrloc.models.networks import build_network
from cxrloc.models.weights import read_model, write_model
from cxrloc.recipe import read_recipe
from cxrloc.training.first_weights import _is_folded, earlier_models, fill, start


@pytest.mark.parametrize(("variance", "folded"), [(1.0, True), (1 - 1e-5, True), (0.9, False)])
def test_normalisation_folded_with_or_without_its_eps_is_noticed(variance, folded):
    layer = nn.BatchNorm2d(2)
    layer.running_var.fill_(variance)
    assert _is_folded(layer) is folded


def test_a_model_that_training_starts_from_tells_who_trained_it(tmp_path):
    config = LocalizerConfig("small_resnet", ("Mass",), transition_channels=0)
    card = ModelCard("first", "three images", ("Mass",), training_patients=("a", "b"))
    write_model(tmp_path / "m.safetensors", Localizer(config), Preprocessing(size=64), card)
    (model,) = earlier_models(str(tmp_path / "m.safetensors"))
    assert model.card.training_patients == ("a", "b")
    torch.save({}, tmp_path / "imagenet.pt")
    assert earlier_models(str(tmp_path / "imagenet.pt")) == earlier_models("scratch") == []


def test_outputs_of_known_findings_are_kept_wherever_they_stand_and_others_begin_anew(tmp_path):
    known, wanted = ("Mass", "Edema"), ("Edema", "Nodule", "Mass")
    first, second = (
        Localizer(LocalizerConfig("small_resnet", findings, transition_channels=0))
        for findings in (known, wanted)
    )
    nodule = second.prediction.weight[1].clone()
    path = tmp_path / "m.safetensors"
    write_model(path, first, Preprocessing(size=64), ModelCard("m", "", known))
    start(second, str(path), torch.zeros(2, 1, 64, 64))
    first_state, second_state = first.state_dict(), second.state_dict()
    for name in ("prediction.weight", "prediction.bias"):
        torch.testing.assert_close(second_state[name][[2, 0]], first_state[name], atol=1e-3, rtol=0)
    assert torch.equal(second.prediction.weight[1], nodule)
    backbone = "backbone.0.weight"
    torch.testing.assert_close(second_state[backbone], first_state[backbone], atol=1e-3, rtol=0)


def test_the_recipe_of_the_embedded_model_needs_no_file_of_weights() -> None:
    recipe = read_recipe("nih_small")
    network = build_network(recipe.network)
    fill(network, recipe.start)
    embedded = read_model(DEFAULT_MODEL)
    assert recipe.network.findings[:8] == embedded.card.findings  # of its 14, with an expert's box
    for name, tensor in network.state_dict().items():
        ours = tensor[:8] if name.startswith("prediction") else tensor
        torch.testing.assert_close(ours, embedded.network.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([1, 2], id="a list"),
        pytest.param({1: torch.zeros(2)}, id="numbers for names"),
        pytest.param({"conv1.weight": "text"}, id="text for tensors"),
        pytest.param({"model": torch.zeros(2), "epoch": 3}, id="other things beside a tensor"),
    ],
)
def test_a_file_of_torch_without_weights_is_one_line(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "mine.pth")
    network = Localizer(LocalizerConfig("small_resnet", ("Mass",)))
    with pytest.raises(CxrlocError, match=r"mine\.pth: .*no tensors by name") as refusal:
        fill(network, str(tmp_path / "mine.pth"))
    assert "\n" not in str(refusal.value)


def test_a_checkpoint_of_a_training_is_no_first_weights(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match=r"--resume\): start another one from the model\.safet"):
        fill(Localizer(LocalizerConfig("small_resnet", ("Mass",))), str(tmp_path / "last.ckpt"))
