"""Hostile files, kills and a full disk: what breaks, and how often.

    python benchmarks/campaign.py --mutations 20000 --kills 25 --out benchmarks/campaign.md

Three parts, each of which can be left out with 0:
- files of every kind with random damage, read in forked children (3 GiB, 20 s of processor time);
- commands that are killed at a random moment and called again: no file may be half written, and
  what comes out in the end must be what an uninterrupted run writes;
- `heatmap` into a file system of 1 MB (needs root, for the mount).
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import campaign_kills  # noqa: E402  (beside this file)

from tests.hostile.mutations import CHECKS, run_kind  # noqa: E402


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    command = [sys.executable, "-m", "cxrloc", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


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
        heatmap = campaign_kills.arguments("heatmap", folder, place / "out", overwrite=False)
        done = run(heatmap, folder)
        return {
            "exit status": done.returncode,
            "lines": len(done.stderr.strip().splitlines()),
            "last line": done.stderr.strip().splitlines()[-1][-160:] if done.stderr else "",
            "not whole": sum(
                not campaign_kills.is_whole(path)
                for path in place.rglob("*")
                if path.is_file() and not path.name.startswith(".")
            ),
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
            campaign_kills.make_data(folder, images=12)
        if options.kills:
            draw = random.Random(options.seed)
            rows = campaign_kills.campaigns(folder, options.kills, draw)
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
