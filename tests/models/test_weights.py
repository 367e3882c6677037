import dataclasses
import hashlib
import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.imagenet import start_from_imagenet
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.weights import read_model, write_model

CONFIG = LocalizerConfig("resnet18", ("Mass", "Nodule"), transition_channels=16, pooling="lse")
CARD = ModelCard(
    name="test",
    trained_on="nothing",
    findings=CONFIG.findings,
    views=("PA",),
    operating_points={"Mass": 0.25},
    auc={"Mass": 0.75},
    training_patients=("1",),
    validation_patients=("2",),
    training_images=3,
    limits="none good",
)
PREPROCESSING = Preprocessing(size=64, fit="letterbox", mean=(0.4,), std=(0.2,))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    network = Localizer(CONFIG).eval()
    write_model(path, network, PREPROCESSING, CARD)
    return path, network


def test_everything_that_belongs_to_a_network_comes_back(written):
    path, network = written
    model = read_model(path)
    assert (model.config, model.preprocessing, model.card) == (CONFIG, PREPROCESSING, CARD)
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not model.network.training
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(model.network(image)[0], network(image)[0], rtol=0.02, atol=0.02)


def test_weights_are_half_precision_on_disk_and_statistics_exact(written):
    path, network = written
    stored = safetensors.torch.load_file(path)
    assert stored["prediction.weight"].dtype == torch.float16
    assert torch.equal(stored["backbone.bn1.running_var"], network.backbone.bn1.running_var)


def test_others_may_read_the_file_as_far_as_the_umask_lets_them(written, tmp_path):
    (tmp_path / "any").touch()
    assert written[0].stat().st_mode == (tmp_path / "any").stat().st_mode


def test_reading_a_model_draws_no_random_numbers(written):
    before = torch.get_rng_state()
    read_model(written[0])
    assert torch.equal(torch.get_rng_state(), before)


def rewrite(path, out, change_tensors=lambda tensors: None, change_metadata=lambda metadata: None):
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(path)
    change_tensors(tensors)
    change_metadata(metadata)
    safetensors.torch.save_file(tensors, out, metadata)
    return out


def test_a_card_from_before_it_had_these_fields_is_still_read(written, tmp_path):
    def older(metadata):
        card = json.loads(metadata["card"])
        del card["auc"], card["validation_patients"]
        metadata["card"] = json.dumps(card)

    path = rewrite(written[0], tmp_path / "old.safetensors", change_metadata=older)
    assert read_model(path).card == dataclasses.replace(CARD, auc={}, validation_patients=())


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        (lambda t: t.pop("prediction.bias"), None, "weights do not fit the network: Missing key"),
        (
            lambda t: t.update({"prediction.bias": torch.zeros(3)}),
            None,
            r"weights do not fit the network: size mismatch for prediction.bias",
        ),
        (None, lambda m: m.pop("card"), "its metadata has no 'card'"),
        (None, lambda m: m.update(config="{"), "'config' in its metadata cannot be read as JSON"),
        (None, lambda m: m.update(config='{"size": 3}'), "config: unknown key 'size'"),
        (None, lambda m: m.update(preprocessing="{}"), "preprocessing: the key 'size' is missing"),
        (None, lambda m: m.update(card="[1]"), "'card' in its metadata is not a table"),
        (None, lambda m: m.update(card="[" * 5000), "'card' in its metadata"),
        (None, lambda m: m.update(config='{"output_stride": NaN}'), "'config' in its metadata"),
        (None, lambda m: m.update(card='{"auc": {"Mass": 1e999}}'), "'card' in its metadata"),
        (
            None,
            lambda m: m.update(
                card=json.dumps(json.loads(m["card"]) | {"operating_points": {"Mass": "high"}})
            ),
            "card: operating_points: Mass: expected float, got 'high'",
        ),
        (
            lambda t: t["prediction.weight"][0].fill_(float("inf")),
            None,
            r"weight prediction.weight holds a value that is not finite",
        ),
        (
            lambda t: t["backbone.bn1.running_var"][:1].fill_(float("nan")),
            None,
            r"weight backbone.bn1.running_var holds a value that is not finite",
        ),
    ],
)
def test_a_file_that_is_no_model_is_refused_by_name(written, tmp_path, tensors, metadata, message):
    ignore = lambda _: None  # noqa: E731
    path = rewrite(written[0], tmp_path / "bad.safetensors", tensors or ignore, metadata or ignore)
    with pytest.raises(CxrlocError, match=message) as raised:
        read_model(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_truncated_file_and_an_unknown_name_are_refused(written, tmp_path):
    path = tmp_path / "short.safetensors"
    path.write_bytes(written[0].read_bytes()[:1000])
    with pytest.raises(CxrlocError, match="not a whole safetensors file"):
        read_model(path)
    with pytest.raises(CxrlocError, match=r"resnet999: neither a file nor a model .*phantom-v1"):
        read_model("resnet999")


def test_a_card_for_other_findings_is_not_written(written, tmp_path):
    card = dataclasses.replace(CARD, findings=("Nodule", "Mass"))
    with pytest.raises(CxrlocError, match="findings differ"):
        write_model(tmp_path / "x.safetensors", written[1], PREPROCESSING, card)


def test_a_weight_beyond_half_precision_is_not_written(tmp_path):
    network = Localizer(CONFIG)
    torch.nn.init.constant_(network.prediction.weight, 1e5)
    with pytest.raises(CxrlocError, match=r"prediction\.weight is not finite"):
        write_model(tmp_path / "x.safetensors", network, PREPROCESSING, CARD)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_imagenet_weights_come_from_a_local_file_and_grey_sums_the_colours(tmp_path, suffix):
    import torchvision

    classifier = torchvision.models.resnet18()
    path = tmp_path / f"resnet18{suffix}"
    save = torch.save if suffix == ".pt" else safetensors.torch.save_file
    save(classifier.state_dict(), path)
    network = Localizer(CONFIG)
    start_from_imagenet(network, path)
    assert torch.equal(network.backbone.layer4[1].conv2.weight, classifier.layer4[1].conv2.weight)
    torch.testing.assert_close(
        network.backbone.conv1.weight, classifier.conv1.weight.sum(dim=1, keepdim=True)
    )


def test_imagenet_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(CxrlocError, match=r"other\.pt: no weights for resnet18: conv1\.weight"):
        start_from_imagenet(Localizer(CONFIG), path)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    path = tmp_path / "evil.pt"
    torch.save({"conv1.weight": print}, path)
    with pytest.raises(CxrlocError, match=r"evil\.pt: no network that can be read safely"):
        start_from_imagenet(Localizer(CONFIG), path)


def test_real_imagenet_weights_of_mobilenet_fit(shared):
    network = Localizer(LocalizerConfig("mobilenet_v2", ("Mass",), transition_channels=0))
    start_from_imagenet(network, shared / "weights" / "mobilenet_v2_imagenet.pt")
    _, features = network.eval()(torch.zeros(1, 1, 64, 64))
    assert features.isfinite().all()


def test_a_graph_is_told_which_commands_take_it(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"\x08\x0a")
    with pytest.raises(CxrlocError, match="only `cxrloc heatmap`, `page` and `models` take one"):
        read_model(tmp_path / "a.onnx")


@pytest.mark.parametrize("kind", ["state dict", "whole network", "pickle", "suffix alone"])
def test_a_checkpoint_of_pytorch_is_told_what_to_do_with_it(kind, tmp_path):
    path = tmp_path / ("weights.pth" if kind == "suffix alone" else "weights.bin")
    network = Localizer(LocalizerConfig("small_resnet", ("Mass",)))
    if kind == "state dict":
        torch.save(network.state_dict(), path)
    elif kind == "whole network":
        torch.save(network.prediction, path)
    elif kind == "pickle":
        torch.save(network.prediction.state_dict(), path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(b"")
    with pytest.raises(CxrlocError, match=r"a checkpoint of PyTorch.*train RECIPE --start FILE"):
        read_model(path)


def test_the_same_network_and_card_give_the_same_bytes(written, tmp_path):
    """The library alone writes metadata in an order that changes from call to call."""
    path, network = written
    for again in range(8):
        write_model(tmp_path / f"{again}.safetensors", network, PREPROCESSING, CARD)
        assert (tmp_path / f"{again}.safetensors").read_bytes() == path.read_bytes()


def test_a_card_with_a_number_that_is_not_finite_is_not_written(written, tmp_path):
    card = dataclasses.replace(CARD, auc={"Mass": float("nan")})
    with pytest.raises(CxrlocError, match="a number of its card or settings is not finite"):
        write_model(tmp_path / "a.safetensors", written[1], PREPROCESSING, card)
    assert not [*tmp_path.iterdir()]


def test_names_in_a_card_are_standard_ones_in_the_order_of_the_outputs(tmp_path):
    names = ("normal", "PT", "Pleural Effusion", "coin_lesion")
    config = replace(CONFIG, findings=names)
    points = {"pleural effusion": 0.25, "PT": 0.5}
    card = ModelCard("mine", "", names, operating_points=points)
    path = tmp_path / "mine.safetensors"
    write_model(path, Localizer(config), PREPROCESSING, card)
    read = read_model(path)
    standard = ("No Finding", "Pleural_Thickening", "Effusion", "coin_lesion")
    assert read.card.findings == read.config.findings == standard
    assert read.card.operating_points == {"Effusion": 0.25, "Pleural_Thickening": 0.5}


def test_two_outputs_of_one_finding_are_refused():
    with pytest.raises(CxrlocError, match="name Mass twice, as 'Mass' and as 'lung mass'"):
        ModelCard("mine", "", ("Mass", "lung mass"))
