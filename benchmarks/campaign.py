"""Hostile files, kills, and disks that cannot be written: what breaks, and how often.

    sudo python benchmarks/campaign.py --out benchmarks/campaign.md

Runs `campaign_files.py`, `campaign_kills.py` and `campaign_disks.py` part by part, which takes
hours, and writes their numbers as a page. The rows are kept in a folder as they are made, so that
an interrupted campaign goes on where it was; `--anew` forgets them. The disks need root.
"""

import argparse
import json
import random
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import campaign_disks  # noqa: E402  (these three are beside this file)
import campaign_files  # noqa: E402
import campaign_kills  # noqa: E402

from tests.hostile.mutations import CHECKS  # noqa: E402

TITLES = {
    "files": "Files with random damage",
    "kills": "Kills at a random moment",
    "disks": "Disks that cannot be written",
}
EXPLAINED = {
    "files": "Each file was read in a process that may hold 3 GiB, with 20 s of processor time for "
    "a file. `refused` is one line that names the file; `processes ended` counts crashes, hangs "
    "and too much memory; `wrong` counts tracebacks, messages that are too long or hold control "
    "characters, and pixels, sizes or boxes that cannot be right.",
    "kills": "SIGKILL and SIGTERM in turn. `not whole` counts files that could not be read to "
    "their end after a kill; `equal in the end` says whether the last call ended with the same "
    "files as a run that was never killed.",
    "disks": "`full` has half of the space that the results take. `equal in the end` says whether "
    "the same call, after the disk was mended, ended with the files of a run with enough space.",
}


def main() -> None:
    """Make the rows that are missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", default=[*TITLES], help="files, kills, disks")
    parser.add_argument("--files", type=int, default=20_000, help="damaged files of each kind")
    parser.add_argument("--kills", type=int, default=25, help="of each command")
    parser.add_argument("--images", type=int, default=12, help="of the commands' data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("cxrloc-campaign"))
    parser.add_argument("--anew", action="store_true", help="forget the rows of a former call")
    parser.add_argument("--out", type=Path, help="Markdown page; printed where it is not given")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    if options.anew:
        shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    for part in options.parts:
        make_rows(part, options)
    page = page_of({part: rows_of(options.folder, part) for part in TITLES})
    if options.out:
        options.out.write_text(page)
    sys.stdout.write(page)


def make_rows(part: str, options: argparse.Namespace) -> None:
    """Add the missing rows of a part to its file."""
    file = options.folder / f"{part}.jsonl"
    done = {row["name"] for row in rows_of(options.folder, part)}
    for name, row in rows_to_make(part, options, done):
        with file.open("a") as lines:
            lines.write(json.dumps({"name": name, "date": f"{date.today()}", "row": row}) + "\n")


def rows_to_make(
    part: str, options: argparse.Namespace, done: Iterable[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each row that is not done."""
    folder = options.folder / part
    if part == "files":
        for kind in CHECKS:
            if kind not in done:
                place = folder / kind.replace(" ", "-")
                yield kind, campaign_files.damaged_files(kind, place, options.files, options.seed)
        return
    left = [command for command in campaign_kills.COMMANDS if command not in done]
    if left:
        shutil.rmtree(folder, ignore_errors=True)
        campaign_kills.make_data(folder, options.images)
    for command in left:
        if part == "kills":
            draw = random.Random(f"{command} {options.seed}")
            yield command, campaign_kills.campaign(command, folder, options.kills, draw)
        else:
            yield command, campaign_disks.on_bad_disks(command, folder)


def rows_of(folder: Path, part: str) -> list[dict[str, Any]]:
    """The rows of a part that are done, each with its name and date."""
    file = folder / f"{part}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def page_of(parts: dict[str, list[dict[str, Any]]]) -> str:
    """The page, with a table for each part that has rows."""
    lines = [
        "# Hostile files, kills and bad disks",
        "`python benchmarks/campaign.py` makes these tables. To reach: nothing wrong, no process "
        "that ended, no file that is not whole, and every run equal in the end to an "
        "uninterrupted one.",
    ]
    wrong: list[str] = []
    for part, made in parts.items():
        if not made:
            continue
        rows = [row for each in made for row in _as_list(each["row"])]
        for row in rows:
            if part == "files":
                wrong += [f"{row['kind']}: {line}" for line in row["wrong"]]
                row["wrong"] = len(row["wrong"])
        days = sorted({each["date"] for each in made})
        lines += [f"## {TITLES[part]}", f"{EXPLAINED[part]} Made on {', '.join(days)}."]
        lines.append(table(rows))
    lines += ["## What was wrong", "\n".join(f"- {line}" for line in wrong)] if wrong else []
    return "\n\n".join(lines) + "\n"


def _as_list(row: Any) -> list[dict[str, Any]]:
    return row if isinstance(row, list) else [row]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    heads = list(rows[0])
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(str(row[head]) for head in heads)} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
