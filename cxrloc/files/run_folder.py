"""The output folder of one run, with a record of its settings, its state and its files.

Every command that writes a folder opens it here. The folder has two hidden files:
`.cxrloc-run.json` names the command and its settings, and `.cxrloc-files` lists what was written. A
third one is locked while a run is writing.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cxrloc.errors import UsageError
from cxrloc.files.journal import Journal
from cxrloc.files.setting_difference import first_difference
from cxrloc.files.whole import (
    DISK_ERRORS,
    DiskError,
    append_line,
    finite,
    remove_parts,
    watched_writes,
    write_json,
)

MARK = ".cxrloc-run.json"
LIST = ".cxrloc-files"
LOCK = ".cxrloc-lock"
JOURNAL = ".cxrloc-journal.jsonl"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a user wants the results.

    Attributes:
        out: the folder; None for the default folder of the command, `cxrloc-COMMAND`.
        overwrite: remove what a former run wrote into `out`, and begin anew.
    """

    out: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder that belongs to one run until it is closed.

    Attributes:
        path: the folder.
        continued: an unfinished run with the same settings was found here and is continued.
        journal: results of single images, which a continued run need not compute again.
    """

    path: Path
    continued: bool
    journal: Journal


@contextmanager
def open_run(
    command: str, destination: Destination, settings: Mapping[str, Any], anew: bool = False
) -> Iterator[RunFolder]:
    """Open the folder of a run; the run counts as finished when the block ends without error.

    An unfinished run of the same command and settings is continued in its folder. If the default
    folder holds another run, or a run is writing into it, the next free number is used, such as
    `cxrloc-bench-2`, and the log says so.

    Args:
        command: its name.
        destination: what the user asked for.
        settings: everything that changes a result: values that JSON can hold.
        anew: repeat a finished run with the same settings from the beginning, so that its files are
            removed; otherwise the files stay, and the command finds out which results exist.

    Raises:
        UsageError: the folder that was named holds another run, another run is writing into it, or
            it cannot be made.
        DiskError: the disk is full or read-only.
    """
    settings = json.loads(json.dumps(finite(settings), default=str))
    path, lock = _chosen(command, destination, settings)
    try:
        former = _read_mark(path)
        if destination.overwrite or (anew and former is not None and former["finished"]):
            _remove_former(path)
            former = None
        remove_parts(path)
        continued = former is not None and not former["finished"]
        mark = {"command": command, "settings": settings}
        write_json(path / MARK, {**mark, "finished": False})
        journal = Journal(path / JOURNAL)
        if continued and len(journal):
            log.info("%s: goes on after %d images of the interrupted run", path, len(journal))
        with watched_writes(lambda file: _list_file(path, file)):
            yield RunFolder(path, continued, journal)
        write_json(path / MARK, {**mark, "finished": True})
        (path / JOURNAL).unlink(missing_ok=True)
    finally:
        if not any((path / name).exists() for name in (LIST, JOURNAL)):
            _leave_unused(path)  # the run was refused before it wrote anything
        lock.release()


@contextmanager
def held_folder(path: Path) -> Iterator[None]:
    """Make a folder and hold its lock for the block, so that no other run writes into it.

    `open_run` does this too; this function is for commands that keep no journal of images there.

    Raises:
        FolderInUseError: another run is writing into the folder.
        UsageError: the folder cannot be made or written to.
        DiskError: the disk is full or read-only.
    """
    lock = _locked(path)
    try:
        yield
    finally:
        lock.release()


def check_folder(out: Path | None) -> None:
    """Refuse an output folder that cannot be made, before any work; None is the default folder.

    Raises:
        UsageError: it cannot be made or written to.
        DiskError: the disk is full or read-only.
    """
    if out is not None:
        make_folder(out)


def make_folder(out: Path) -> None:
    """Make an output folder, before any work.

    Raises:
        UsageError: it cannot be made or written to.
        DiskError: the disk is full or read-only.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".cxrloc-write-test"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(out, error) from error


def _chosen(
    command: str, destination: Destination, settings: Mapping[str, Any]
) -> tuple[Path, FileLock]:
    """The folder of the run, and the lock that this run holds."""
    if destination.out is not None:
        lock = _locked(destination.out)
        refused = "" if destination.overwrite else _refusal(destination.out, command, settings)
        if refused:
            lock.release()
            raise UsageError(
                f"--out {destination.out} holds {refused}: choose another folder, or begin anew "
                "there with --overwrite"
            )
        return destination.out, lock
    passed_over = ""
    for number in count(1):
        path = Path(f"cxrloc-{command}" if number == 1 else f"cxrloc-{command}-{number}")
        try:
            lock = _locked(path)
        except FolderInUseError:
            passed_over = passed_over or f"another run is writing into {path}"
            continue
        refused = _refusal(path, command, settings)
        if not refused or destination.overwrite:
            if passed_over:
                log.info("%s: the results go to %s", passed_over, path)
            return path, lock
        lock.release()
        passed_over = passed_over or f"{path} holds {refused}"
    raise AssertionError("count() does not end")


class FolderInUseError(UsageError):
    """Another run is writing into the folder."""


def _locked(path: Path) -> FileLock:
    make_folder(path)
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FolderInUseError(
            f"--out {path}: another run is writing there: wait for its end, or choose another "
            "folder"
        ) from None
    except OSError as error:
        raise _refused(path, error) from error
    return lock


def _refused(out: Path, error: OSError) -> DiskError | UsageError:
    message = f"--out {out}: {error.strerror or error}"
    return DiskError(message) if error.errno in DISK_ERRORS else UsageError(message)


def _refusal(path: Path, command: str, settings: Mapping[str, Any]) -> str:
    """The reason why this run cannot use the folder, in words; empty if it can."""
    mark = _read_mark(path)
    if mark is None:
        if (path / "run.json").exists():
            return "the results of another command"
        return ""
    if mark["command"] != command:
        return f"the results of `cxrloc {mark['command']}`"
    if found := first_difference(mark["settings"], settings):
        return f"results of other settings ({found})"
    return ""


def _read_mark(path: Path) -> dict[str, Any] | None:
    try:
        mark = json.loads((path / MARK).read_bytes())
        return {name: mark[name] for name in ("command", "settings", "finished")}
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, RecursionError):  # not written by open_run
        return {"command": "of an unreadable mark", "settings": {}, "finished": True}


def _list_file(folder: Path, file: Path) -> None:
    """Record a file of this folder as written by this run; files elsewhere are not recorded."""
    if file.name not in (MARK, LIST) and file.is_relative_to(folder):
        append_line(folder / LIST, json.dumps(str(file.relative_to(folder))))


def _leave_unused(folder: Path) -> None:
    """Remove the hidden files, and the folder itself where nothing else is in it."""
    with suppress(OSError):
        for name in (MARK, LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _remove_former(folder: Path) -> None:
    """Remove what former runs wrote into the folder, and nothing else."""
    try:
        lines = (folder / LIST).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    for line in dict.fromkeys(lines):
        with suppress(ValueError, OSError):
            file = folder / json.loads(line)
            if file.resolve().is_relative_to(folder.resolve()):
                file.unlink(missing_ok=True)
    for name in (LIST, JOURNAL, MARK):
        (folder / name).unlink(missing_ok=True)
