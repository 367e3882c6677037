"""The commands and examples of the README work as they are written."""

import json
import re
import runpy
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.phantom import write_phantoms

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(), flags=re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]


def test_two_commands_set_everything_up() -> None:
    setup = [command for command in COMMANDS if "pip install" in command]
    last = [command.split(" && ")[-1].split() for command in setup]
    assert [words[1:] for words in last] == [["bench"], ["-m", "pytest", "-n", "auto"]]


@pytest.mark.slow
def test_commands_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are written, but on fewer and smaller phantoms and with fewer resamples."""
    monkeypatch.chdir(tmp_path)
    small = partial(write_phantoms, size=64)
    monkeypatch.setattr("cxrloc.phantom.write_phantoms", small)
    monkeypatch.setattr("cxrloc.inference.image_sets.PHANTOMS", 40)
    Path("reports.csv").write_text("id,text\na,Small effusion. No mass.\n")
    written = [line.split(" && ") for line in COMMANDS if line.startswith("cxrloc ")]
    for command in (part for line in written for part in line):
        name, *arguments = shlex.split(command.replace("--n 40", "--n 12"))[1:]
        known = CliRunner().invoke(app, [name, "--help"]).output
        quick = ["--resamples", "10"] if "--resamples" in known else []
        done = CliRunner().invoke(app, [name, *arguments, *quick])
        assert done.exit_code == 0, f"{command}: {done.output}"


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_phantoms(Path("chests"), n=12, seed=0, size=128)
    examples = [text for kind, text in BLOCKS if kind == "python"]
    assert len(examples) == 2
    for text in examples:
        exec(compile(text, str(README), "exec"), {})


@pytest.mark.slow  # a whole run of classify
def test_the_notebook_is_that_of_its_script_and_its_cells_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = README.parent / "figures"
    text = (folder / "first_steps.ipynb").read_text(encoding="utf-8")
    assert text == runpy.run_path(str(folder / "first_steps.py"))["notebook"]()
    monkeypatch.chdir(tmp_path)
    write_phantoms(Path("chests"), n=12, seed=0, size=128)
    names: dict[str, Any] = {}
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "first_steps.ipynb", "exec"), names)
    assert {"Mass"} < set(names["scores"].table()["finding"])
    assert (tmp_path / "classified/auc.csv").is_file()


@pytest.mark.parametrize(
    "path", re.findall(r"`((?:cxrloc|tests|benchmarks)/[\w./]*)`", README.read_text())
)
def test_every_place_named_exists(path: str) -> None:
    assert (README.parent / path).exists()


@pytest.mark.parametrize("path", re.findall(r"!\[.*?\]\((.*?)\)", README.read_text()))
def test_every_picture_exists(path: str) -> None:
    assert (README.parent / path).is_file()
