import pytest
import torch
from torch import nn

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.weights import ModelCard, write_model
from cxrloc.training.first_weights import _is_folded, earlier_models, start


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


@pytest.mark.parametrize(
    ("findings", "kept"), [(("Mass", "Edema"), True), (("Edema", "Mass"), False)]
)
def test_outputs_of_other_findings_begin_anew(tmp_path, findings, kept):
    """As many, but of another order: what the layer knows of Mass is nothing of Edema."""
    networks = [
        Localizer(LocalizerConfig("small_resnet", names, transition_channels=0))
        for names in (("Mass", "Edema"), findings)
    ]
    path = tmp_path / "m.safetensors"
    write_model(path, networks[0], Preprocessing(size=64), ModelCard("m", "", ("Mass", "Edema")))
    start(networks[1], str(path), torch.zeros(2, 1, 64, 64))
    given, own = (network.state_dict() for network in networks)
    name = "prediction.weight"
    assert torch.allclose(given[name], own[name], atol=1e-3) is kept
    assert torch.allclose(given["backbone.0.weight"], own["backbone.0.weight"], atol=1e-3)
