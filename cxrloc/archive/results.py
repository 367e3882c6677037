"""The results of an archive: which run they are of, which parts are complete, and what is left."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from cxrloc.archive.store import opened, read_bytes, write_bytes
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.extras import import_extra
from cxrloc.files.part_tables import PART_FILE, table_errors
from cxrloc.files.setting_difference import first_difference
from cxrloc.files.structured import expecting

RUN_FILE = "run.json"

RECENT = 100
"""Number of the latest parts from which `status` computes images per second."""


def claim_results(out: str, run: Mapping[str, Any]) -> None:
    """Write the settings of a run into its results, or check that the results are of this run.

    Shards of a run may do this at the same time, because all of them write the same content.

    Args:
        out: path or URI of the results.
        run: content of `run.json`; its `settings` must be those that are there.

    Raises:
        UsageError: the results are of another run.
    """
    there = read_bytes(f"{out}/{RUN_FILE}")
    if there is None:
        write_bytes(f"{out}/{RUN_FILE}", (json.dumps(run, indent=1) + "\n").encode())
        return
    earlier = _run(there)
    if earlier is None:
        raise UsageError(f"--out {out} holds results of another command: choose another place")
    # Through JSON, so that tuples and lists are alike.
    if found := first_difference(earlier["settings"], json.loads(json.dumps(run["settings"]))):
        raise UsageError(
            f"--out {out} holds results of another run ({found}): choose another place for these"
        )


def _run(content: bytes) -> dict[str, Any] | None:
    """The content of `run.json`; None if it is not of `cxrloc archive`."""
    try:
        run = json.loads(content)
        settings = dict(run["settings"])
        return {**run, "settings": settings} if run["command"] == "archive" else None
    except (ValueError, TypeError, KeyError):
        return None


def complete_parts(out: str) -> set[int]:
    """The numbers of the parts that were written whole."""
    system, path = opened(out)
    system.invalidate_cache()
    places = system.glob(f"{path}/part-*/{PART_FILE}")
    return {int(place.rsplit("/", 2)[-2].removeprefix("part-")) for place in places}


class ArchiveStatus(NamedTuple):
    """How far an archive's results have come.

    Attributes:
        parts: number of complete parts.
        parts_in_all: number of parts of the manifest.
        images: number of images in complete parts.
        images_in_all: number of rows of the manifest.
        failed: number of images that failed.
        images_per_second: over the latest `RECENT` parts, of all shards together; 0 before any.
        seconds_left: at this rate; None before any part.
        reasons: number of failures by stage and reason, the most frequent first.
    """

    parts: int
    parts_in_all: int
    images: int
    images_in_all: int
    failed: int
    images_per_second: float
    seconds_left: float | None
    reasons: list[tuple[str, int]]


def status_of(out: str) -> ArchiveStatus:
    """The status of results, whether they are complete or not.

    Raises:
        UsageError: there are no results.
        CxrlocError: the card or the failures of a part are damaged.
    """
    content = read_bytes(f"{out}/{RUN_FILE}")
    run = None if content is None else _run(content)
    if run is None:
        raise UsageError(f"{out}: holds no results of `cxrloc archive`")
    with expecting(f"{out}/{RUN_FILE}", "the settings of `cxrloc archive`"):
        parts_in_all, images_in_all = int(run["parts"]), int(run["images"])
    cards = [_card(out, number) for number in sorted(complete_parts(out))]
    images = sum(card.images for card in cards)
    rate = _rate(cards)
    reasons = Counter(reason for card in cards if card.failed for reason in _reasons(card.folder))
    return ArchiveStatus(
        len(cards),
        parts_in_all,
        images,
        images_in_all,
        sum(card.failed for card in cards),
        rate,
        (images_in_all - images) / rate if rate else None,
        reasons.most_common(),
    )


class _Card(NamedTuple):
    """What the status needs of a part; times are in seconds since 1970."""

    folder: str
    images: int
    failed: int
    started: float
    ended: float


def _card(out: str, number: int) -> _Card:
    folder = f"{out}/part-{number:06d}"
    with expecting(f"{folder}/{PART_FILE}", "the card of a part"):
        card = json.loads(read_bytes(f"{folder}/{PART_FILE}") or b"")
        started = float(card["started"])
        ended = started + float(card["seconds"])
        return _Card(folder, int(card["images"]), int(card["failed"]), started, ended)


def _rate(cards: list[_Card]) -> float:
    ended = sorted(cards, key=lambda card: card.ended)[-RECENT:]
    if not ended:
        return 0.0
    seconds = ended[-1].ended - min(card.started for card in ended)
    return sum(card.images for card in ended) / max(seconds, 1e-3)


def _reasons(folder: str) -> list[str]:
    """Stage and reason of each failed image of a part."""
    arrow = import_extra("pyarrow", "archive")
    parquet = import_extra("pyarrow.parquet", "archive")
    place = f"{folder}/failures.parquet"
    content = read_bytes(place)
    if content is None:
        raise CxrlocError(f"{place}: no such file, although images of this part failed")
    with table_errors(place):
        rows = parquet.read_table(arrow.BufferReader(content)).to_pylist()
        return [f"{row['stage']}: {row['reason']}" for row in rows]
