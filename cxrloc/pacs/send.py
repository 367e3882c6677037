"""Sends objects to a PACS, with retries.

An object may be sent twice without harm, because its identifiers do not change.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
from pydicom import Dataset

from cxrloc.errors import CxrlocError
from cxrloc.extras import import_extra
from cxrloc.images.dicom_file import PARSING_ERRORS
from cxrloc.images.formats import open_regular
from cxrloc.pacs.destinations import (
    ApplicationEntity,
    Destination,
    Security,
    WebServer,
)
from cxrloc.pacs.judged import BusyError, NoConnectionError, RefusedError, Store, judged
from cxrloc.pacs.web_store import web_store

CALLING_TITLE = "CXRLOC"
CONTEXTS_PER_ASSOCIATION = 128  # PS3.8, section 9.3.2.2: odd identifiers from 1 to 255


@dataclass(frozen=True, slots=True)
class SendSettings:
    """How objects are sent.

    Attributes:
        calling_title: own AE title.
        security: of the connection.
        tries: number of times an object is sent before it fails.
        first_wait_seconds: before the second try; each further wait is twice as long.
        timeout_seconds: for an answer.
    """

    calling_title: str = CALLING_TITLE
    security: Security = field(default_factory=Security)
    tries: int = 4
    first_wait_seconds: float = 1.0
    timeout_seconds: float = 30.0


class Sent(NamedTuple):
    """One file that the destination has stored.

    Attributes:
        path: the file.
        warning: the destination's warning; empty if there was none.
    """

    path: Path
    warning: str = ""


class NotSent(NamedTuple):
    """One file that could not be sent.

    Attributes:
        path: the file.
        reason: why.
        refused: whether a later try would fail too: the destination refuses the object, or the file
            is no DICOM object.
    """

    path: Path
    reason: str
    refused: bool


def send(
    paths: Sequence[Path], destination: Destination, settings: SendSettings
) -> Iterator[Sent | NotSent]:
    """Send files one by one; yields one result per file, and continues after a failure.

    The connection is opened once, and opened again if it is lost. An object that the destination
    cannot store now is tried again, `settings.tries` times in all. An object that the destination
    refuses is not tried again. While no connection can be made, every further object gets one try.
    """
    connection = _Connection(destination, settings)
    try:
        for path in paths:
            yield _send_one(path, connection, settings)
    finally:
        connection.close()


def _send_one(path: Path, connection: "_Connection", settings: SendSettings) -> Sent | NotSent:
    try:
        with open_regular(path) as file:
            dataset = pydicom.dcmread(file)
        _ = dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.file_meta.TransferSyntaxUID
    except (CxrlocError, *PARSING_ERRORS) as error:
        return NotSent(path, f"cannot be read as a DICOM object ({error})", refused=True)
    wait, reason = settings.first_wait_seconds, ""
    tries = 1 if connection.refused else settings.tries
    for number in range(tries):
        if number:
            time.sleep(wait)
            wait *= 2
        try:
            return Sent(path, connection.store(dataset))
        except RefusedError as error:
            return NotSent(path, str(error), refused=True)
        except BusyError as error:
            reason = str(error)
            connection.close()
            connection.refused = isinstance(error, NoConnectionError)
    counted = "1 try" if tries == 1 else f"{tries} tries"
    return NotSent(path, f"{reason} ({counted})", refused=False)


class _Connection:
    """A connection that is opened when it is needed and opened again after it was lost.

    Attributes:
        refused: whether the last object failed because no connection could be made.
    """

    def __init__(self, destination: Destination, settings: SendSettings) -> None:
        self._destination, self._settings = destination, settings
        self._manager: Any = None
        self._store: Store | None = None
        self._contexts: frozenset[tuple[str, str]] = frozenset()
        self.refused = False

    def store(self, dataset: Dataset) -> str:
        """Store one object.

        Raises:
            RefusedError: the object cannot be stored, and a retry would not help.
            BusyError: the object cannot be stored now, and a retry may help.
        """
        needed = (str(dataset.SOPClassUID), str(dataset.file_meta.TransferSyntaxUID))
        if self._store is not None and needed not in self._contexts:
            self.close()  # an association stores only what was agreed on when it was opened
        if self._store is None:
            contexts = [*self._contexts - {needed}][: CONTEXTS_PER_ASSOCIATION - 1]
            self._contexts = frozenset({needed, *contexts})
            self._manager = _open(self._destination, self._settings, self._contexts)
            self._store = self._manager.__enter__()
        warning = self._store(dataset)
        self.refused = False
        return warning

    def close(self) -> None:
        """Close the connection if it is open."""
        if self._store is not None:
            self._store = None
            self._manager.__exit__(None, None, None)


@contextmanager
def _open(
    destination: Destination, settings: SendSettings, contexts: frozenset[tuple[str, str]]
) -> Iterator[Store]:
    if isinstance(destination, WebServer):
        yield web_store(destination, settings.security, settings.timeout_seconds)
        return
    with _association(destination, settings, contexts) as association:

        def store(dataset: Dataset) -> str:
            try:
                status = association.send_c_store(dataset)
            except (RuntimeError, ValueError) as error:
                if association.is_established:
                    raise RefusedError(f"{destination}: {error}") from error
                raise BusyError(f"{destination}: the association was lost") from error
            if "Status" not in status:
                raise BusyError(f"{destination}: no answer to C-STORE")
            return judged(destination, status.Status, str(status.get("ErrorComment", "")))

        yield store


@contextmanager
def _association(
    destination: ApplicationEntity, settings: SendSettings, contexts: frozenset[tuple[str, str]]
) -> Iterator[Any]:
    pynetdicom = import_extra("pynetdicom", "pacs")
    # pynetdicom's logging is turned down: its errors are raised here as exceptions, and at INFO it
    # logs identifiers of patients.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    entity = pynetdicom.AE(ae_title=settings.calling_title)
    entity.connection_timeout = entity.acse_timeout = settings.timeout_seconds
    entity.dimse_timeout = entity.network_timeout = settings.timeout_seconds
    for sop_class, transfer_syntax in contexts:
        entity.add_requested_context(sop_class, transfer_syntax)
    tls = (settings.security.client_context(), destination.host) if settings.security.tls else None
    association = entity.associate(
        destination.host,
        destination.port,
        ae_title=destination.title,
        tls_args=tls,
    )
    if association.is_rejected:
        # A retry may help, because an administrator may add the AE title later.
        raise NoConnectionError(
            f"{destination}: the association was rejected; does the destination know the AE title "
            f"{settings.calling_title}?"
        )
    if association.rejected_contexts and not association.is_established:
        raise RefusedError(
            f"{destination}: does not accept objects of this SOP class in this transfer syntax"
        )
    if not association.is_established:
        also = ", and do both sides trust each other's certificate" if tls else ""
        raise NoConnectionError(
            f"{destination}: no association; is the address right and the port open{also}?"
        )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
