"""Missing files are refused while the command line is read."""

import json

import pytest
from typer.testing import CliRunner

from cxrloc.cli import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("archive x.parquet --model gone.ckpt", "--model gone.ckpt: no such file"),
        ("bench --model gone.pt2", "--model gone.pt2: no such file"),
        ("classify --model gone.pt", "--model gone.pt: no such file"),
        ("heatmap x.png --model gone.safetensors", "--model gone.safetensors: no such file"),
        ("page --model gone.onnx", "--model gone.onnx: no such file"),
        ("trust --model gone.safetensors", "--model gone.safetensors: no such file"),
        ("trust --shuffled-model gone.pth", "--shuffled-model gone.pth: no such file"),
        ("trust --other-model gone.ckpt", "--other-model gone.ckpt: no such file"),
        ("models gone.safetensors", "gone.safetensors: no such file"),
        ("trust gone", "gone: no such file or folder"),
    ],
)
def test_the_message_names_the_option_of_a_missing_model(arguments: str, message: str) -> None:
    done = CliRunner().invoke(app, arguments.split())
    assert done.exit_code == 2
    assert done.stderr == f"Error: {message}\n"


@pytest.mark.parametrize(
    "arguments",
    ["bench gone", "classify --predictions gone.csv", "heatmap x.png --pairs gone.csv"],
)
@pytest.mark.parametrize("first", [True, False])
def test_log_json_holds_for_missing_files_wherever_it_stands(arguments: str, first: bool) -> None:
    command, *others = arguments.split()
    line = [command, "--log-json", *others] if first else [command, *others, "--log-json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 2
    assert json.loads(done.stderr)["message"] == f"Error: {others[-1]}: no such file or folder"
