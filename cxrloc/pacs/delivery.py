"""Sends the results in a node's queue to its destinations, each in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from cxrloc.pacs.destinations import Destination, Security
from cxrloc.pacs.node_config import NodeConfig
from cxrloc.pacs.send import NotSent, SendSettings, send
from cxrloc.pacs.spool import (
    PAUSE_SECONDS,
    Job,
    Note,
    Spool,
    State,
    read_note,
    result_files,
    write_note,
)

log = logging.getLogger(__name__)


class Delivery:
    """The sending side of a node.

    Args:
        config: settings of the node.
        spool: its queue.
        stop: is set when the node is to end.

    Raises:
        UsageError: a certificate or key cannot be used.
    """

    def __init__(self, config: NodeConfig, spool: Spool, stop: threading.Event) -> None:
        self._config, self._spool, self._stop = config, spool, stop
        self._lock = threading.Lock()  # of the jobs' files, which all destinations write
        sending = config.send
        security = Security(sending.tls, sending.authority, sending.certificate, sending.key)
        security.client_context()  # reports a wrong file at the start, not for each result
        title = sending.calling_title or config.receive.ae_title
        # The queue itself tries again.
        self._settings = SendSettings(title, security, tries=1)

    def loops(self) -> list[Callable[[], None]]:
        """For each destination, a function that sends to it until the node stops."""
        destinations = dict(zip(self._config.send.to, self._config.destinations, strict=True))
        return [partial(self._send, *each) for each in destinations.items()]

    def _send(self, name: str, destination: Destination) -> None:
        """Send the results of all jobs to one destination, and wait for no other one.

        Args:
            name: of the destination, as the settings have it.
            destination: the same, parsed.
        """
        while not self._stop.is_set():
            seconds_without_sending, wait = 0.0, PAUSE_SECONDS
            for job in self._spool.jobs(State.SENDING):
                if self._stop.is_set():
                    return
                started = time.monotonic()
                if not self._is_still_to_send(job, name):
                    seconds_without_sending += time.monotonic() - started
                elif not self._send_one(job, name, destination):
                    wait = self._config.send.retry_seconds
                    break
            # Reading the files of many jobs that wait for others must not take all the time.
            self._stop.wait(max(wait, 5 * seconds_without_sending))

    def _is_still_to_send(self, job: Job, name: str) -> bool:
        """Whether a destination lacks the results of a job.

        A job that no destination lacks is moved out of the queue first, as after a restart.
        """
        with self._lock:
            if not job.folder.exists():  # another destination has just moved it
                return False
            note = read_note(job)
            return not self._finish(job, note) and name not in note.sent_to

    def _send_one(self, job: Job, name: str, destination: Destination) -> bool:
        """Send the results of a job; returns whether the destination answered for all of them."""
        refusals = []
        for result in send(result_files(job), destination, self._settings):
            if isinstance(result, NotSent) and not result.refused:
                # The reason may name the object, so only the status shows it.
                log.warning("not sent yet", extra={"fields": {"job": job.name, "to": name}})
                # The job moves to the end of the queue, so that one that a destination never
                # answers for does not keep the others from it.
                with self._lock:
                    note = read_note(job)
                    waits = {**note.waits_because, name: result.reason}
                    write_note(job, replace(note, waits_because=waits))
                return False
            if isinstance(result, NotSent):
                refusals.append(f"{result.path.name}: {result.reason}")
        with self._lock:
            note = read_note(job)
            waits = {to: why for to, why in note.waits_because.items() if to != name}
            reason = "; ".join(filter(None, (note.reason, *refusals)))
            sent_to = (*note.sent_to, name)
            note = replace(note, sent_to=sent_to, reason=reason, waits_because=waits)
            write_note(job, note)
            self._finish(job, note)
        return True

    def _finish(self, job: Job, note: Note) -> bool:
        """Move a job for which all destinations have answered; returns whether it has moved."""
        if not {*self._config.send.to} <= {*note.sent_to}:
            return False
        if note.reason:
            self._spool.fail(job, note.reason)
        else:
            self._spool.move(job, State.DONE)
            log.info("done", extra={"fields": {"job": job.name}})
        return True
