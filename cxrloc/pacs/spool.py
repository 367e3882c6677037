r"""The queue of a node on disk: one folder for each state, one folder in it for each image.

A job moves to its next state by one renaming, so that a kill leaves it in exactly one state, and a
restart goes on from there:

    incoming -> received -> sending -> done
                       \-> failed <-/

Names of jobs are hashes; no identifier of a patient stands in a file name or in a log.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from cxrloc.errors import UsageError
from cxrloc.files.whole import whole_file, write_json

log = logging.getLogger(__name__)

IMAGE = "image.dcm"
NOTE = "job.json"
RESULTS = "results"


class State(StrEnum):
    """The state of a job, which is also the name of its folder."""

    RECEIVED = "received"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"


LOCK = ".lock"

PAUSE_SECONDS = 0.2
"""Seconds between two looks at a state that holds no job."""

INCOMING = "incoming"
"""Folder of jobs that are still being written; after a crash they count as never received."""


@dataclass(frozen=True, slots=True)
class Note:
    """The content of a job's file; the state itself is given by the job's folder.

    Attributes:
        starts: number of times its computation was begun.
        deaths: number of times the worker's process died while it computed the image.
        sent_to: destinations that have answered for all results.
        reason: why it failed, or why a destination refused a result; empty otherwise.
        waits_because: why destinations have not answered for it yet, by destination.
    """

    starts: int = 0
    deaths: int = 0
    sent_to: tuple[str, ...] = ()
    reason: str = ""
    waits_because: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One image in the queue.

    Attributes:
        name: a hash of its SOP instance UID and its content.
        folder: its folder, in the folder of its state.
    """

    name: str
    folder: Path

    @property
    def image(self) -> Path:
        """The image as it was received."""
        return self.folder / IMAGE

    @property
    def results(self) -> Path:
        """The folder of its results."""
        return self.folder / RESULTS


class Spool:
    """The folders of a node's queue.

    Args:
        folder: made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (INCOMING, *State):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def lock(self) -> None:
        """Keep other nodes off this queue for as long as this process lives.

        Raises:
            UsageError: another node works on it.
        """
        self._own = FileLock(self.folder / LOCK)
        try:
            self._own.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"{self.folder}: another node works on this queue") from None

    def sweep(self) -> None:
        """Remove images that were being received when the node was killed.

        They were never acknowledged, so their senders still have them.
        """
        self._remove_incoming(older_than_seconds=-1.0)

    def _remove_incoming(self, older_than_seconds: float) -> None:
        limit = time.time() - older_than_seconds
        for path in (self.folder / INCOMING).iterdir():
            if path.stat().st_mtime >= limit:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:  # what an aborted association leaves
                path.unlink(missing_ok=True)

    def is_nearly_full(self, min_free_megabytes: int) -> bool:
        """Whether the disk that holds the queue has less free space than this."""
        return shutil.disk_usage(self.folder).free < min_free_megabytes << 20

    def add(self, sop_instance_uid: str, source: Path) -> Job | None:
        """Copy an image into the queue; once this returns, a crash does not lose it.

        Returns None if the image is already in the queue or is already done. An image that failed
        is tried again if it comes again.
        """
        content = hashlib.sha256(sop_instance_uid.encode() + b"\0")
        with source.open("rb") as file:
            hashlib.file_digest(file, lambda: content)
        name = content.hexdigest()[:32]
        failed = Job(name, self.folder / State.FAILED / name)
        if failed.folder.exists():
            write_note(failed, Note())
            return self.move(failed, State.RECEIVED)
        if any((self.folder / state / name).exists() for state in State):
            return None
        # Several associations may send the same image at once, so each writes into its own folder.
        incoming = self.folder / INCOMING / f"{name}.{time.monotonic_ns()}"
        incoming.mkdir()
        with whole_file(incoming / IMAGE) as part:
            shutil.copyfile(source, part)
        write_json(incoming / NOTE, asdict(Note()))
        _flush_folder(incoming)
        target = self.folder / State.RECEIVED / name
        try:
            incoming.rename(target)
        except OSError:  # another association was faster
            shutil.rmtree(incoming, ignore_errors=True)
            return None
        _flush_folder(target.parent)
        return Job(name, target)

    def jobs(self, state: State) -> list[Job]:
        """The jobs in a state; those whose file was changed last come last."""
        changed: list[tuple[int, Path]] = []
        for folder in (self.folder / state).iterdir():
            with suppress(FileNotFoundError):  # another thread has just moved the job
                changed.append((folder.stat().st_mtime_ns, folder))
        return [Job(folder.name, folder) for _, folder in sorted(changed)]

    def count(self, state: State) -> int:
        """How many jobs are in a state."""
        return sum(1 for _ in (self.folder / state).iterdir())

    def move(self, job: Job, state: State) -> Job:
        """Move the job to a new state, and return the job there."""
        target = self.folder / state / job.name
        job.folder.rename(target)
        _flush_folder(target.parent)
        return Job(job.name, target)

    def fail(self, job: Job, reason: str) -> Job:
        """Move the job to the failed ones, and note the reason."""
        write_note(job, replace(read_note(job), reason=reason))
        # The reason may quote the file, so it is kept in the job's file and not in the log.
        log.error("failed", extra={"fields": {"job": job.name}})
        return self.move(job, State.FAILED)

    def remove_done(self, older_than_seconds: float) -> int:
        """Remove done jobs of a certain age; jobs in other states stay. Returns how many.

        Incomplete images that aborted associations left more than an hour ago are removed too.
        """
        self._remove_incoming(older_than_seconds=3600.0)
        limit, removed = time.time() - older_than_seconds, 0
        for job in self.jobs(State.DONE):
            if job.folder.stat().st_mtime < limit:
                shutil.rmtree(job.folder, ignore_errors=True)
                removed += 1
        return removed


def read_note(job: Job) -> Note:
    """The content of a job's file; if the file is missing, the note of a new job."""
    try:
        note = json.loads((job.folder / NOTE).read_text())
    except FileNotFoundError:
        return Note()
    if not isinstance(note.get("waits_because"), dict):  # a string in queues of earlier versions
        note.pop("waits_because", None)
    return Note(**{**note, "sent_to": tuple(note["sent_to"])})


def write_note(job: Job, note: Note) -> None:
    """Replace a job's file."""
    write_json(job.folder / NOTE, asdict(note))


def result_files(job: Job) -> list[Path]:
    """The DICOM objects of a job's results."""
    return sorted(job.results.glob("*.dcm"))


def oldest_age_seconds(jobs: Iterable[Job]) -> float:
    """Seconds since the oldest of the jobs was received; 0 if there is no job."""
    received = []
    for job in jobs:
        with suppress(FileNotFoundError):  # it has just been moved
            received.append(job.image.stat().st_mtime)
    return time.time() - min(received) if received else 0.0


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, because the fsync of a file does not do this."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
