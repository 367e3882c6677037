"""Which library runs which models, and that onnxruntime runs them without torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cxrloc.errors import UsageError
from cxrloc.inference.backends import BACKENDS, find_backend
from cxrloc.inference.prepared import InferenceSettings
from cxrloc.phantom import write_phantoms

PLAIN = InferenceSettings()


@pytest.mark.parametrize(
    ("name", "models", "settings", "gpu", "found"),
    [
        ("auto", ["a.onnx"], PLAIN, True, "onnx"),
        ("auto", ["a.onnx", "phantom-v1"], PLAIN, False, "onnx"),
        ("auto", ["a.safetensors"], PLAIN, False, "torch"),
        ("auto", ["phantom-v1", "a.safetensors"], PLAIN, False, "torch"),
        ("auto", ["phantom-v1"], PLAIN, False, "onnx"),
        ("auto", ["phantom-v1"], PLAIN, True, "torch"),
        ("auto", ["phantom-v1"], replace(PLAIN, device="cpu"), True, "onnx"),
        ("auto", ["phantom-v1"], replace(PLAIN, method="grad_cam"), False, "torch"),
        ("auto", ["phantom-v1"], replace(PLAIN, versions="tta"), False, "torch"),
        ("torch", ["phantom-v1"], PLAIN, False, "torch"),
        ("onnx", ["phantom-v1"], PLAIN, True, "onnx"),
    ],
)
def test_backend(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    models: list[str],
    settings: InferenceSettings,
    gpu: bool,
    found: str,
) -> None:
    monkeypatch.setattr("cxrloc.inference.backends._may_have_gpu", lambda: gpu)
    assert find_backend(name, models, settings) == found


def test_without_onnxruntime_embedded_models_run_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrloc.inference.backends._may_have_gpu", lambda: False)
    monkeypatch.setattr("cxrloc.inference.backends.find_spec", lambda name: None)
    assert find_backend("auto", ["phantom-v1"], PLAIN) == "torch"


@pytest.mark.parametrize(
    ("name", "models", "message"),
    [
        ("tensorrt", ["a.onnx"], "choose from auto, torch, onnx"),
        ("torch", ["a.onnx"], "a.onnx is a graph, which onnxruntime runs"),
        ("auto", ["a.onnx", "b.safetensors"], "graphs do not run beside other models"),
    ],
)
def test_wrong_backend(name: str, models: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_backend(name, models, PLAIN)


def test_a_checkpoint_is_no_graph() -> None:
    with pytest.raises(UsageError, match="--backend onnx: mine is no graph"):
        BACKENDS["onnx"].read("mine")


def test_heatmap_by_onnxruntime_imports_no_torch(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "chests", n=1, seed=1, file_format="dicom", size=128)
    command = [*("heatmap", str(tmp_path / "chests/images"), "--model", "phantom-v1")]
    command += ["--backend", "onnx", "--out", str(tmp_path / "out")]
    code = (
        "import sys; from cxrloc.cli import app\n"
        f"app({command}, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1
