"""Missing files are refused while the command line is read."""

import json
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import typer
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.cli.missing_inputs import existing_result
from cxrloc.models.names import MODELS

EMBEDDED = f"({', '.join(MODELS)})"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("archive s3://x.parquet --model gone.ckpt", "--model gone.ckpt"),
        ("bench --model gone.pt2", "--model gone.pt2"),
        ("classify --model gone", "--model gone"),
        ("heatmap x.png --model gone.safetensors", "--model gone.safetensors"),
        ("page --model gone.onnx", "--model gone.onnx"),
        ("trust --shuffled-model gone.pth", "--shuffled-model gone.pth"),
        ("trust --other-model gone.ckpt", "--other-model gone.ckpt"),
        ("export gone --to onnx", "gone"),
        ("models gone.safetensors", "gone.safetensors"),
    ],
)
def test_the_message_names_the_option_of_a_missing_model(arguments: str, named: str) -> None:
    done = CliRunner().invoke(app, arguments.split())
    assert done.exit_code == 2
    assert done.stderr == f"Error: {named}: neither a file nor a model of this package {EMBEDDED}\n"


@pytest.mark.parametrize("command", ["train", "lr-range", "recipes"])
def test_a_missing_recipe_is_answered_with_similar_names(command: str) -> None:
    done = CliRunner().invoke(app, [command, "phantom_fwe"])
    assert done.exit_code == 2
    assert done.stderr == (
        "Error: phantom_fwe: neither a readable TOML file nor one of the recipes "
        "(did you mean phantom_few, phantom?); `cxrloc recipes` lists them\n"
    )


@pytest.mark.parametrize(
    "arguments", ["trust gone", "figure roc gone", "figure training gone", "archive gone"]
)
def test_a_missing_folder_is_named(arguments: str) -> None:
    done = CliRunner().invoke(app, arguments.split())
    assert done.exit_code == 2
    assert done.stderr == "Error: gone: no such file or folder\n"


@pytest.mark.parametrize(
    "arguments", ["archive status", "archive a b", "archive status a b", "node status", "node a b"]
)
def test_the_number_of_words_is_checked_before_the_file(arguments: str) -> None:
    done = CliRunner().invoke(app, arguments.split())
    assert done.exit_code == 2
    form = "MANIFEST, or status RESULTS" if "archive" in arguments else "CONFIG, or status CONFIG"
    assert done.stderr == f"Error: give {form}\n"


def test_figures_take_recipes_and_models_by_name() -> None:
    named = [Path("phantom_few"), Path("phantom-v1")]
    assert existing_result(MagicMock(spec=typer.Context), named) == named


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
