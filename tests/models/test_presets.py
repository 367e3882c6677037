"""Presets on files of the structure that the published repositories have, with random weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from cxrloc.findings import CHESTXRAY14
from cxrloc.models.adopt import Adopted, adopt
from cxrloc.models.adoption import AdoptOptions, adoption_of
from cxrloc.models.library_backbones import torchvision_classifier

pytestmark = pytest.mark.slow  # whole DenseNets and ResNets


@pytest.fixture(scope="module")
def densenet() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision.models.densenet121(num_classes=14)
    network.classifier = nn.Sequential(nn.Linear(1024, 14), nn.Sigmoid())
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network.eval()


def adopted(paths: Path | list[Path], preset: str, **options: Any) -> Adopted:
    files = paths if isinstance(paths, list) else [paths]
    return adopt(files, adoption_of(AdoptOptions(preset=preset, **options), preset))


def image(adopted: Adopted) -> Tensor:
    size, channels = adopted.model.preprocessing.size, len(adopted.model.preprocessing.mean)
    return torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(1))


def probabilities(adopted: Adopted) -> Tensor:
    with torch.no_grad():
        return adopted.model.probabilities(adopted.model.network(image(adopted))[0])


def old_name(name: str) -> str:
    """torchvision's name before version 0.2, as arnoweng's model.pth.tar has it."""
    for layer in ("norm", "conv", "relu"):
        for number in "12":
            if "denselayer" in name:
                name = name.replace(f"{layer}{number}.", f"{layer}.{number}.")
    return name


def test_chexnet_has_old_names_a_wrapper_and_a_sigmoid(densenet: Any, tmp_path: Path) -> None:
    wrapped = {
        f"module.densenet121.{old_name(name)}": tensor
        for name, tensor in densenet.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert "module.densenet121.features.denseblock1.denselayer1.norm.1.weight" in wrapped
    content = {"epoch": 7, "best_loss": 0.15, "state_dict": wrapped, "optimizer": {"state": {}}}
    path = tmp_path / "model.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    result = adopted(path, "chexnet")
    assert result.model.card.findings == CHESTXRAY14
    assert result.model.card.may_have_seen == ("ChestX-ray14",)
    with torch.no_grad():
        torch.testing.assert_close(
            probabilities(result), densenet(image(result)), rtol=1e-3, atol=1e-4
        )


def test_zoogzog_has_todays_names(densenet: Any, tmp_path: Path) -> None:
    wrapped = {f"module.densenet121.{name}": t for name, t in densenet.state_dict().items()}
    torch.save({"state_dict": wrapped, "optimizer": {}}, tmp_path / "m-25012018.pth.tar")
    result = adopted(tmp_path / "m-25012018.pth.tar", "zoogzog")
    with torch.no_grad():
        torch.testing.assert_close(
            probabilities(result), densenet(image(result)), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("zipped", [True, False])
def test_reproduce_chexnet_saved_the_whole_network(
    densenet: Any, tmp_path: Path, zipped: bool
) -> None:
    content = {
        "model": densenet,
        "best_loss": torch.tensor(0.15),
        "epoch": 3,
        "rng_state": torch.get_rng_state(),
        "LR": 0.01,
    }
    torch.save(content, tmp_path / "checkpoint", _use_new_zipfile_serialization=zipped)
    result = adopted(tmp_path / "checkpoint", "reproduce-chexnet")
    assert result.model.card.licence == "BSD-3-Clause"
    with torch.no_grad():
        torch.testing.assert_close(
            probabilities(result), densenet(image(result)), rtol=1e-3, atol=1e-4
        )


def test_jfhealthcare_has_a_head_per_finding_and_pcam_pooling(
    densenet: Any, tmp_path: Path
) -> None:
    weights = {
        f"backbone.{name}": tensor
        for name, tensor in densenet.state_dict().items()
        if not name.startswith("classifier")
    }
    heads = [nn.Conv2d(1024, 1, 1) for _ in range(5)]
    for index, head in enumerate(heads):
        nn.init.normal_(head.weight, std=0.2)
        normalisation = nn.BatchNorm2d(1024)
        for kind, layer in (("fc", head), ("bn", normalisation)):
            weights |= {f"{kind}_{index}.{k}": v for k, v in layer.state_dict().items()}
    weights["attention_map.channel_attention.fc1.weight"] = torch.ones(512, 1024)
    torch.save({"epoch": 1, "state_dict": weights, "auc_dev_best": 0.9}, tmp_path / "best1.ckpt")
    result = adopted(tmp_path / "best1.ckpt", "jfhealthcare", size=128)
    with torch.no_grad():
        features = F.relu(densenet.features(image(result)))
        expected = []
        for head in heads:  # as its global_pool.py and classifier.py do
            p = torch.sigmoid(head(features))
            pooled = (features * p / p.sum(dim=(2, 3), keepdim=True)).sum((2, 3), keepdim=True)
            expected.append(head(pooled)[:, 0, 0, 0])
    torch.testing.assert_close(
        probabilities(result), torch.sigmoid(torch.stack(expected, 1)), rtol=1e-3, atol=1e-4
    )


def test_chexpert_of_irvin_et_al(densenet: Any, tmp_path: Path) -> None:
    head = nn.Linear(1024, 5)
    body = {n: t for n, t in densenet.state_dict().items() if not n.startswith("classifier")}
    weights = {**body, **{f"classifier.{n}": t for n, t in head.state_dict().items()}}
    content = {
        "model_state": {f"module.model.{name}": tensor for name, tensor in weights.items()},
        "task_sequence": {"Atelectasis": 0},
        "ckpt_info": {"epoch": 1},
    }
    torch.save(content, tmp_path / "iter_1.pth.tar")
    findings = "Atelectasis,Cardiomegaly,Consolidation,Edema,Pleural Effusion"
    result = adopted(tmp_path / "iter_1.pth.tar", "chexpert", findings=findings)
    assert result.model.card.findings[-1] == "Effusion"
    assert result.from_library == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("preset", "architecture", "outputs", "prefix"),
    [("xrv-view", "resnet50", 1000, ""), ("xrv-sex", "resnet34", 2, "model.")],
)
def test_baseline_models_of_torchxrayvision(
    tmp_path: Path, preset: str, architecture: str, outputs: int, prefix: str
) -> None:
    network = torchvision_classifier(architecture, num_classes=outputs)
    state = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state} if prefix else state, tmp_path / "w.ckpt")
    result = adopted(tmp_path / "w.ckpt", preset)
    assert len(result.model.card.findings) == 2
    assert result.from_library == pytest.approx(0.0, abs=1e-4)


def test_a_probe_on_rad_dino_is_the_backbone_of_transformers_and_a_linear_layer(
    tmp_path: Path,
) -> None:
    transformers = pytest.importorskip("transformers", reason="oracle of its own names")
    # As RAD-DINO, but for smaller images: the two libraries resize position embeddings differently.
    config = transformers.Dinov2Config(image_size=224, patch_size=14)
    backbone = transformers.Dinov2Model(config).eval()
    backbone.save_pretrained(tmp_path)
    probe = nn.Linear(768, 3)
    torch.save(probe.state_dict(), tmp_path / "probe.pt")
    files = [tmp_path / "model.safetensors", tmp_path / "probe.pt"]
    result = adopted(files, "rad-dino", findings="Mass,Nodule,Edema", size=224)
    assert "left out as asked: mask_token" in result.notes
    with torch.no_grad():
        token = backbone(image(result)).last_hidden_state[:, 0]
        expected = torch.sigmoid(probe(token))
    torch.testing.assert_close(probabilities(result), expected, rtol=1e-3, atol=1e-3)
