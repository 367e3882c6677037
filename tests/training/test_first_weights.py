import pytest
import torch
from torch import nn

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.weights import ModelCard, write_model
from cxrloc.training.first_weights import _is_folded, earlier_models


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
