"""Commands killed at random moments leave whole files only, and go on when called again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrloc.phantom import write_phantoms

LIMIT = 240.0  # seconds


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests")
    write_phantoms(folder, n=16, seed=4, size=96)
    return folder


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cxrloc", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )


def ended(process: subprocess.Popen[str]) -> int:
    """The exit status of a command."""
    _, said = process.communicate(timeout=LIMIT)
    assert "Traceback" not in said, said
    return process.returncode


def assert_whole(path: Path) -> None:
    """The file can be read to its end."""
    content = path.read_bytes()
    match path.suffix:
        case ".png":
            assert content.endswith(b"IEND\xaeB`\x82"), path
        case ".json":
            json.loads(content)
        case ".csv":
            assert content.endswith(b"\n"), path
            pd.read_csv(path)
        case ".npz":
            with np.load(path) as arrays:
                assert all(arrays[name].size for name in arrays)


def results(folder: Path) -> dict[str, bytes]:
    """The files of a run, without what tells the time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith("."):
            continue
        found[str(path.relative_to(folder))] = path.read_bytes()
        if path.suffix == ".json":
            said = json.loads(path.read_bytes())
            for name in ("time", "seconds", "images"):
                said.pop(name, None)
            found[str(path.relative_to(folder))] = json.dumps(said, sort_keys=True).encode()
    return found


def reports(chests: Path) -> Path:
    path = chests / "reports.csv"
    rows = "".join(f"{k},No effusion. Possible mass {k}.\n" for k in range(20_000))
    path.write_text(f"id,text\n{rows}")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "data"),
    [
        ("heatmap", lambda chests: chests / "images"),
        ("bench", lambda chests: chests),
        ("classify", lambda chests: chests),
        ("label", reports),
    ],
)
def test_a_killed_command_leaves_whole_files_and_ends_like_one_that_was_not_killed(
    command: str,
    data: Callable[[Path], Path],
    chests: Path,
    untrained_model: Path,
    tmp_path: Path,
) -> None:
    options: list[str | Path] = ["--quiet"]
    if command == "label":
        options.append("--explain")
    else:
        options += ["--model", untrained_model]
    if command in ("bench", "classify"):
        options += ["--resamples", "20"]

    def run(name: str) -> subprocess.Popen[str]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        out = folder / "labels.csv" if command == "label" else folder
        return start(command, data(chests), "--out", out, *options)

    began = time.monotonic()
    assert ended(run("whole")) == 0
    took = time.monotonic() - began
    draw = random.Random(command)
    out = tmp_path / "out"
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = run("out")
        # Most of the time goes into loading; what is written comes late.
        time.sleep(took * draw.uniform(0.55, 0.95))
        process.send_signal(number)
        assert ended(process) in (-number, 0, 143)
        for path in out.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                assert_whole(path)
    assert ended(run("out")) == 0
    assert results(out) == results(tmp_path / "whole")
