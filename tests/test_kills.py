"""Commands killed at random moments leave whole files only, and go on when called again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.phantom import write_phantoms

LIMIT = 240.0  # seconds


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests")
    write_phantoms(folder, n=16, seed=4, size=96)
    return folder


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cxrloc", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )


def ended(process: subprocess.Popen[str]) -> int:
    """The exit status of a command."""
    _, printed = process.communicate(timeout=LIMIT)
    assert "Traceback" not in printed, printed
    return process.returncode


def state_of(folder: Path) -> dict[Path, int]:
    """The files in a folder, temporary ones too, and when each was last written."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a temporary file that has just got its name
            found[path] = path.stat().st_mtime_ns
    return found


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
            content = json.loads(path.read_bytes())
            for name in ("time", "seconds", "images"):
                content.pop(name, None)
            found[str(path.relative_to(folder))] = json.dumps(content, sort_keys=True).encode()
    return found


def reports(chests: Path) -> Path:
    path = chests / "reports.csv"
    rows = "".join(f"{k},No effusion. Possible mass {k}.\n" for k in range(3_000))
    path.write_text(f"id,text\n{rows}")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "data", "signals"),
    [
        ("heatmap", lambda chests: chests / "images", (signal.SIGKILL, signal.SIGTERM)),
        # Both keep what a killed run has computed in the same way, so each gets one kind of kill.
        ("bench", lambda chests: chests, (signal.SIGKILL,)),
        ("classify", lambda chests: chests, (signal.SIGTERM,)),
        ("label", reports, (signal.SIGKILL, signal.SIGTERM)),
    ],
    ids=["heatmap", "bench", "classify", "label"],
)
def test_a_killed_command_leaves_whole_files_and_ends_like_one_that_was_not_killed(
    command: str,
    data: Callable[[Path], Path],
    signals: tuple[signal.Signals, ...],
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

    def words(folder: Path) -> list[str]:
        folder.mkdir(exist_ok=True)
        out = folder / "labels.csv" if command == "label" else folder
        return [str(word) for word in (command, data(chests), "--out", out, *options)]

    # Runs that are not killed share this process, where all is loaded.
    began = time.monotonic()
    assert CliRunner().invoke(app, words(tmp_path / "whole")).exit_code == 0
    took = time.monotonic() - began
    draw = random.Random(command)
    out = tmp_path / "out"
    for number in signals:
        process = start(*words(out))
        before = state_of(out)
        while process.poll() is None and state_of(out) == before:
            time.sleep(0.01)  # it is loading; a kill would find nothing
        time.sleep(took * draw.uniform(0, 0.9))
        process.send_signal(number)
        assert ended(process) in (-number, 0, 143)
        for path in out.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                assert_whole(path)
    assert CliRunner().invoke(app, words(out)).exit_code == 0
    assert results(out) == results(tmp_path / "whole")
