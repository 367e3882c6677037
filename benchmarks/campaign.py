"""Hostile files, kills and a full disk: what breaks, and how often.

    python benchmarks/campaign.py --mutations 20000 --kills 25 --out benchmarks/campaign.md

Three parts, each of which can be left out with 0:
- files of every kind with random damage, read in forked children (3 GiB, 20 s of processor time);
- commands that are killed at a random moment and called again: no file may be half written, and
  what comes out in the end must be what an uninterrupted run writes;
- `heatmap` into a file system of 1 MB (needs root, for the mount).
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

from tests.hostile.mutations import CHECKS, run_kind  # noqa: E402

COMMANDS = {
    "heatmap": ["heatmap", "chests/images", "--model", "phantom-v1", "--quiet"],
    "bench": ["bench", "chests", "--model", "phantom-v1", "--resamples", "50", "--quiet"],
    "classify": ["classify", "chests", "--model", "phantom-v1", "--resamples", "50", "--quiet"],
}
TIMED = ("time", "seconds", "images")
"""Entries of JSON files that tell when a run took place, and what it left out as done."""


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    command = [sys.executable, "-m", "cxrloc", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def contents(out: Path) -> dict[str, str]:
    """A hash of every file that a run wrote, without what tells the time."""
    found = {}
    for path in sorted(out.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        content = path.read_bytes()
        if path.suffix == ".json":
            said = {key: value for key, value in json.loads(content).items() if key not in TIMED}
            content = json.dumps(said, sort_keys=True).encode()
        found[str(path.relative_to(out))] = hashlib.sha256(content).hexdigest()
    return found


def broken_files(out: Path) -> list[str]:
    """Files that are not whole: pictures and JSON that cannot be read, tables cut in mid-row."""
    broken = []
    for path in out.rglob("*"):
        if not path.is_file() or path.name.startswith("."):
            continue
        try:
            if path.suffix == ".png":
                with Image.open(path) as image:
                    image.load()
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix in (".csv", ".md", ".tex"):
                whole = path.read_text().endswith("\n")
                broken += [] if whole else [path.name]
        except (OSError, ValueError) as error:
            broken.append(f"{path.name}: {error}")
    return broken


def kills(command: str, count: int, folder: Path, draw: random.Random) -> dict[str, Any]:
    """Kill a command `count` times, each in a run of its own, and call it again."""
    arguments = COMMANDS[command]
    begun = time.perf_counter()
    first = run([*arguments, "--out", "whole"], folder)
    seconds = time.perf_counter() - begun
    result: dict[str, Any] = {
        "command": command, "kills": 0, "before the end": 0, "not whole": 0, "not equal": 0,
    }  # fmt: skip
    if first.returncode:
        return {**result, "not equal": first.stderr.strip().splitlines()[-1][:200]}
    expected = contents(folder / "whole")
    for number in range(count):
        out = folder / f"killed-{command}-{number}"
        process = subprocess.Popen(
            [sys.executable, "-m", "cxrloc", *arguments, "--out", out.name],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(draw.uniform(0.2, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            result["before the end"] += 1
        result["kills"] += 1
        result["not whole"] += bool(broken_files(out))
        again = run([*arguments, "--out", out.name], folder)
        result["not equal"] += again.returncode != 0 or contents(out) != expected
        shutil.rmtree(out)
    return result


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size, mounted for a while."""
    place = folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def full_disk(folder: Path) -> dict[str, Any]:
    """`heatmap` into a file system that is too small for its pictures."""
    with small_disk(folder, "1m") as place:
        done = run([*COMMANDS["heatmap"], "--out", str(place / "out")], folder)
        return {
            "exit status": done.returncode,
            "lines": len(done.stderr.strip().splitlines()),
            "last line": done.stderr.strip().splitlines()[-1][-160:] if done.stderr else "",
            "not whole": len(broken_files(place)),
        }


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    heads = list(rows[0])
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join(
        lines + [f"| {' | '.join(str(row[head]) for head in heads)} |" for row in rows]
    )


def main() -> None:
    """Run the parts and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=20_000, help="files of each kind")
    parser.add_argument("--kills", type=int, default=25, help="of each command")
    parser.add_argument("--disk", action="store_true", help="also fill a small disk")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Markdown page; printed where it is not given")
    options = parser.parse_args()
    call = " ".join(["python benchmarks/campaign.py", *sys.argv[1:]])
    parts = [
        "# Hostile files, kills and a full disk",
        f"The last run, on {date.today().isoformat()}: `{call}`. To reach: nothing wrong, nothing "
        "broken, every run that was called again equal to the uninterrupted one.",
    ]
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.mutations:
            rows = []
            for kind in CHECKS:
                result = run_kind(kind, folder, options.mutations, options.seed)
                wrong += [f"{kind}, {line}" for line in result["wrong"]]
                rows.append({**result, "wrong": len(result["wrong"])})
            parts += ["## Files with random damage", table(rows)]
        if options.kills or options.disk:
            run(["phantom", "chests", "--n", "12"], folder)
        if options.kills:
            draw = random.Random(options.seed)
            rows = [kills(command, options.kills, folder, draw) for command in COMMANDS]
            parts += ["## Kills at a random moment", table(rows)]
        if options.disk:
            parts += ["## A disk of 1 MB", table([full_disk(folder)])]
    parts += ["## What was wrong", "\n".join(f"- {line}" for line in wrong)] if wrong else []
    page = "\n\n".join(parts) + "\n"
    if options.out:
        options.out.write_text(page)
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
