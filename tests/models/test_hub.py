"""The hub on this machine: a stub of its addresses, from which real files are fetched."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch.testing import assert_close

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.library_backbones import timm_network
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model

constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra hub")
REPO = "https://huggingface.co/me/mine"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Stub(BaseHTTPRequestHandler):
    """Addresses of the hub that are used: resolve, and those of a push."""

    files: dict[str, bytes]
    asked: list[str]

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        repo, _, rest = self.path.removeprefix("/").partition("/resolve/")
        name = rest.partition("/")[2]
        content = self.files.get(f"{repo}/{name}")
        if content is not None:
            self.answer(200, content, ETag=f'"{hash(content)}"', X_Repo_Commit=COMMIT)
        elif any(path.startswith(f"{repo}/") for path in self.files):
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
        else:
            self.answer(404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET  # noqa: N815 (the name that http.server calls)

    def do_POST(self) -> None:
        self.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        reply: dict[str, Any] = {"errors": [], "warnings": [], "url": REPO, "id": "me/mine"}
        if "/preupload/" in self.path:
            names = [each["path"] for each in json.loads(body)["files"]]
            reply["files"] = [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
            ]
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.files[f"me/mine/{value['path']}"] = base64.b64decode(value["content"])
            reply |= {"commitUrl": f"{REPO}/commit/{COMMIT}", "commitOid": COMMIT}
        self.answer(200, json.dumps(reply).encode(), Content_Type="application/json")

    def log_message(self, *_: Any) -> None:
        """Nothing is written to stderr."""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Stub]]:
    class Own(Stub):
        files, asked = {}, []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_tests")
    yield Own
    server.shutdown()
    server.server_close()


def adopted_files(folder: Path) -> dict[str, bytes]:
    """A repository of timm, as timm.models.push_to_hf_hub writes it."""
    import safetensors.torch

    network = timm_network("test_resnet", num_classes=2)
    safetensors.torch.save_file(network.state_dict(), folder / "w")
    about = {"input_size": [3, 96, 96], "mean": [0.5] * 3, "std": [0.25] * 3, "crop_pct": 0.75}
    config = {
        "architecture": "test_resnet",
        "num_classes": 2,
        "label_names": ["Mass", "oedema"],
        "pretrained_cfg": {**about, "license": "mit"},
    }
    return {
        "someone/chest/model.safetensors": (folder / "w").read_bytes(),
        "someone/chest/config.json": json.dumps(config).encode(),
    }


def test_a_classifier_of_timm_is_adopted_and_comes_from_the_cache_offline(
    stub: type[Stub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("timm", reason="needs the extra zoo")
    stub.files |= adopted_files(tmp_path)
    model = read_model("hf:someone/chest")
    assert model.card.findings == ("Mass", "Edema")
    assert (model.preprocessing.size, model.preprocessing.crop_from) == (96, 128)
    assert (model.card.licence, model.card.name) == ("mit", "hf:someone/chest")
    pinned = read_model("hf:someone/chest@v2")
    assert pinned.card.name == "hf:someone/chest@v2"
    assert "/someone/chest/resolve/v2/model.safetensors" in stub.asked
    asked = len(stub.asked)
    read_model(f"hf:someone/chest@{COMMIT}")
    assert len(stub.asked) == asked  # a commit never changes, so nothing is asked again
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    again = read_model("hf:someone/chest")
    assert len(stub.asked) == asked
    image = torch.rand(1, 3, 96, 96)
    assert_close(again.network(image)[0], model.network(image)[0])
    with pytest.raises(CxrlocError, match=r"hf:other/one: .*/other/one/resolve/main/model\.safe"):
        read_model("hf:other/one")


def test_without_a_network_the_message_comes_at_once(
    stub: type[Stub], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", nobody)
    began = time.monotonic()
    with pytest.raises(CxrlocError, match="is not in the cache and cannot be fetched"):
        read_model("hf:other/one")
    assert time.monotonic() - began < 5  # the hub's own library tries for 23 seconds


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("hf:chest", UsageError, "write hf:ORG/NAME"),
        ("hf:no/body", CxrlocError, "hf:no/body: the hub has no such repository"),
        ("hf:empty/one", CxrlocError, "has none of model.safetensors, pytorch_model.bin"),
        ("hf:huge/one", CxrlocError, r"config.json describes a network .* unknown here \(1280\)"),
        ("hf:no/labels", CxrlocError, "hf:no/labels: config.json has no id2label"),
        ("hf:null/cfg", CxrlocError, "hf:null/cfg: config.json cannot be used .'NoneType' object"),
    ],
)
def test_what_the_hub_lacks_is_said(
    stub: type[Stub], name: str, error: type[Exception], message: str
) -> None:
    stub.files["empty/one/README.md"] = b"nothing"
    config = {"model_type": "vit", "hidden_size": 1280, "id2label": {"0": "Mass"}}
    configs = {
        "huge/one": config,
        "no/labels": {"model_type": "vit"},
        "null/cfg": {"architecture": "resnet18", "pretrained_cfg": None},
    }
    for repository, config in configs.items():
        stub.files[f"{repository}/model.safetensors"] = save({"w": torch.zeros(1)})
        stub.files[f"{repository}/config.json"] = json.dumps(config).encode()
    with pytest.raises(error, match=message):
        read_model(name)


def test_a_model_is_pushed_with_its_card_and_read_back(
    stub: type[Stub], untrained_model: Path
) -> None:
    model = read_model(untrained_model)
    assert model.push_to_hub("me/mine") == f"{REPO}/commit/{COMMIT}"
    card = stub.files["me/mine/README.md"].decode()
    assert card.startswith('---\nlibrary_name: "cxrloc"\n')
    assert "| Atelectasis | - | 0.500 |" in card
    assert "--model hf:me/mine" in card
    again = read_model("hf:me/mine")
    assert again.card == model.card
    image = torch.rand(1, 1, 128, 128)
    assert_close(again.network(image)[0], model.network(image)[0])


def test_a_network_of_own_code_is_not_pushed() -> None:
    own_model = Model(
        torch.nn.Identity(), None, Preprocessing(8), ModelCard("mine", "x", ("Mass",))
    )
    with pytest.raises(CxrlocError, match="mine: a network of your own code"):
        own_model.push_to_hub("me/mine")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ViT", "Dinov2", "ResNet", "ConvNext"])
def test_a_classifier_of_transformers_gives_the_same_logits(
    stub: type[Stub], tmp_path: Path, kind: str
) -> None:
    transformers = pytest.importorskip("transformers", reason="the oracle")
    pytest.importorskip("timm", reason="needs the extra zoo")
    small = {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768}
    sizes: dict[str, dict[str, Any]] = {
        "ViT": {**small, "image_size": 224, "layer_norm_eps": 1e-6},
        "Dinov2": {"hidden_size": 384, "num_attention_heads": 6, "image_size": 224},
        "ResNet": {
            "layer_type": "basic",
            "depths": [2, 2, 2, 2],
            "hidden_sizes": [64, 128, 256, 512],
        },
        "ConvNext": {},
    }
    labels = {0: "Mass", 1: "Nodule", 2: "Edema"}
    config = getattr(transformers, f"{kind}Config")(**sizes[kind], id2label=labels)
    config.problem_type = "multi_label_classification"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = getattr(transformers, f"{kind}ForImageClassification")(config).eval()
    network.save_pretrained(tmp_path)
    prepared = {"size": {"height": 224, "width": 224}, "image_mean": [0.5] * 3}
    stub.files |= {
        f"someone/t/{path.name}": path.read_bytes() for path in tmp_path.iterdir() if path.is_file()
    }
    stub.files["someone/t/preprocessor_config.json"] = json.dumps(prepared).encode()
    model = read_model("hf:someone/t")
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = network(image).logits
        torch.testing.assert_close(model.network(image)[0], expected, rtol=1e-3, atol=1e-3)
    assert model.card.probabilities == "sigmoid"
    assert model.preprocessing.fit == "squash"
