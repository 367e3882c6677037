"""Sends objects to a PACS, with retries.

An object may be sent twice without harm, because its identifiers do not change.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
from pydicom import Dataset

from cxrloc.extras import import_extra
from cxrloc.images.dicom_file import PARSING_ERRORS
from cxrloc.images.formats import open_regular
from cxrloc.pacs.destinations import (
    TOKEN_VARIABLE,
    ApplicationEntity,
    Destination,
    Security,
    WebServer,
    bearer_token,
)
from cxrloc.types import CxrlocError

CALLING_TITLE = "CXRLOC"
SUCCESS, DUPLICATE, NOT_AUTHORIZED = 0x0000, 0x0111, 0x0124

CONFLICT = 409
OBJECT_REFUSED = (400, CONFLICT, 413, 415)
"""HTTP statuses that are about the object. Any other error may end: a token is renewed, a server
starts again, an address is corrected."""

NO_ANSWER = "the answer does not name the object; is this the URL of a DICOMweb service?"

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


class RefusedError(Exception):
    """The destination has answered that it will not store the object; a retry would not help."""


class BusyError(Exception):
    """The destination could not be reached, or could not store now; a retry may help."""


Store = Callable[[Dataset], str]
"""A function that stores one object over an open connection and returns a warning or an empty text.
It raises `RefusedError` if a retry would not help, and `BusyError` if a retry may help."""


def send(
    paths: Sequence[Path], destination: Destination, settings: SendSettings
) -> Iterator[Sent | NotSent]:
    """Send files one by one; yields one result per file, and continues after a failure.

    The connection is opened once, and opened again if it is lost. An object that the destination
    cannot store now is tried again, `settings.tries` times in all. An object that the destination
    refuses is not tried again.
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
    for number in range(settings.tries):
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
    return NotSent(path, f"{reason}, after {settings.tries} tries", refused=False)


class _Connection:
    """A connection that is opened when it is needed and opened again after it was lost."""

    def __init__(self, destination: Destination, settings: SendSettings) -> None:
        self._destination, self._settings = destination, settings
        self._manager: Any = None
        self._store: Store | None = None
        self._contexts: frozenset[tuple[str, str]] = frozenset()

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
        return self._store(dataset)

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
        yield _web_store(destination, settings)
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
            return _judged(destination, status.Status, str(status.get("ErrorComment", "")))

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
        raise BusyError(
            f"{destination}: the association was rejected; does the destination know the AE title "
            f"{settings.calling_title}?"
        )
    if not association.is_established:
        also = ", and do both sides trust each other's certificate" if tls else ""
        raise BusyError(
            f"{destination}: no association; is the address right and the port open{also}?"
        )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _judged(destination: Destination, code: int, comment: str = "") -> str:
    """The warning of a status or reason, or an error for a failure.

    The codes are those of C-STORE (PS3.4, table B.2-1, and PS3.7, annex C), which STOW-RS uses too
    (PS3.18, annex I.2.2).
    """
    told = f"status {code:04X}{f' ({comment})' if comment else ''}"
    if code == SUCCESS:
        return ""
    if code == DUPLICATE:
        return f"{destination} has an object of this identifier already: {told}"
    if code & 0xF000 == 0xB000:
        return f"{destination} stored it with a warning: {told}"
    if code & 0xFF00 == 0xA700:
        raise BusyError(f"{destination}: out of resources, {told}")
    if code == NOT_AUTHORIZED:
        raise BusyError(f"{destination}: not authorized, {told}")
    raise RefusedError(f"{destination}: refused, {told}")


def _web_store(server: WebServer, settings: SendSettings) -> Store:
    """A function that stores by STOW-RS: an object per request, so that each has its own answer."""
    import_extra("dicomweb_client", "pacs")
    import requests
    from dicomweb_client.api import DICOMwebClient
    from dicomweb_client.session_utils import create_session

    # The client's log is turned down, because it quotes requests with identifiers of patients.
    logging.getLogger("dicomweb_client").setLevel(logging.ERROR)
    session = create_session()
    security = settings.security
    session.verify = str(security.authority) if security.authority else True
    if security.certificate is not None:
        session.cert = (str(security.certificate), str(security.key or security.certificate))
    if token := bearer_token():
        session.headers["Authorization"] = f"Bearer {token}"
    client = DICOMwebClient(server.url, session=session, timeout=settings.timeout_seconds)
    client.set_http_retry_params(retry=False)  # retries are those of `send`

    def plain_type(response: requests.Response, *about: object, **more: object) -> None:
        # The client reads an answer only if its type has no parameter such as charset.
        told = response.headers.get("Content-Type", "")
        response.headers["Content-Type"] = told.split(";")[0].strip()

    session.hooks["response"].append(plain_type)

    def store(dataset: Dataset) -> str:
        try:
            answer = client.store_instances([dataset])
        except requests.HTTPError as error:
            answer = _answer_of_error(server, error.response)
        except requests.exceptions.SSLError as error:
            raise BusyError(f"{server}: TLS failed; is the certificate trusted?") from error
        except (ValueError, SyntaxError) as error:  # a page that is no JSON or XML
            raise BusyError(f"{server}: {NO_ANSWER}") from error
        except (requests.RequestException, OSError) as error:
            raise BusyError(f"{server}: {type(error).__name__}, not reached") from error
        return _judged_answer(server, str(dataset.SOPInstanceUID), answer)

    return store


def _answer_of_error(server: WebServer, response: Any) -> Dataset:
    """What the server says of each object in an answer with an HTTP error.

    Raises:
        RefusedError: it says nothing, and the status tells that the object is the reason.
        BusyError: it says nothing; the server, its address or the token is the reason.
    """
    code = response.status_code
    if code == CONFLICT:
        with suppress(Exception):  # the body is optional
            return Dataset.from_json(response.json())
    told = f"{server}: HTTP status {code}"
    if code in OBJECT_REFUSED:
        raise RefusedError(f"{told}, refused")
    hint = f"; is the token in {TOKEN_VARIABLE} right?" if code in (401, 403) else ""
    raise BusyError(f"{told}{hint}")


def _judged_answer(server: WebServer, uid: str, answer: Dataset) -> str:
    """The warning for an object in an answer to STOW-RS (PS3.18, annex I.2), or an error.

    An object is stored only if the answer says so, since a page of a proxy may have status 200.
    """
    for item in answer.get("FailedSOPSequence") or ():
        return _judged(server, int(item.get("FailureReason") or 0x0110))
    for item in answer.get("ReferencedSOPSequence") or ():
        if str(item.get("ReferencedSOPInstanceUID")) == uid:
            return _judged(server, int(item.get("WarningReason") or SUCCESS))
    raise BusyError(f"{server}: {NO_ANSWER}")
