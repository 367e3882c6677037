"""Commands that write to a full disk, a read-only one, or a folder without permission.

    sudo python benchmarks/campaign_disks.py heatmap train

Root mounts a file system in memory. For the full disk it has half of the space that the results
take; it then grows, and the same command must go on to the results of a run with enough space. A
command must end with exit status 1 (2 for a folder that it may not write into) and one line that
names a file or folder; every file that it leaves must be whole. A quota needs a kernel that has
quotas; `tests/files/test_whole.py` raises its error (EDQUOT) instead.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import campaign_kills

ROOT = Path(__file__).parents[1]
OBEYING = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root without the right to write where a folder's permissions forbid it."""

LARGE = "256m"
CONDITIONS = ("full", "read-only", "no permission")


def main() -> None:
    """Run the named commands; prints a row of JSON for each command and condition."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commands", nargs="*", default=[*campaign_kills.COMMANDS])
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=Path("cxrloc-disks"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    campaign_kills.make_data(folder, options.images)
    for command in options.commands:
        for row in on_bad_disks(command, folder):
            print(json.dumps(row), flush=True)


def on_bad_disks(command: str, folder: Path) -> list[dict[str, Any]]:
    """A row for each condition."""
    return [tried(command, condition, folder) for condition in CONDITIONS]


def tried(command: str, condition: str, folder: Path) -> dict[str, Any]:
    """A command on a bad disk, and on the same disk after it is mended."""
    whole = folder / f"{command}-whole"
    if not whole.exists():
        assert run(campaign_kills.arguments(command, folder, whole)).returncode == 0
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    with mounted(folder, f"{size // 2}" if condition == "full" else LARGE) as disk:
        out = disk / "out"
        arguments = campaign_kills.arguments(command, folder, out)
        if condition == "read-only":
            remount(disk, "ro")
        if condition == "no permission":
            out.chmod(0o555)
        done = run(arguments, OBEYING if condition == "no permission" else ())
        remount(disk, f"rw,size={LARGE}")
        out.chmod(0o755)
        left = campaign_kills.files_in(out)
        broken = sum(not campaign_kills.is_whole(path) for path in left)
        again = run(arguments)
        equal = again.returncode == 0 and (
            campaign_kills.results(out) == campaign_kills.results(whole)
        )
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    return {
        "command": command,
        "disk": condition,
        "exit status": done.returncode,
        "error lines": len(errors),
        "traceback": "Traceback" in done.stderr,
        "files left": len(left),
        "not whole": broken,
        "equal in the end": equal,
        "error": errors[-1].replace(f"{folder}/", "") if errors else "",
    }


def run(arguments: Sequence[str], before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """One command, to its end; `before` is a program that starts it."""
    command = [*before, sys.executable, "-m", "cxrloc", *arguments]
    place = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=place)


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size in memory, mounted for a while."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def remount(place: Path, options: str) -> None:
    """Change a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


if __name__ == "__main__":
    main()
