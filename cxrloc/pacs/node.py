"""A node beside a PACS: it receives images, computes results and sends them, and loses no image.

Threads share only the queue on disk: one thread receives, one may query, some compute (each with a
process of its own), and one sends to each destination (`delivery`). If the node is killed, a
restart continues from the folders.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cxrloc.files.whole import DISK_ERRORS, DiskError
from cxrloc.pacs.delivery import Delivery
from cxrloc.pacs.node_config import NodeConfig
from cxrloc.pacs.query import fetch_new
from cxrloc.pacs.receive import Receiver
from cxrloc.pacs.spool import PAUSE_SECONDS, Job, Spool, State, read_note, write_note
from cxrloc.pacs.studies import Studies
from cxrloc.workers import Limits, StartError, TaskDiedError, TaskProcess

log = logging.getLogger(__name__)

SWEEP_SECONDS = 600.0
"""Seconds between two removals of old jobs."""

REPAIR_SECONDS = 10.0
"""Seconds until the next try after a full disk, or after a worker could not load its models."""

START_SECONDS = 600.0
"""Seconds that a worker may take to load its models."""

MOST_STARTS = 30
"""An image fails after this many starts of its computation, even if the worker did not die.

If the node itself ends during a computation, the image is usually not the reason. But an image that
is the reason would end the node again after every restart.
"""


class Task(NamedTuple):
    """The input of a worker: an image and its study.

    Attributes:
        image: the image for which results are made.
        study: the received images of its study; the image itself comes first.
        results: folder for the DICOM objects, which is there and empty.
    """

    image: Path
    study: tuple[Path, ...]
    results: Path


Prepare = Callable[[], Callable[[Task], Mapping[str, object]]]
"""A function that is called once in a worker's process and returns the function that writes the
results of a task. The second function returns fields for the log, which must not hold anything from
the image's header. It raises `CxrlocError` if an image can have no results."""


_Worker = TaskProcess[Task, Mapping[str, object]]


class NotReadyError(Exception):
    """A worker could not be prepared, for example because its model file is gone."""


class Node:
    """A node that runs until it is stopped.

    Args:
        config: its settings.
        prepare: makes the function that computes; see `Prepare`.
    """

    def __init__(self, config: NodeConfig, prepare: Prepare) -> None:
        self.config = config
        self.spool = Spool(config.spool.folder)
        self.spool.lock()
        self.spool.sweep()
        self._prepare = prepare
        self._stop = threading.Event()
        self._taken: set[str] = set()
        self._studies = Studies(self.spool, config.compute.study_rest_seconds)
        self._lock = threading.Lock()
        self._delivery = Delivery(config, self.spool, self._stop)
        self.receiver = Receiver(config.receive, self.spool) if config.receive.allow else None

    def run(self) -> None:
        """Work until `stop` is called."""
        loops: list[tuple[str, Callable[[], None]]] = [
            *[("compute", self._compute)] * max(1, self.config.compute.workers),
            *(("send", loop) for loop in self._delivery.loops()),
            ("query", self._query),
            ("sweep", self._sweep),
        ]
        threads = [threading.Thread(target=self._guarded, args=each, daemon=True) for each in loops]
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

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """Run a loop, and start it again after an unexpected error, such as a full disk."""
        while not self._stop.is_set():
            try:
                work()
                return
            except Exception as error:
                log.error("%s is started again after an error (%s)", name, type(error).__name__)
                self._stop.wait(5.0)

    def _compute(self) -> None:
        settings = self.config.compute
        limits = Limits(
            seconds=settings.seconds_per_image,
            start_seconds=START_SECONDS,
            address_space_bytes=settings.megabytes << 20 or None,
        )
        process: _Worker = TaskProcess(partial(_ready, self._prepare), limits)
        try:
            while not self._stop.is_set():
                try:
                    process.start()  # before the first image comes, and after a worker has died
                    self._compute_next(process)
                except (DiskError, NotReadyError, StartError) as error:
                    log.error("the queue waits: %s", type(error).__name__)
                    self._stop.wait(REPAIR_SECONDS)
        finally:
            process.close()

    def _compute_next(self, process: _Worker) -> None:
        """Compute the next image, or wait a moment if there is none."""
        job = self._next_received()
        if job is None:
            self._stop.wait(PAUSE_SECONDS)
            return
        try:
            self._compute_one(job, process)
        finally:
            with self._lock:
                self._taken.discard(job.name)

    def _compute_one(self, job: Job, process: _Worker) -> None:
        """Compute one image; it stays in the queue if its worker dies, or if the disk is full.

        Raises:
            DiskError: nothing can be written.
            NotReadyError: the worker's process cannot be prepared.
        """
        note = read_note(job)
        if note.deaths >= self.config.compute.tries or note.starts >= MOST_STARTS:
            self.spool.fail(job, note.reason or "the node ended each time it was computed")
            return
        # A start is counted before it happens. The image also moves to the end of the queue, so
        # that one that ends the whole node does not block the others.
        note = replace(note, starts=note.starts + 1)
        write_note(job, note)
        started = time.monotonic()
        try:
            # Files of a computation that was killed must not be sent.
            shutil.rmtree(job.results, ignore_errors=True)
            job.results.mkdir()
            outcome = process.run(Task(job.image, self._studies.images_of(job), job.results))
        except StartError as error:
            raise NotReadyError(str(error)) from error
        except TaskDiedError as error:
            log.warning("a worker died", extra={"fields": {"job": job.name, "reason": str(error)}})
            write_note(job, replace(note, deaths=note.deaths + 1, reason=str(error)))
            return
        except (DiskError, NotReadyError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise DiskError(str(error)) from error
            self.spool.fail(job, f"{type(error).__name__}: {error}")
            return
        write_note(job, replace(note, reason=""))
        seconds = round(time.monotonic() - started, 3)
        self.spool.move(job, State.SENDING)
        log.info("computed", extra={"fields": {"job": job.name, "seconds": seconds, **outcome}})

    def _next_received(self) -> Job | None:
        """Take the oldest image that no worker computes and whose study gets no new images."""
        with self._lock:
            jobs = self.spool.jobs(State.RECEIVED)
            resting = self._studies.at_rest(jobs)
            for job in jobs:
                if job.name not in self._taken and job.name in resting:
                    self._taken.add(job.name)
                    return job
        return None

    def _query(self) -> None:
        while self.config.query.url and not self._stop.is_set():
            try:
                fetch_new(self.config, self.spool)
            except OSError as error:
                status_code = getattr(getattr(error, "response", None), "status_code", None)
                status = "" if status_code is None else f", HTTP status {status_code}"
                log.warning("the query was not finished (%s%s)", type(error).__name__, status)
            self._stop.wait(self.config.query.interval_seconds)

    def _sweep(self) -> None:
        while not self._stop.is_set():
            removed = self.spool.remove_done(self.config.spool.keep_days * 86_400)
            if removed:
                self._studies.forget()
                log.info("removed", extra={"fields": {"jobs": removed}})
            self._stop.wait(SWEEP_SECONDS)


def _ready(prepare: Prepare) -> Callable[[Task], Mapping[str, object]]:
    """The function that `prepare` makes.

    Raises:
        NotReadyError: `prepare` failed. No image is the reason, so no image counts as failed.
    """
    try:
        return prepare()
    except Exception as error:
        raise NotReadyError(f"{type(error).__name__}: {error}") from error
