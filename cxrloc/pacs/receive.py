"""The C-STORE service of a node: an image is on disk before it is acknowledged."""

import logging
import socket
from pathlib import Path
from socketserver import BaseServer
from typing import Any

from pydicom import Dataset
from pydicom.filereader import read_partial
from pydicom.uid import (
    JPEG2000,
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, _config, evt

from cxrloc.dicom_objects.stamp import MANUFACTURER, SERIES_NUMBERS
from cxrloc.errors import UsageError
from cxrloc.pacs.bounded_server import BoundedHandler, BoundedServer, server_context
from cxrloc.pacs.node_config import Receive, allowed_senders
from cxrloc.pacs.refusals import RefusalLog
from cxrloc.pacs.spool import Spool

log = logging.getLogger(__name__)

STORAGE_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)

TRANSFER_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    RLELossless,
)
"""All transfer syntaxes except Deflated Explicit VR Little Endian.

A deflated object of 400 kB can expand to 800 MB.
"""

_SERIES_NUMBER = 0x0020_0011

VERIFICATION = "1.2.840.10008.1.1"

# Statuses of C-STORE (PS3.4, table B.2-1; not authorized: PS3.7, annex C.5.4).
STORED = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
NOT_AUTHORIZED = 0x0124

ACSE_SECONDS = 5.0
"""Seconds in which a new connection must ask for an association."""


class Receiver:
    """A running C-STORE service that puts images into a spool.

    Args:
        settings: who may send, and how much.
        spool: the queue.

    Raises:
        UsageError: the port is in use, or a certificate cannot be read.
    """

    def __init__(self, settings: Receive, spool: Spool) -> None:
        self._settings, self._spool = settings, spool
        self._senders = allowed_senders(settings)
        self._received: dict[Any, int] = {}
        self._refusals = RefusalLog()
        # Data sets are written to a temporary file and not to memory, because only then can their
        # size be checked while they are received.
        _config.STORE_RECV_CHUNKED_DATASET = True
        # At INFO pynetdicom logs identifiers with the names of patients.
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        try:
            self._server = self._start()
        except OSError as error:
            raise UsageError(
                f"[receive] {settings.host}:{settings.port}: {error.strerror or error}"
            ) from error

    @property
    def port(self) -> int:
        """The port on which the service listens; the system chooses one if the settings say 0."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening, and end all associations."""
        # The `shutdown` of pynetdicom's class also takes the server off a list of its AE, which
        # does not hold a server that `make_server` made.
        BaseServer.shutdown(self._server)
        self._server.server_close()
        for association in self._server.active_associations:
            association.abort()

    def _start(self) -> BoundedServer:
        settings = self._settings
        entity = AE(ae_title=settings.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = sorted({title for title, _ in self._senders})
        entity.maximum_associations = settings.max_associations
        entity.network_timeout = entity.dimse_timeout = settings.idle_seconds
        # A connection counts against the limit until this time has passed without a request for an
        # association.
        entity.acse_timeout = min(ACSE_SECONDS, settings.idle_seconds)
        for sop_class in STORAGE_CLASSES:
            entity.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
        entity.add_supported_context(VERIFICATION)
        server = entity.make_server(
            (settings.host, settings.port),
            evt_handlers=[
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_DATA_RECV, self._count),
                (evt.EVT_CONN_CLOSE, self._forget),
                (evt.EVT_REJECTED, self._log_rejection),
            ],
            ssl_context=server_context(settings),
            server_class=BoundedServer,
            request_handler=BoundedHandler,
        )
        assert isinstance(server, BoundedServer)
        server.hosts = {address for _, host in self._senders for address in _addresses(host)}
        server.max_connections = settings.max_connections
        server.idle_seconds = settings.idle_seconds
        server.shaking_hands = set()
        server.refusals = self._refusals
        server.start()
        return server

    def _store(self, event: Any) -> int:
        """Acknowledge an image once it is safely on disk."""
        self._received.pop(event.assoc, None)
        sender = event.assoc.requestor
        hosts = {host for title, host in self._senders if title == sender.ae_title}
        fields = {"host": sender.address, "calling": sender.ae_title}
        if not any(sender.address in _addresses(host) for host in hosts):
            self._refusals.add(
                "An image was refused: its calling AE title is not allowed from this host", fields
            )
            return NOT_AUTHORIZED
        uid = UID(str(event.request.AffectedSOPInstanceUID))
        if not uid.is_valid:
            self._refusals.add("An image was refused: its SOP Instance UID is not valid", fields)
            return CANNOT_UNDERSTAND
        if self._spool.is_nearly_full(self._settings.min_free_megabytes):
            self._refusals.add("An image was refused: the disk is nearly full", level=logging.ERROR)
            return OUT_OF_RESOURCES
        path = Path(event.dataset_path)
        try:
            if is_own(_header(path)):
                return STORED  # a result that comes back needs no result
            job = self._spool.add(uid, path)
        # Whatever happens, an image that is not on the disk is not acknowledged.
        except Exception as error:
            self._refusals.add(
                "An image was refused: it could not be written",
                {"error": type(error).__name__},
                level=logging.ERROR,
            )
            return OUT_OF_RESOURCES
        log.info("received", extra={"fields": {"job": job.name if job else "known"}})
        return STORED

    def _count(self, event: Any) -> None:
        """Count the bytes of an object, and end the connection if they exceed the limit."""
        received = self._received.get(event.assoc, 0) + len(event.data)
        self._received[event.assoc] = received
        if received > self._settings.max_object_megabytes << 20:
            self._refusals.add("A connection was ended: its object is too large")
            # An abort would wait for this same thread. A failing read ends the connection at once,
            # before further data that the system has buffered are read.
            event.assoc.dul.socket.recv = _refuse_to_read

    def _forget(self, event: Any) -> None:
        """Remove the temporary file of an association that ended in the middle of an object."""
        self._received.pop(event.assoc, None)
        # pynetdicom closes and removes its temporary file only after a complete object.
        message = event.assoc.dimse.message
        file = getattr(message, "_data_set_file", None)
        if file is not None:
            file.close()
            Path(file.name).unlink(missing_ok=True)

    def _log_rejection(self, event: Any) -> None:
        """Say which titles did not match, so that the settings can be mended on one side."""
        sender = event.assoc.requestor
        called = sender.primitive.called_ae_title
        titles = {"host": sender.address, "calling": sender.ae_title, "called": called}
        known = sender.ae_title in {title for title, _ in self._senders}
        if known and called == self._settings.ae_title:
            why = "there are too many associations already"
        else:
            why = "its calling or called AE title is not the one in the settings"
        self._refusals.add(f"An association was rejected: {why}", titles)


def _refuse_to_read(length: int) -> bytearray:
    raise OSError("the object is too large")


def _addresses(host: str) -> set[str]:
    """The addresses of a host; empty if its name is unknown."""
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def is_own(header: Dataset) -> bool:
    """Whether an object is a result of this package; synthetic radiographs do not count."""
    own_series = header.get("SeriesNumber") in SERIES_NUMBERS.values()
    return own_series and str(header.get("Manufacturer", "")) == MANUFACTURER


def _header(path: Path) -> Dataset:
    """The first attributes of a file, to Series Number; empty if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return read_partial(file, stop_when=lambda tag, vr, length: tag > _SERIES_NUMBER)
    except Exception:  # the computation will say what is wrong
        return Dataset()
