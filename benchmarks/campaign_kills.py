"""25 kills per command at random moments: every file is whole, and the run ends as if never killed.

    python benchmarks/campaign_kills.py --out kills.md --kills 25

A command is run once without a kill. Then it is started again and again in one folder and killed
(SIGKILL or SIGTERM, in turn) after a random share of the time that the first run took. If a run
ends before its kill, the next run gets `--overwrite`. After every kill all files are read, and at
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
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

COMMANDS = ("heatmap", "bench", "classify", "label")


class Tally(NamedTuple):
    """Counts and outcome of the kills of one command."""

    command: str
    kills: int
    files_read: int
    broken: int
    equal: bool
    seconds: float


def main() -> None:
    """Kill every command, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("kills.md"))
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("cxrloc-kills"))
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    shutil.rmtree(options.folder, ignore_errors=True)
    data = make_data(options.folder, options.images)
    rows = campaigns(data, options.kills, random.Random(options.seed))
    table = pd.DataFrame(rows).to_markdown(index=False)
    options.out.write_text(
        "# Commands killed at random moments\n\n"
        f"`python benchmarks/campaign_kills.py --kills {options.kills} --images {options.images} "
        f"--seed {options.seed}`, {time.strftime('%Y-%m-%d')}. `broken` counts files that could "
        "not be read to their end after a kill; `equal` says whether the last run ended with the "
        f"same files as a run that was never killed.\n\n{table}\n"
    )


def campaigns(data: Path, kills: int, draw: random.Random) -> list[dict[str, Any]]:
    """A row for each command with the outcome of its kills; all files are written into `data`."""
    load()
    rows = []
    for command in COMMANDS:
        rows.append(campaign(command, data, data, kills, draw)._asdict())
        print(rows[-1], flush=True)
    return rows


def make_data(folder: Path, images: int) -> Path:
    """Write phantoms and reports for the commands to read."""
    from cxrloc.phantom import write_phantoms

    write_phantoms(folder / "chests", n=images, seed=4, size=128)
    reports = "".join(f"{k},No effusion. Possible mass {k}.\n" for k in range(4000))
    (folder / "reports.csv").write_text(f"id,text\n{reports}")
    return folder


def load() -> None:
    """Import the modules of the commands, so that a forked child starts its work at once."""
    import torch

    import cxrloc.pipeline.bench
    import cxrloc.pipeline.classify
    import cxrloc.pipeline.heatmap
    import cxrloc.pipeline.label

    torch.set_num_threads(1)  # threads do not survive a fork
    assert cxrloc


def campaign(command: str, data: Path, folder: Path, kills: int, draw: random.Random) -> Tally:
    """Kill one command `kills` times and check the files that it leaves."""
    started = time.perf_counter()
    began = time.perf_counter()
    assert ended(start(command, data, folder / f"{command}-whole")) == 0
    took = time.perf_counter() - began
    out = folder / command
    read = broken = done = 0
    overwrite = False
    while done < kills:
        child = start(command, data, out, overwrite)
        time.sleep(took * draw.uniform(0.02, 0.95))
        os.kill(child, (signal.SIGKILL, signal.SIGTERM)[done % 2])
        status = ended(child)
        overwrite = status == 0  # it had come to its end: begin anew
        done += status != 0
        for path in out.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                read += 1
                broken += not is_whole(path)
    assert ended(start(command, data, out)) == 0
    equal = results(out) == results(folder / f"{command}-whole")
    seconds = round(time.perf_counter() - started, 1)
    return Tally(command, done, read, broken, equal, seconds)


def start(command: str, data: Path, out: Path, overwrite: bool = False) -> int:
    """Start the command in a child process, and return the process number."""
    out.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return child
    try:  # the child
        with Path(os.devnull).open("w") as silence:
            os.dup2(silence.fileno(), 1)
            os.dup2(silence.fileno(), 2)
        from cxrloc.cli import app

        app(arguments(command, data, out, overwrite), standalone_mode=True)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:
        os._exit(99)
    os._exit(0)


def arguments(command: str, data: Path, out: Path, overwrite: bool) -> list[str]:
    """The arguments of the command line."""
    again = ["--overwrite"] if overwrite else []
    model = ["--model", "phantom-v1", "--out", str(out), *again]
    return {
        "heatmap": ["heatmap", str(data / "chests/images"), "--save-maps", *model],
        "bench": ["bench", str(data / "chests"), "--resamples", "50", *model],
        "classify": ["classify", str(data / "chests"), "--resamples", "50", *model],
        "label": ["label", str(data / "reports.csv"), "--out", str(out / "labels.csv")],
    }[command]


def ended(child: int) -> int:
    """The exit status of a child; if a signal ended it, minus the number of the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


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
        return content.endswith(b"\n")
    except (ValueError, OSError) as error:
        print(path, error, file=sys.stderr)
        return False


def results(folder: Path) -> dict[str, bytes]:
    """The files of a run by name, without the entries that differ between equal runs.

    These entries are times and the counts of images of a call.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith("."):
            continue
        content = path.read_bytes()
        if path.suffix == ".json":
            said = json.loads(content)
            for name in ("time", "seconds", "images"):
                said.pop(name, None)
            content = json.dumps(said, sort_keys=True).encode()
        found[str(path.relative_to(folder))] = content
    return found


if __name__ == "__main__":
    main()
