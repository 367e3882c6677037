"""Weights of odd checkpoints become models whose logits are those of the library's classifier."""

import argparse
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.adopt import Adopted, adopt
from cxrloc.models.adoption import Adoption
from cxrloc.models.card import ModelCard
from cxrloc.models.checkpoint_files import read_checkpoint
from cxrloc.models.library_backbones import timm_network, torchvision_classifier
from cxrloc.models.weights import read_model, write_model

pytest.importorskip("timm", reason="needs the extra zoo")

FINDINGS = ("Mass", "Nodule", "Edema")
RGB = Preprocessing(96, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def resnet() -> Weights:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm_network("test_resnet", num_classes=3)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network.state_dict()


def adopted(
    path: Path | list[Path], architecture: str = "timm:test_resnet", **settings: Any
) -> Adopted:
    paths = path if isinstance(path, list) else [path]
    defaults = {"findings": FINDINGS, "preprocessing": RGB, "card": ModelCard("x", "y", ())}
    return adopt(paths, Adoption(architecture, **{**defaults, **settings}))


def renamed(weights: Mapping[str, Tensor], **changes: str) -> Weights:
    out = dict(weights)
    for old, new in changes.items():
        out = {name.replace(f"{old}.", new): tensor for name, tensor in out.items()}
    return out


def prefixed(weights: Mapping[str, Tensor], prefix: str) -> Weights:
    return {prefix + name: tensor for name, tensor in weights.items()}


class Trainer:
    """An object of the user's own class, such as a Lightning checkpoint has in its settings."""

    def __init__(self) -> None:
        self.secret, self.path = object, Path("x")


WRAPPED: dict[str, Callable[[Weights], Any]] = {
    "a state dict": lambda w: w,
    "DataParallel": lambda w: {"epoch": 3, "state_dict": prefixed(w, "module.")},
    "Lightning, with settings of its own classes": lambda w: {
        "state_dict": prefixed(w, "model.net."),
        "hyper_parameters": {"args": argparse.Namespace(lr=1), "trainer": Trainer()},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
        "callbacks": {"best": torch.ones(2)},
    },
    "model_state_dict and optimizer": lambda w: {
        "model_state_dict": w,
        "optimizer_state_dict": {"state": {}, "x": torch.ones(2)},
        "rng_state": torch.get_rng_state(),
    },
    "a head after dropout": lambda w: renamed(w, fc="fc.1."),
    "a head before a sigmoid": lambda w: renamed(w, fc="classifier.0."),
    "a head as 1 x 1 convolution": lambda w: {**w, "fc.weight": w["fc.weight"][..., None, None]},
    "a head per finding": lambda w: {
        **{name: tensor for name, tensor in w.items() if not name.startswith("fc.")},
        **{f"fc_{k}.weight": w["fc.weight"][k : k + 1] for k in range(3)},
        **{f"fc_{k}.bias": w["fc.bias"][k : k + 1] for k in range(3)},
    },
    "no counters": lambda w: {n: t for n, t in w.items() if not n.endswith("num_batches_tracked")},
    "a second, averaged copy": lambda w: {
        **prefixed(w, "model."),
        **prefixed({name: tensor * 0 for name, tensor in w.items()}, "ema_model."),
    },
    "backbone and head apart": lambda w: {
        **{f"encoder.{n}": t for n, t in w.items() if not n.startswith("fc.")},
        **{f"head.{n.removeprefix('fc.')}": t for n, t in w.items() if n.startswith("fc.")},
    },
}


FAST = ("DataParallel", "a head before a sigmoid")
"""Kinds of checkpoints that are tried always; the others are marked slow."""


@pytest.mark.parametrize(
    "kind", [k if k in FAST else pytest.param(k, marks=pytest.mark.slow) for k in WRAPPED]
)
def test_wrappers_are_undone_and_logits_are_the_librarys(
    kind: str, resnet: Weights, tmp_path: Path
) -> None:
    torch.save(WRAPPED[kind](resnet), tmp_path / "weights.pth.tar")
    result = adopted(tmp_path / "weights.pth.tar")
    assert result.from_library == pytest.approx(0.0, abs=1e-5)
    assert result.model.card.findings == FINDINGS
    torch.testing.assert_close(result.model.network.prediction.weight, resnet["fc.weight"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["w.safetensors", "w.bin", "old.pth"])
def test_every_kind_of_file_is_read(name: str, resnet: Weights, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(resnet, path)
    else:
        torch.save(resnet, path, _use_new_zipfile_serialization=path.stem != "old")
    assert adopted(path).from_library is not None


@pytest.mark.parametrize("zipped", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_network_saved_as_a_whole_is_read_by_the_inert_reader(
    resnet: Weights, tmp_path: Path, zipped: bool
) -> None:
    network = timm_network("test_resnet", num_classes=3)
    network.load_state_dict(resnet)
    content = {"model": network, "best_loss": 0.1, "rng_state": torch.get_rng_state()}
    torch.save(content, tmp_path / "checkpoint", _use_new_zipfile_serialization=zipped)
    assert adopted(tmp_path / "checkpoint").from_library == pytest.approx(0.0, abs=1e-5)


@pytest.mark.slow
def test_half_floats_and_one_channel_are_kept_exactly(resnet: Weights, tmp_path: Path) -> None:
    first = "conv1.0.weight"
    grey = {**resnet, first: resnet[first].sum(dim=1, keepdim=True)}
    torch.save(
        {n: t.half() if t.is_floating_point() else t for n, t in grey.items()}, tmp_path / "w"
    )
    result = adopted(tmp_path / "w", preprocessing=Preprocessing(96))
    assert result.model.config is not None
    assert result.model.config.input_channels == 1
    with pytest.raises(CxrlocError, match="reads 1 channel, but the preprocessing makes 3: --mean"):
        adopted(tmp_path / "w")
    torch.save(resnet, tmp_path / "rgb")
    prepared = adopted(tmp_path / "rgb", preprocessing=Preprocessing(96)).model.preprocessing
    assert prepared.mean == (0.5, 0.5, 0.5)  # one mean stands for all channels


def test_the_file_that_is_written_gives_the_same_probabilities(
    resnet: Weights, tmp_path: Path
) -> None:
    torch.save(resnet, tmp_path / "w.pth")
    model = adopted(tmp_path / "w.pth").model
    write_model(
        tmp_path / "m.safetensors", model.network, model.preprocessing, model.card, half=False
    )
    again = read_model(tmp_path / "m.safetensors")
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        assert_close(again.network(image)[0], model.network(image)[0])
    assert again.card.provenance["architecture"] == "timm:test_resnet"
    assert len(again.card.provenance["weights_sha256"]) == 64


def lacking(weights: Weights, start: str) -> Weights:
    return {name: tensor for name, tensor in weights.items() if not name.startswith(start)}


UNFIT: list[tuple[Callable[[Weights], Weights], str]] = [
    (
        lambda w: {**w, "criterion.weight": torch.ones(3)},
        r"weights that are not of .*criterion\.weight.*--without 'criterion\*'",
    ),
    (lambda w: {**w, "fc.weight": torch.ones(3, 9)}, "no head: a linear layer that reads"),
    (lambda w: lacking(w, "fc."), "no head: a linear layer that reads"),
    (lambda w: lacking(w, "bn1.w"), r"1 of the .* missing: bn1\.weight \(similar: \S+\)"),
    (lambda w: {**w, "bn1.weight": torch.ones(7)}, r"shapes of another .*bn1\.weight \(7,\)"),
    (lambda w: {**w, "bn1.weight": w["bn1.weight"] * float("nan")}, "bn1.weight holds a value"),
    (lambda w: {**w, "fc.weight": torch.ones(5, 96), "fc.bias": torch.ones(5)}, "5 outputs, but 3"),
]


@pytest.mark.parametrize(
    ("change", "message"),
    [*UNFIT[:2], *(pytest.param(*row, marks=pytest.mark.slow) for row in UNFIT[2:])],
)
def test_weights_that_do_not_fit_are_listed(
    resnet: Weights, tmp_path: Path, change: Callable[[Weights], Weights], message: str
) -> None:
    torch.save(change(resnet), tmp_path / "w.pth")
    with pytest.raises(CxrlocError, match=message) as raised:
        adopted(tmp_path / "w.pth")
    assert str(tmp_path / "w.pth") in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"findings": FINDINGS[:2]}, "its head has 3 outputs, but 2 findings are named"),
        ({"architecture": "resnet18"}, "of the 100 weights of this architecture are missing"),
        ({"architecture": "resnt50"}, "neither torchvision nor timm has it .did you .*resnet50"),
        ({"architecture": "vgg16"}, "vgg16: its logits come from two layers"),
        ({"architecture": "inception_v3"}, "cannot be adopted: its branches"),
        ({"architecture": "mobilenet_v3_small"}, "two layers after the pooling"),
        ({"tokens": "class"}, "has no class token"),
    ],
)
def test_what_the_user_says_must_fit(
    resnet: Weights, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    torch.save(resnet, tmp_path / "w.pth")
    with pytest.raises(CxrlocError, match=message):
        adopted(tmp_path / "w.pth", **settings)


def test_a_head_of_average_and_maximum_is_refused_with_what_to_do(
    resnet: Weights, tmp_path: Path
) -> None:
    torch.save({**resnet, "fc.weight": resnet["fc.weight"].repeat(1, 2)}, tmp_path / "w.pth")
    with pytest.raises(CxrlocError, match=r"twice as many as .* average and a maximum"):
        adopted(tmp_path / "w.pth")


def test_three_classes_of_which_one_is_present_have_probabilities_of_softmax(
    resnet: Weights, tmp_path: Path
) -> None:
    torch.save(resnet, tmp_path / "w.pth")
    card = ModelCard("x", "y", (), probabilities="softmax")
    found = adopted(tmp_path / "w.pth", findings=("Normal", "Pneumonia", "COVID-19"), card=card)
    torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(2))
    assert found.model.card.findings[1:] == ("Pneumonia", "COVID-19")


@pytest.mark.slow
def test_googlenet_is_adopted_and_its_input_is_asked_for(tmp_path: Path) -> None:
    network = torchvision_classifier("googlenet", num_classes=3)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    found = adopted(tmp_path / "w.pth", "googlenet")
    assert found.from_library is not None
    assert "transform_input" in found.notes[-1]


@pytest.mark.slow
def test_what_the_user_leaves_out_is_left_out_and_said(resnet: Weights, tmp_path: Path) -> None:
    torch.save({**resnet, "loss.pos_weight": torch.ones(3)}, tmp_path / "w.pth")
    result = adopted(tmp_path / "w.pth", without=("loss.*",), findings=("Mass", "-", "oedema"))
    assert result.notes == ("left out as asked: loss.pos_weight",)
    assert result.model.card.findings == ("Mass", "Edema")
    torch.testing.assert_close(result.model.network.prediction.weight, resnet["fc.weight"][[0, 2]])


@pytest.mark.slow
def test_several_places_of_weights_are_said_and_chosen_by_key(
    resnet: Weights, tmp_path: Path
) -> None:
    averaged = {name: tensor * 2 for name, tensor in resnet.items()}
    torch.save({"ema": averaged, "state_dict": resnet}, tmp_path / "w.pth")
    assert "left out weights under 'ema' (--key takes them)" in adopted(tmp_path / "w.pth").notes[1]
    ema = adopted(tmp_path / "w.pth", key="ema").model.network.prediction.weight
    torch.testing.assert_close(ema, resnet["fc.weight"] * 2)
    with pytest.raises(UsageError, match=r"--key teacher: .* has weights under ema, state_dict"):
        read_checkpoint(tmp_path / "w.pth", "teacher")


class Runs:
    def __reduce__(self) -> Any:
        return print, ("this file ran something",)


@pytest.mark.parametrize("zipped", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_nothing_of_a_file_is_executed(
    resnet: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str], zipped: bool
) -> None:
    content = {"state_dict": resnet, "hyper_parameters": Runs()}
    torch.save(content, tmp_path / "w.ckpt", _use_new_zipfile_serialization=zipped)
    assert adopted(tmp_path / "w.ckpt").from_library is not None
    torch.save(Runs(), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CxrlocError, match="no network that can be read safely"):
        adopted(tmp_path / "w.pth")
    assert capsys.readouterr().out == ""


def test_torchscript_is_refused_as_a_program(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps({"fc.weight": 1}))
        archive.writestr("w/code/__torch__.py", "class Net: ...")
    with pytest.raises(CxrlocError, match="TorchScript file holds a program"):
        adopted(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 no archive"])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CxrlocError, match=r"w\.pth: no network that can be read safely"):
        adopted(tmp_path / "w.pth")


@pytest.mark.slow
def test_a_layer_normalisation_before_the_head_becomes_pooling_and_prediction(
    tmp_path: Path,
) -> None:
    network = timm_network("test_convnext", num_classes=3)
    for parameter in (network.head.norm.weight, network.head.norm.bias):
        nn.init.normal_(parameter)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    result = adopted(tmp_path / "w.pth", "timm:test_convnext")
    assert result.from_library == pytest.approx(0.0, abs=1e-5)
    assert result.model.config is not None
    assert result.model.config.pooling == "average_normalised"


@pytest.fixture(scope="module")
def vit() -> Weights:
    return timm_network("test_vit@96", num_classes=3).state_dict()


def test_a_head_of_the_class_token_gives_the_same_logits_and_flat_maps(
    vit: Weights, tmp_path: Path
) -> None:
    from cxrloc.localization.heatmaps import cam

    torch.save(vit, tmp_path / "w.pth")
    result = adopted(tmp_path / "w.pth", "timm:test_vit")
    assert result.from_library == pytest.approx(0.0, abs=1e-5)
    assert result.model.config is not None
    assert result.model.config.backbone == "timm:test_vit@96"  # as its position embeddings say
    maps = cam(result.model.network, torch.rand(1, 3, 96, 96))[1]
    assert float(maps.std(dim=(2, 3)).max()) < 1e-5


@pytest.mark.slow
def test_a_probe_in_a_file_of_its_own_reads_class_token_and_patches(
    vit: Weights, tmp_path: Path
) -> None:
    body = {name: tensor for name, tensor in vit.items() if not name.startswith("head.")}
    safetensors.torch.save_file(body, tmp_path / "backbone.safetensors")
    probe = nn.Linear(2 * 64, 3)
    torch.save(probe.state_dict(), tmp_path / "probe.pt")
    files = [tmp_path / "backbone.safetensors", tmp_path / "probe.pt"]
    network = timm_network("test_vit@96", num_classes=0).eval()
    network.load_state_dict(body)
    image = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        tokens = network.forward_features(image)
        expected = probe(torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1))
        ours = adopted(files, "timm:test_vit").model.network(image)[0]
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(CxrlocError, match="--tokens class: its head reads 128 numbers"):
        adopted(files, "timm:test_vit", tokens="class")


def test_an_old_file_whose_table_of_storages_is_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a.weight": torch.ones(2, 3)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    at = content.rindex(b"X")  # the list of storages' keys stands last
    path.write_bytes(content[: at + 5] + b"x" + content[at + 6 :])
    with pytest.raises(CxrlocError, match=r"w\.pth"):
        read_checkpoint(path)
