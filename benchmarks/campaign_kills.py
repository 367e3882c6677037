"""25 kills per command at random moments: every file is whole, and the run ends as if never killed.

    python benchmarks/campaign_kills.py heatmap train --kills 25 --images 12

A command is run once without a kill. Then it is started again and again in one folder and killed
(SIGKILL or SIGTERM, in turn) after a random share of the time that the first run took. If a run
ends before its kill, the next run begins anew. After every kill all files are read, and at
the end the results are compared with those of the run without a kill. Commands run in forked
children of a process that has imported all modules, so that kills happen during the work and not
during the imports.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.numpy

TRAINING = """
title = "Tiny"
[data]
reader = "chestxray14"
[data.split]
kind = "resamplings"
folds = 2
ratios = [0.5, 0.2, 0.3]
[preprocessing]
size = 64
[network]
backbone = "small_resnet"
findings = ["Effusion", "Mass"]
transition_channels = 8
[fit]
batch_size = 4
steps = 60
validate_every = 4
frozen_normalisation = true
[fit.schedule]
learning_rate = 1e-3
"""

ENDED = {-signal.SIGKILL: "killed", -signal.SIGTERM: "terminated", 128 + signal.SIGTERM: "told"}
"""Exit statuses after a kill; a command that has begun says on SIGTERM how far it came."""


def main() -> None:
    """Kill the named commands; prints a row of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commands", nargs="*", default=[*COMMANDS])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("cxrloc-kills"))
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    make_data(folder, options.images)
    for command in options.commands:
        row = campaign(command, folder, options.kills, random.Random(f"{command} {options.seed}"))
        print(json.dumps(row), flush=True)


def make_data(folder: Path, images: int) -> None:
    """Write phantoms, reports, a recipe and two models of its folds for the commands to read."""
    from cxrloc.phantom import write_phantoms

    write_phantoms(folder / "chests", n=images, seed=4, size=128)
    reports = "".join(f"{k},No effusion. Possible mass {k}.\n" for k in range(4000))
    (folder / "reports.csv").write_text(f"id,text\n{reports}")
    (folder / "tiny.toml").write_text(TRAINING)
    load()
    for fold in ("0", "1"):
        assert ended(start([*arguments("train", folder, folder / fold), "--fold", fold])) == 0


def load() -> None:
    """Import the modules of the commands, so that a forked child starts its work at once."""
    import torch

    import cxrloc.pipeline.bench
    import cxrloc.pipeline.classify
    import cxrloc.pipeline.classify_folds
    import cxrloc.pipeline.heatmap
    import cxrloc.pipeline.label
    import cxrloc.pipeline.train

    torch.set_num_threads(1)  # threads do not survive a fork
    assert cxrloc


def campaign(command: str, folder: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """Kill one command `kills` times; counts of kills, of files read and of those not whole."""
    began = time.perf_counter()
    whole, out = folder / f"{command}-whole", folder / command
    assert ended(start(arguments(command, folder, whole))) == 0
    took = time.perf_counter() - began
    read = broken = done = odd = 0
    while done < kills:
        child = start(arguments(command, folder, out))
        time.sleep(took * draw.uniform(0.02, 0.95))
        os.kill(child, (signal.SIGKILL, signal.SIGTERM)[done % 2])
        status = ended(child)
        if status == 0:  # it had come to its end: begin anew
            shutil.rmtree(out)
            continue
        done += 1
        odd += status not in ENDED
        for path in files_in(out):
            read += 1
            broken += not is_whole(path)
    last = ended(start(arguments(command, folder, out)))
    return {
        "command": command,
        "kills": done,
        "other exit status": odd + (last != 0),
        "files read": read,
        "not whole": broken,
        "equal in the end": results(out) == results(whole),
        "seconds": round(time.perf_counter() - began),
    }


def start(command: list[str]) -> int:
    """Start the command in a child process, and return the process number."""
    child = os.fork()
    if child:
        return child
    try:  # the child
        with Path(os.devnull).open("w") as silence:
            os.dup2(silence.fileno(), 1)
            os.dup2(silence.fileno(), 2)
        from cxrloc.cli import app

        app(command, standalone_mode=True)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:
        os._exit(99)
    os._exit(0)


COMMANDS: dict[str, tuple[str, ...]] = {
    "heatmap": ("heatmap", "chests/images", "--save-maps", "--model", "phantom-v1"),
    "bench": ("bench", "chests", "--resamples", "50", "--model", "phantom-v1"),
    "classify": ("classify", "chests", "--resamples", "50", "--model", "phantom-v1"),
    "classify --folds": (
        *("classify", "chests", "--folds", "--resamples", "50"),
        *("--model", "0/model.safetensors", "--model", "1/model.safetensors"),
    ),
    "label": ("label", "reports.csv"),
    "train": ("train", "tiny.toml", "--data", "chests", "--resume", "--cache", "cache"),
}
"""The commands that write results, with inputs in the folder of `make_data`."""


def arguments(command: str, folder: Path, out: Path) -> list[str]:
    """The arguments of the command line."""
    there = [
        str(folder / each) if (folder / each).exists() and each not in COMMANDS else each
        for each in COMMANDS[command]
    ]
    if command == "label":
        out.mkdir(parents=True, exist_ok=True)
        out = out / "labels.csv"
    if command == "train":
        there[-1] = str(folder / "cache")
        there += ["--deterministic", "--device", "cpu"]
    return [*there, "--out", str(out)]


def ended(child: int) -> int:
    """The exit status of a child; if a signal ended it, minus the number of the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def files_in(folder: Path) -> list[Path]:
    """The files of a run, without those that begin with a point."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def is_whole(path: Path) -> bool:
    """Whether a file can be read to its end."""
    content = path.read_bytes()
    try:
        if path.suffix == ".png":
            return content.endswith(b"IEND\xaeB`\x82")
        if path.suffix == ".json":
            return bool(json.loads(content))
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                return all(arrays[name].size for name in arrays)
        if path.suffix == ".safetensors":
            return bool(safetensors.numpy.load(content))
        if path.suffix in (".ckpt", ".pt"):
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        return content.endswith(b"\n")
    except (ValueError, OSError, zipfile.BadZipFile, safetensors.SafetensorError) as error:
        print(path, error, file=sys.stderr)
        return False


UNEQUAL = ("time", "seconds", "images")
"""Entries that differ between equal runs: times, and the counts of images of a call."""


def results(folder: Path) -> dict[str, Any]:
    """The files of a run by name, without checkpoints and without the entries of `UNEQUAL`."""
    found: dict[str, Any] = {}
    for path in files_in(folder):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            found[name] = without_times(json.loads(path.read_bytes()))
        elif path.name == "metrics.csv":
            table = pd.read_csv(path)  # of a training, with its speed, or of `classify`
            found[name] = table.drop(columns="images_per_second", errors="ignore").to_csv()
        elif path.suffix != ".ckpt":
            found[name] = path.read_bytes()
    return found


def without_times(said: dict[str, Any]) -> dict[str, Any]:
    """The content of a JSON file without the entries of `UNEQUAL` at its top level."""
    return {name: value for name, value in said.items() if name not in UNEQUAL}


if __name__ == "__main__":
    main()
