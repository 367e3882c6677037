"""Mutated files are read in forked children, each within bounds of memory and time.

    python -m tests.hostile.mutations FOLDER COUNT SEED [KIND ...]

prints one JSON line per kind. A child process reads a batch of files. If the child dies, the file
that it was reading is reported, and a new child continues with the next file.
"""

import json
import math
import os
import random
import resource
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cxrloc.datasets.boxes import read_boxed_images
from cxrloc.errors import CxrlocError
from cxrloc.images.decoder_process import stop_decoders
from cxrloc.images.formats import PNG_START
from cxrloc.images.read import read_radiograph
from cxrloc.images.size import image_size
from cxrloc.inference.map_files import read_maps
from cxrloc.reports.read import read_reports
from tests.hostile.seeds import SEEDS

PEAK_BYTES, CPU_SECONDS, BATCH = 3 * 2**30, 20, 100
LONGEST_LINE = 600

INTERESTING = (b"\0", b"\xff", b"\x7f\xff", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0", b"\n")


def mutated(data: bytes, draw: random.Random) -> bytes:
    """The file with one to six changes: bits, bytes, numbers, blocks, or its end."""
    content = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        size = max(1, len(content))
        at, span = draw.randrange(size), min(draw.choice((1, 2, 4, 16, 100)), size)
        match draw.randrange(8):
            case 0:
                content[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                content[at : at + 1] = bytes(
                    [content[at] ^ 1 << draw.randrange(8)] if content else b""
                )
            case 2:
                value = draw.choice(INTERESTING)
                content[at : at + len(value)] = value
            case 3:
                del content[at : at + span]
            case 4:
                content[at:at] = content[draw.randrange(size) :][:span]
            case 5:
                content[at : at + span] = draw.randbytes(span)
            case 6:
                # Most of what hurts stands in the first few hundred bytes: sizes, depths, lengths.
                near = draw.randrange(min(size, 700))
                content[near : near + 1] = bytes([draw.randrange(256)])
            case _ if draw.random() < 0.3:
                del content[at:]
    return with_checksums(bytes(content)) if draw.random() < 0.5 else bytes(content)


def with_checksums(data: bytes) -> bytes:
    """A PNG with right checksums, so that its damage gets past the first look; else as it is."""
    if not data.startswith(PNG_START):
        return data
    content, at = bytearray(data), len(PNG_START)
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if end + 4 > len(content):
            break
        content[end : end + 4] = zlib.crc32(content[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(content)


def check_image(path: Path) -> str:
    """What is wrong of what comes out of an image file; empty if nothing is."""
    radiograph = read_radiograph(path)
    pixels = radiograph.pixels
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        return "pixels outside of [0, 1]"
    if image_size(path) != pixels.shape:
        return f"size {image_size(path)} was told and {pixels.shape} came"
    return next((f"a warning: {bad}" for line in radiograph.warnings if (bad := _bad(line))), "")


def check_maps(path: Path) -> str:
    """What is wrong of what comes out of a file of maps."""
    probabilities, heatmaps = read_maps(path, "a")
    values = [
        *np.ravel(heatmaps.scores),
        *np.ravel(getattr(probabilities, "values", probabilities)),
    ]
    return "" if np.isfinite(np.array(values, dtype=float)).all() else "maps that are not finite"


def check_boxes(path: Path) -> str:
    """What is wrong of what comes out of a file of boxes."""
    boxes = [found.box for record in read_boxed_images(path) for found in record.annotations]
    finite = all(math.isfinite(value) for box in boxes for value in (box.x_min, box.y_max))
    return "" if finite else "boxes that are not finite"


def check_reports(path: Path) -> str:
    """What is wrong of what comes out of an archive of reports."""
    lines = [getattr(report, "reason", "") for report in read_reports(path)]
    return next((bad for line in lines if (bad := _bad(line))), "")


def check_recipe(path: Path) -> str:
    """What is wrong of what comes out of a recipe: nothing, if it is read."""
    from cxrloc.recipe import read_recipe  # it imports torch, which takes seconds

    read_recipe(path)
    return ""


CHECKS: dict[str, Callable[[Path], str]] = {
    "plain DICOM": check_image,
    "compressed DICOM": check_image,
    "PNG": check_image,
    "JPEG": check_image,
    "COCO JSON": check_boxes,
    "CSV": check_boxes,
    "recipe": check_recipe,
    "npz": check_maps,
    "report archive": check_reports,
}


def outcome(kind: str, path: Path) -> tuple[str, str]:
    """("read" or "refused", what is wrong of it)."""
    try:
        return "read", CHECKS[kind](path)
    except CxrlocError as error:
        return "refused", _bad(str(error))
    except BaseException as error:
        return "refused", f"{type(error).__name__}: {str(error)[:200]}"


def run_kind(kind: str, folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Read `count` mutated files of a kind; what was read, what refused, and everything wrong."""
    make, name = SEEDS[kind]
    folder = folder / kind.replace(" ", "-")  # images and boxes of one folder belong together
    folder.mkdir(exist_ok=True)
    seeds = make(folder)
    result: dict[str, Any] = {"kind": kind, "read": 0, "refused": 0, "peak_mb": 0, "wrong": []}
    start, begun = 0, time.perf_counter()
    # The children find imported what the parent imports to read a valid file.
    (folder / name).write_bytes(seeds[0])
    result["wrong"] += filter(None, [outcome(kind, folder / name)[1]])
    while start < count:
        start = _run_child(
            kind, seeds, folder / name, range(start, min(start + BATCH, count)), seed, result
        )
    return {**result, "files": count, "seconds": round(time.perf_counter() - begun, 1)}


def _run_child(
    kind: str, seeds: list[bytes], path: Path, numbers: range, seed: int, result: dict[str, Any]
) -> int:
    """Read a batch in a child; returns the number of the file to go on with."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _limit()
        with os.fdopen(send, "w", buffering=1) as lines:
            for number in numbers:
                draw = random.Random(f"{kind} {seed} {number}")
                path.write_bytes(mutated(draw.choice(seeds), draw))
                lines.write(json.dumps({"number": number}) + "\n")
                how, wrong = outcome(kind, path)
                lines.write(json.dumps({"how": how, "wrong": wrong}) + "\n")
            stop_decoders()
            usage = [
                resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
            ]
            lines.write(json.dumps({"peak_mb": max(use.ru_maxrss for use in usage) // 1024}) + "\n")
        os._exit(0)
    os.close(send)
    number = numbers.start
    with os.fdopen(receive) as lines:
        for line in map(json.loads, lines):
            number = line.get("number", number)
            if "how" in line:
                result[line["how"]] += 1
                if line["wrong"]:
                    result["wrong"].append(f"file {number}: {line['wrong']}")
            result["peak_mb"] = max(result["peak_mb"], line.get("peak_mb", 0))
    _, status = os.waitpid(child, 0)
    if status:
        result["wrong"].append(f"file {number}: the child ended with status {status}")
        return number + 1
    return numbers.stop


def _limit() -> None:
    """Bound this process: memory beside what it has, and processor time for its batch."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    taken = pages * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + PEAK_BYTES, taken + PEAK_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _bad(line: str) -> str:
    """What is wrong of a message; empty if nothing is."""
    if len(line) > LONGEST_LINE:
        return f"a message of {len(line)} characters"
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line):
        return f"control characters in {line[:100]!r}"
    return ""


def main() -> None:
    """Run the kinds that are named, or all."""
    folder, count, seed, *kinds = sys.argv[1:]
    for kind in kinds or CHECKS:
        result = run_kind(kind, Path(folder), int(count), int(seed))
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
