"""Files of one kind with random damage, chosen by Atheris so that they reach new code of cxrloc.

    python benchmarks/campaign_files.py "plain DICOM" --files 20000 --folder found

Atheris (libFuzzer for Python) changes valid files at random. It notes which code each one runs, and
goes on with those that reached something new. Every file is read as in `tests/hostile`: the result
must be right or a refusal in one line. The process may hold 3 GiB, and a file may take 20 s of
processor time. If a file ends the process, a new process goes on with the rest, and the file counts
as wrong. Files that went wrong are kept in the folder `found`.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ROOMS = ("images", "datasets", "files", "reports", "recipe", "inference.map_files")
INSTRUMENTED = [*(f"cxrloc.{room}" for room in ROOMS), "pydicom", "PIL", "tarfile", "zipfile"]
PEAK_MB, CPU_SECONDS, WALL_SECONDS = 3072, 20, 200
LONGEST_FILE = 100_000
"""Bytes; the valid files have at most 13,000."""


def damaged_files(kind: str, folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Read `count` damaged files in processes of their own; counts, and what went wrong.

    The folder begins anew; files that went wrong are kept in it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outcomes, wrong = folder / "outcomes", folder / "wrong.jsonl"
    outcomes.touch()
    begun, deaths, peak = time.perf_counter(), 0, 0
    while (done := outcomes.stat().st_size) < count:
        command = [sys.executable, __file__, kind, "--folder", str(folder)]
        command += ["--files", str(count - done), "--seed", str(seed + deaths + 1), "--child"]
        with (folder / "log").open("ab") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        peak = max(peak, usage.ru_maxrss // 1024)
        if status and outcomes.stat().st_size == done:
            raise SystemExit(f"{kind}: no file was read; see {folder / 'log'}")
        deaths += bool(status)
    marks = outcomes.read_bytes()
    lines = wrong.read_text().splitlines() if wrong.exists() else []
    return {
        "kind": kind,
        "files": len(marks),
        "read": marks.count(b"+"),
        "refused": marks.count(b"-"),
        "processes ended": deaths,
        "wrong": [json.loads(line) for line in lines],
        "peak MB": peak,
        "seconds": round(time.perf_counter() - begun),
    }


def child(kind: str, folder: Path, count: int, seed: int) -> None:
    """Read damaged files until the count is reached; Atheris ends the process."""
    import atheris

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.hostile.mutations import outcome, with_checksums
        from tests.hostile.seeds import SEEDS

    make, name = SEEDS[kind]
    for part in ("valid", "file"):
        (folder / part).mkdir(exist_ok=True)
    for number, content in enumerate(make(folder)):
        (folder / "valid" / str(number)).write_bytes(content)
    path = folder / "file" / name
    marks = (folder / "outcomes").open("ab", buffering=0)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        began = time.process_time()
        how, wrong = outcome(kind, path)
        took = time.process_time() - began
        wrong = wrong or (f"{took:.0f} s of processor time" if took > CPU_SECONDS else "")
        marks.write(b"+" if how == "read" else b"-")
        if wrong:
            number = (folder / "outcomes").stat().st_size
            (folder / f"wrong-{number}").write_bytes(data)
            with (folder / "wrong.jsonl").open("a") as lines:
                lines.write(json.dumps(f"file {number}: {wrong}") + "\n")

    def changed(data: bytes, most: int, seed: int) -> bytes:
        data = atheris.Mutate(data, most)
        return with_checksums(data) if seed % 2 else data

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    options = {
        "runs": count,
        "seed": seed,
        "max_len": LONGEST_FILE,
        "len_control": 0,
        "mutate_depth": 1,  # deeper damage is nearly always refused at the first look
        "reduce_inputs": 0,
        "prefer_small": 0,
        "rss_limit_mb": PEAK_MB,
        "timeout": WALL_SECONDS,
        "artifact_prefix": f"{folder}/ended-",
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(folder / "valid")], read, custom_mutator=changed)
    atheris.Fuzz()


def main() -> None:
    """One kind; prints its row as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("cxrloc-campaign"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    run = child if options.child else damaged_files
    row = run(options.kind, options.folder.resolve(), options.files, options.seed)
    sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
