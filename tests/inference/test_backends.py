"""Which library runs which models, and that onnxruntime runs them without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from cxrloc.inference.backends import BACKENDS, find_backend
from cxrloc.phantom import write_phantoms
from cxrloc.types import UsageError


@pytest.mark.parametrize(
    ("name", "models", "found"),
    [
        ("auto", ["a.onnx"], "onnx"),
        ("auto", ["a.onnx", "phantom-v1"], "onnx"),
        ("auto", ["a.safetensors"], "torch"),
        ("torch", ["phantom-v1"], "torch"),
        ("onnx", ["phantom-v1"], "onnx"),
    ],
)
def test_backend(name: str, models: list[str], found: str) -> None:
    assert find_backend(name, models) == found


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
        find_backend(name, models)


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
