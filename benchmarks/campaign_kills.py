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
import importlib
import json
import os
import pkgutil
import random
import shutil
import signal
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import safetensors.numpy
from google.protobuf.message import DecodeError

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

OUT = ("--out", "OUT")
TRAINED = (
    *("tiny.toml", "--data", "chests", "--cache", "cache", "--deterministic", "--device", "cpu"),
)

LAST_OF_PHANTOM = "Data_Entry_2017.csv"

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
    """Write what the commands read: phantoms, reports, a recipe, models of its folds, their runs.

    The libraries of the page are empty files, because the page need not run.
    """
    import torch
    import torchvision

    from cxrloc.phantom import write_phantoms
    from cxrloc.report_page.npm_packages import BINARIES, SCRIPTS

    write_phantoms(folder / "chests", n=images, seed=4, size=128)
    reports = "".join(f"{k},No effusion. Possible mass {k}.\n" for k in range(4000))
    (folder / "reports.csv").write_text(f"id,text\n{reports}")
    (folder / "tiny.toml").write_text(TRAINING)
    load()
    (folder / "cache").mkdir()
    torch.save(torchvision.models.resnet18(num_classes=2).state_dict(), folder / "weights.pth")
    for name in (*SCRIPTS.values(), *BINARIES.values()):
        (folder / "runtime/node_modules" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "runtime/node_modules" / name).touch()
    for fold in ("0", "1"):
        run([*arguments("train", folder, folder / fold), "--fold", fold])
        classify = ("classify", folder / "chests", "--model", folder / fold / "model.safetensors")
        run([*map(str, classify), "--allow-contaminated", "--out", str(folder / f"by-{fold}")])
    run(arguments("manifest", folder, folder))


def load() -> None:
    """Import the modules of the commands, so that a forked child starts its work at once."""
    import torch

    import cxrloc.pipeline

    for module in pkgutil.iter_modules(cxrloc.pipeline.__path__):
        importlib.import_module(f"cxrloc.pipeline.{module.name}")
    torch.set_num_threads(1)  # threads do not survive a fork


def campaign(command: str, folder: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """Kill one command `kills` times; counts of kills, of files read and of those not whole."""
    began = time.perf_counter()
    whole, out = folder / f"{command}-whole", folder / command
    run(arguments(command, folder, whole))
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
        if (out / LAST_OF_PHANTOM).exists():  # the data set is complete, and another call refused
            shutil.rmtree(out)
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


def run(command: list[str]) -> None:
    """Run a command to its end, which must be a success."""
    status = ended(start(command))
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")


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
    "heatmap": ("heatmap", "chests/images", "--save-maps", "--model", "phantom-v1", *OUT),
    "bench": ("bench", "chests", "--resamples", "50", "--model", "phantom-v1", *OUT),
    "classify": ("classify", "chests", "--resamples", "50", "--model", "phantom-v1", *OUT),
    "classify --folds": (
        *("classify", "chests", "--folds", "--resamples", "50", *OUT),
        *("--model", "0/model.safetensors", "--model", "1/model.safetensors"),
    ),
    "label": ("label", "reports.csv", "--out", "OUT/labels.csv"),
    "train": ("train", *TRAINED, "--resume", *OUT),
    "lr-range": ("lr-range", *TRAINED, "--steps", "20", *OUT),
    "counts": ("counts", "chests", *OUT),
    "trust": ("trust", "chests", "--model", "phantom-v1", "--images", "4", *OUT),
    "compare": ("compare", "by-0", "by-1", "--resamples", "50", *OUT),
    "figure": ("figure", "roc", "by-0", "--out", "OUT/roc"),
    "figure --gallery": ("figure", "--gallery", "by-0", "--out", "OUT/gallery.html"),
    "manifest": ("manifest", "chests/images", "--clear-ids", "--out", "OUT/manifest.parquet"),
    "archive": ("archive", "manifest.parquet", "--model", "phantom-v1", "--part-size", "3", *OUT),
    "export": ("export", "phantom-v1", "--to", "onnx", "--out", "OUT/phantom.onnx"),
    "page": ("page", "--model", "phantom-v1", "--runtime", "runtime", "--out", "OUT/demo.html"),
    "adopt": (
        *("adopt", "weights.pth", "--architecture", "resnet18", "--findings", "Mass,Effusion"),
        *("--out", "OUT/model.safetensors"),
    ),
    "phantom": ("phantom", "OUT", "--n", "6"),
}
"""The commands that write files, with inputs in the folder of `make_data`; OUT is their folder.

`send` and `node` are not here: `send` writes no file, and the node has `node_campaign.py`.
"""


def arguments(command: str, folder: Path, out: Path) -> list[str]:
    """The arguments of the command line."""
    out.mkdir(parents=True, exist_ok=True)
    first, *others = COMMANDS[command]
    return [
        first,
        *(
            str(folder / each) if (folder / each).exists() else each.replace("OUT", str(out))
            for each in others
        ),
    ]


def ended(child: int) -> int:
    """The exit status of a child; if a signal ended it, minus the number of the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


UNREADABLE = (*(ValueError, OSError, zipfile.BadZipFile, safetensors.SafetensorError, DecodeError),)
"""Errors of readers of files that are cut."""


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
        if path.suffix == ".parquet":
            return content.endswith(b"PAR1")
        if path.suffix == ".onnx":
            return bool(onnx.load_from_string(content).graph.output)
        if path.suffix in (".ckpt", ".pt"):
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        return content.endswith(b"\n")
    except UNREADABLE as error:
        print(path, error, file=sys.stderr)
        return False


UNEQUAL = ("time", "started", "seconds", "images")
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
