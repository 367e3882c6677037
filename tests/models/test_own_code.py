"""Functions of the user's own give models, and any layer of any network can be explained."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.localize import localize
from cxrloc.inference.predict import predict
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.models.any_layer import BoundLayer, to_grid, with_layer
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.types import Radiograph

NETWORK = """
import torch
from torch import nn
from cxrloc import Preprocessing
from mine_beside import WIDTH

class Net(nn.Module):
    findings = ("oedema", "Mass")
    preprocessing = Preprocessing(32, source_size=None)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        first, second = nn.Conv2d(1, WIDTH, 3, 2, 1), nn.Conv2d(WIDTH, 6, 3, 2, 1)
        self.body = nn.Sequential(first, nn.ReLU(), second)
        self.hidden, self.fc = nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, images):
        return self.fc(self.hidden(self.body(images).mean((2, 3))).relu())

def make():
    return Net()

def nothing():
    return 3

def without():
    net = Net()
    net.preprocessing = None
    return net

def fails():
    raise ValueError("no such thing")
"""

IMAGES = [
    Image(str(k), lambda k=k: Radiograph(np.random.default_rng(k).random((32, 32), np.float32), 8))
    for k in range(3)
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(NETWORK)
    (path.parent / "mine_beside.py").write_text("WIDTH = 4\n")
    return path


@pytest.mark.parametrize("where", ["file", "module"])
def test_a_function_gives_the_model(
    file: Path, monkeypatch: pytest.MonkeyPatch, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(file.parent)
    with caplog.at_level("INFO", "cxrloc"):
        model = read_model(f"{file}:make" if where == "file" else "mine:make")
    assert model.card.findings == ("Edema", "Mass")
    assert len(model.sha256) == 64
    assert "code of your own is run" in caplog.text


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nowhere.py:make", UsageError, "nowhere.py: no such file"),
        ("no_such_module_here:make", UsageError, "No module named 'no_such_module_here'"),
        ("{file}:mak", UsageError, "has no function mak.*make"),
        ("{file}:nothing", CxrlocError, "gives a int: it must give a cxrloc.Model"),
        ("{file}:without", CxrlocError, "its Net has no preprocessing"),
        ("{file}:fails", CxrlocError, r"mine\.py, line \d+: ValueError: no such thing"),
    ],
)
def test_what_is_wrong_with_the_code_is_said(
    file: Path, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_model(name.format(file=file))


@pytest.mark.parametrize(
    "findings",
    [
        '{"oedema": 0, "Mass": 1}',
        '{"oedema": 0, "Mass": 1}.keys()',
        'numpy.array(["oedema", "Mass"])',
    ],
)
def test_findings_are_named_by_anything_with_an_order(tmp_path: Path, findings: str) -> None:
    assert read_model(own(tmp_path, findings)).card.findings == ("Edema", "Mass")


@pytest.mark.parametrize(
    "findings", ['"Mass"', 'b"Mass"', "None", "2", "()", '{"Mass", "Edema"}', 'numpy.array("Mass")']
)
def test_findings_that_are_no_list_of_names_are_refused(tmp_path: Path, findings: str) -> None:
    with pytest.raises(CxrlocError, match="its Linear has no list of findings"):
        read_model(own(tmp_path, findings))


def own(folder: Path, findings: str) -> str:
    """The name of a function that gives a network with these findings, a Python expression."""
    (folder / "named.py").write_text(
        "import numpy\nfrom torch import nn\nfrom cxrloc import Preprocessing\n\n"
        "def make():\n    net = nn.Linear(1, 2)\n"
        f"    net.findings, net.preprocessing = {findings}, Preprocessing(32)\n    return net\n"
    )
    return f"{folder / 'named.py'}:make"


def settings(method: str, layer: str, batch_size: int = 2) -> InferenceSettings:
    return InferenceSettings(method, device="cpu", batch_size=batch_size, layer=layer)


def test_a_layer_is_explained_as_the_gradient_says(file: Path) -> None:
    model = read_model(f"{file}:make")
    (first, *_) = localize([model], IMAGES, settings("hirescam", "body.2"))
    image = torch.from_numpy((IMAGES[0].read().pixels - 0.5) / 0.25)[None, None]
    features = model.network.body(torch.round(image * 0.25 * 255 + 127.5) / 255 / 0.25 - 2)
    features.retain_grad()
    logits = model.network.fc(model.network.hidden(features.mean((2, 3))).relu())
    logits[0, 0].backward()
    expected = (features * features.grad).sum(dim=1)[0].detach()
    np.testing.assert_allclose(first.heatmaps.scores[0], expected, rtol=1e-3, atol=1e-5)
    probability = torch.sigmoid(logits[0]).detach()
    np.testing.assert_allclose(first.probabilities, probability, rtol=1e-4)
    (predicted, *_) = predict([model], IMAGES, settings("cam", "body.2"))
    np.testing.assert_allclose(predicted.probabilities, probability, rtol=1e-4)


@pytest.mark.parametrize(
    "method",
    [
        "grad_cam",
        *(
            pytest.param(m, marks=pytest.mark.slow)
            for m in ("ablation_cam", "score_cam", "eigen_cam")
        ),
    ],
)
def test_methods_of_the_grad_cam_package_take_any_layer(file: Path, method: str) -> None:
    (first, *_) = localize([read_model(f"{file}:make")], IMAGES, settings(method, "body.1"))
    assert first.heatmaps.scores.shape == (2, 16, 16)
    assert np.isfinite(first.heatmaps.scores).all()


@pytest.mark.parametrize(
    ("method", "layer", "message"),
    [
        ("cam", "body.1", "a layer has no class activation maps: take a gradient method"),
        ("grad_cam", "bod.1", "has no such layer: choose from body"),
        ("grad_cam", "", "this Net has none as prediction.*--layer NAME"),
        ("grad_cam", "hidden", "has no rows and columns"),
    ],
)
def test_layers_that_cannot_be_explained_are_refused(
    file: Path, method: str, layer: str, message: str
) -> None:
    with pytest.raises(CxrlocError, match=message):
        next(localize([read_model(f"{file}:make")], IMAGES, settings(method, layer)))


def test_tokens_after_prefix_tokens_are_a_grid_and_back() -> None:
    from cxrloc.models.any_layer import from_grid

    tokens = torch.randn(2, 2 + 9, 5)
    grid = to_grid(tokens)
    assert torch.equal(grid[0, :, 1, 2], tokens[0, 2 + 5])
    assert torch.equal(from_grid(grid, tokens), tokens)
    last = torch.randn(2, 3, 3, 5)
    assert torch.equal(from_grid(to_grid(last), last), last)


@pytest.mark.slow
def test_a_vision_transformer_is_explained_before_its_last_attention() -> None:
    timm = pytest.importorskip("timm", reason="needs the extra zoo")
    network = timm.create_model("test_vit", num_classes=2, dynamic_img_size=True).eval()
    card = ModelCard("vit", "nothing", ("Mass", "Nodule"))
    model = Model(network, None, Preprocessing(64, mean=(0.5,) * 3, std=(0.5,) * 3), card)
    last = len(network.blocks) - 1
    layered = with_layer(model, f"blocks.{last}.norm1").network
    bound = layered.bind([])
    assert isinstance(bound, BoundLayer)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        _, features = bound(image)
        torch.testing.assert_close(bound.head(features), network(image))
    assert features.shape == (1, 64, 4, 4)
    (first,) = localize([model], IMAGES[:1], settings("grad_cam", f"blocks.{last}.norm1"))
    assert first.heatmaps.scores.std() > 0
    with pytest.raises(CxrlocError, match="pool reads nothing of the 16 cells"):
        next(localize([model], IMAGES[:1], settings("grad_cam", f"blocks.{last}.mlp")))
