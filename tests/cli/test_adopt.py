"""`cxrloc adopt` from a checkpoint to a picture, and its messages."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.models.library_backbones import timm_network

pytest.importorskip("timm", reason="needs the extra zoo")

RUN = CliRunner()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = timm_network("test_resnet", num_classes=2)
    path = tmp_path_factory.mktemp("weights") / "last.ckpt"
    torch.save({"state_dict": {f"net.{k}": v for k, v in network.state_dict().items()}}, path)
    return path


@pytest.mark.slow
def test_a_checkpoint_becomes_a_model_whose_licence_is_printed(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = tmp_path / "names.txt"
    names.write_text("Mass\noedema\n")
    options = ["--architecture", "timm:test_resnet", "--findings", str(names), "--size", "96"]
    more = ["--licence", "CC-BY-4.0", "--trained-on", "ours", "--out", "mine.safetensors"]
    done = RUN.invoke(app, ["adopt", str(weights), *options, *more])
    assert done.exit_code == 0, done.output
    for expected in ("undone: the prefix 'net.'", "3 x 3 cells of 32 pixels", "Edema", "phantom 2"):
        assert expected in done.output
    card = RUN.invoke(app, ["models", "mine.safetensors"]).output
    for expected in (
        "licence: CC-BY-4.0",
        "trained on: ours",
        "96 x 96 pixels, 3 channels",
    ):
        assert expected in card
    grey = np.random.default_rng(0).integers(0, 256, (128, 100), dtype=np.uint8)
    Image.fromarray(grey).save("chest.png")
    drawn = RUN.invoke(app, ["heatmap", "chest.png", "--model", "mine.safetensors", "--out", "out"])
    assert drawn.exit_code == 0, drawn.output
    assert "Licence: CC-BY-4.0." in " ".join(drawn.output.split())
    assert json.loads(Path("out/run.json").read_text())["model"]["licence"] == "CC-BY-4.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--architecture is needed: the preset imagenet does not say it"),
        (["--architecture", "resnet18"], "--findings is needed"),
        (["--preset", "chexnt"], "--preset chexnt: choose from imagenet"),
        (["--architecture", "resnet18", "--findings", "no.txt"], "no.txt: no such file"),
        (["--preset", "chexnet", "--mean", "0.5"], "--mean and --std need the same number"),
    ],
)
def test_what_is_missing_is_said(weights: Path, arguments: list[str], message: str) -> None:
    done = RUN.invoke(app, ["adopt", str(weights), *arguments])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_a_checkpoint_given_as_a_model_says_adopt(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "chest.png").write_bytes(b"")
    done = RUN.invoke(app, ["heatmap", str(tmp_path / "chest.png"), "--model", str(weights)])
    assert "`cxrloc adopt last.ckpt --architecture NAME --findings LIST`" in done.output


def test_presets_are_listed() -> None:
    assert "arnoweng/CheXNet" in RUN.invoke(app, ["adopt", "--list"]).output


def test_a_folder_that_cannot_be_made_is_named_before_the_weights_are_read(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"no weights")
    options = ["--architecture", "resnet18", "--findings", "Mass", "--out", str(taken / "m")]
    done = RUN.invoke(app, ["adopt", str(taken), *options])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: --out {taken}: ")
