"""A node beside a PACS: it receives images, computes results and sends them, and loses no image.

Threads share only the queue on disk: one thread receives, one may query, some compute (each with a
process of its own), and one sends. If the node is killed, a restart continues from the folders.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pydicom

from cxrloc.pacs.destinations import Security
from cxrloc.pacs.node_config import NodeConfig
from cxrloc.pacs.query import fetch_new
from cxrloc.pacs.receive import Receiver
from cxrloc.pacs.send import NotSent, SendSettings, send
from cxrloc.pacs.spool import (
    Job,
    Spool,
    State,
    read_note,
    result_files,
    write_note,
)
from cxrloc.workers import Limits, TaskDiedError, TaskProcess

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
"""Seconds between two checks of an empty queue."""

SWEEP_SECONDS = 600.0
"""Seconds between two removals of old jobs."""


class Task(NamedTuple):
    """The input of a worker: an image and its study.

    Attributes:
        image: the image for which results are made.
        study: the received images of its study; the image itself comes first.
        results: folder for the DICOM objects, made by the worker.
    """

    image: Path
    study: tuple[Path, ...]
    results: Path


Prepare = Callable[[], Callable[[Task], None]]
"""A function that is called once in a worker's process and returns the function that writes the
results of a task. The latter raises `CxrlocError` if an image can have no results."""


class Node:
    """A node that runs until it is stopped.

    Args:
        config: its settings.
        prepare: makes the function that computes; see `Prepare`.
    """

    def __init__(self, config: NodeConfig, prepare: Prepare) -> None:
        self.config = config
        self.spool = Spool(config.spool.folder)
        self.spool.sweep()
        self._prepare = prepare
        self._stop = threading.Event()
        self._taken: set[str] = set()
        self._lock = threading.Lock()
        self.receiver = Receiver(config.receive, self.spool) if config.receive.allow else None

    def run(self) -> None:
        """Work until `stop` is called."""
        workers = [self._compute] * max(1, self.config.compute.workers)
        threads = [
            threading.Thread(target=self._guarded, args=(each,), daemon=True)
            for each in (*workers, self._send, self._query, self._sweep)
        ]
        for thread in threads:
            thread.start()
        self._stop.wait()
        if self.receiver is not None:
            self.receiver.close()
        for thread in threads:
            thread.join(timeout=self.config.compute.seconds_per_image)

    def stop(self) -> None:
        """Finish the images that are being computed and sent, and make `run` return."""
        self._stop.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a loop, and start it again after an unexpected error, such as a full disk."""
        while not self._stop.is_set():
            try:
                work()
                return
            except Exception:
                log.exception("%s is started again after an error", work.__name__.strip("_"))
                self._stop.wait(5.0)

    def _compute(self) -> None:
        settings = self.config.compute
        limits = Limits(
            seconds=settings.seconds_per_image,
            address_space_bytes=settings.megabytes << 20 or None,
        )
        process: TaskProcess[Task, None] = TaskProcess(self._prepare, limits)
        try:
            while not self._stop.is_set():
                job = self._next_received()
                if job is None:
                    self._stop.wait(PAUSE_SECONDS)
                    continue
                try:
                    self._compute_one(job, process)
                finally:
                    with self._lock:
                        self._taken.discard(job.name)
        finally:
            process.close()

    def _compute_one(self, job: Job, process: TaskProcess[Task, None]) -> None:
        note = read_note(job)
        if note.tries >= self.config.compute.tries:
            self._fail(job, note.reason or "its process was killed in each try")
            return
        # A try is counted before it begins, so that an image that kills the whole node is also
        # given up after the last try.
        write_note(job, replace(note, tries=note.tries + 1))
        started = time.monotonic()
        study = tuple(each.image for each in self._study_of(job))
        try:
            process.run(Task(job.image, study, job.results))
        except TaskDiedError as error:
            log.warning("a worker died", extra={"fields": {"job": job.name, "reason": str(error)}})
            write_note(job, replace(read_note(job), reason=str(error)))
            return  # it stays in the queue, and is tried again
        except Exception as error:
            self._fail(job, f"{type(error).__name__}: {error}")
            return
        seconds = round(time.monotonic() - started, 3)
        self.spool.move(job, State.SENDING)
        log.info("computed", extra={"fields": {"job": job.name, "seconds": seconds}})

    def _fail(self, job: Job, reason: str) -> None:
        self.spool.fail(job, reason)
        # The reason may quote the file, so it is kept in the job's file and not in the log.
        log.error("failed", extra={"fields": {"job": job.name}})

    def _next_received(self) -> Job | None:
        """Take the oldest image that no worker computes and whose study gets no new images."""
        with self._lock:
            for job in self.spool.jobs(State.RECEIVED):
                if job.name not in self._taken and self._rests(job):
                    self._taken.add(job.name)
                    return job
        return None

    def _rests(self, job: Job) -> bool:
        rest = self.config.compute.study_rest_seconds
        if not rest:
            return True
        newest = max(each.image.stat().st_mtime for each in self._study_of(job))
        return time.time() - newest >= rest

    def _study_of(self, job: Job) -> list[Job]:
        """The images of a job's study that the node still holds, in any state."""
        if not self.config.compute.study_rest_seconds:
            return [job]
        study = _study_uid(job)
        others = [
            each
            for state in (State.RECEIVED, State.SENDING, State.DONE)
            for each in self.spool.jobs(state)
            if each.name != job.name and study and _study_uid(each) == study
        ]
        return [job, *others]

    def _send(self) -> None:
        while not self._stop.is_set():
            jobs = self.spool.jobs(State.SENDING)
            waiting = sum(not self._send_one(job) for job in jobs)
            self._stop.wait(self.config.send.retry_seconds if waiting else PAUSE_SECONDS)

    def _send_one(self, job: Job) -> bool:
        """Send the results of a job; returns whether the job is then done or failed."""
        sending = self.config.send
        settings = SendSettings(
            calling_title=sending.calling_title or self.config.receive.ae_title,
            security=Security(sending.tls, sending.authority, sending.certificate, sending.key),
            tries=1,  # the queue itself tries again
        )
        for text, destination in zip(sending.to, self.config.destinations, strict=True):
            if text in read_note(job).sent_to:
                continue
            for result in send(result_files(job), destination, settings):
                if not isinstance(result, NotSent):
                    continue
                if not result.refused:
                    log.warning("not sent yet", extra={"fields": {"job": job.name, "to": text}})
                    return False
                self._fail(job, f"{result.path.name}: {result.reason}")
                return True
            note = read_note(job)
            write_note(job, replace(note, sent_to=(*note.sent_to, text)))
        self.spool.move(job, State.DONE)
        log.info("done", extra={"fields": {"job": job.name}})
        return True

    def _query(self) -> None:
        while self.config.query.url and not self._stop.is_set():
            try:
                fetch_new(self.config.query, self.spool)
            except OSError as error:
                log.warning("the queried server was not reached (%s)", type(error).__name__)
            self._stop.wait(self.config.query.interval_seconds)

    def _sweep(self) -> None:
        while not self._stop.is_set():
            removed = self.spool.remove_done(self.config.spool.keep_days * 86_400)
            if removed:
                log.info("removed", extra={"fields": {"jobs": removed}})
            self._stop.wait(SWEEP_SECONDS)


def _study_uid(job: Job) -> str:
    """Study Instance UID (0020,000D); empty if the file has none."""
    try:
        header = pydicom.dcmread(
            job.image, specific_tags=["StudyInstanceUID"], stop_before_pixels=True
        )
    except Exception:  # a broken file belongs to no study; computing it will say what is wrong
        return ""
    return str(header.get("StudyInstanceUID", ""))
