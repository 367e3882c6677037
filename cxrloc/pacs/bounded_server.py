"""A server of associations that unknown hosts and excessive senders cannot exhaust."""

import ssl
import threading
from typing import Any

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from cxrloc.errors import UsageError
from cxrloc.pacs.node_config import Receive
from cxrloc.pacs.refusals import RefusalLog

MAX_PDU_BYTES = 16 << 20
"""Limit of the length that a PDU may claim, since a sender may exceed the negotiated length."""


class BoundedServer(ThreadedAssociationServer):
    """A server that refuses unknown hosts and too many connections before it reads any data."""

    hosts: set[str]
    max_connections: int
    idle_seconds: float
    shaking_hands: set[Any]
    refusals: RefusalLog

    def start(self) -> None:
        """Listen in a thread."""
        threading.Thread(target=self.serve_forever, name="receiver", daemon=True).start()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether a new connection may be served."""
        if client_address[0] not in self.hosts:
            sender = {"host": str(client_address[0])}
            self.refusals.add("A connection was refused: its host is not allowed", sender)
            return False
        if len(self.active_associations) + len(self.shaking_hands) >= self.max_connections:
            self.refusals.add("A connection was refused: there are too many connections")
            return False
        request.settimeout(self.idle_seconds)
        return True

    def get_request(self) -> tuple[Any, Any]:
        """A new connection, with TLS if it is set.

        The handshake happens in the connection's own thread. pynetdicom's method waits for it here,
        so that a client that says nothing would keep out all others.
        """
        assert self.socket is not None  # the server listens, so it has a socket
        connection, address = self.socket.accept()
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its own thread."""
        if isinstance(request, ssl.SSLSocket):
            self.shaking_hands.add(request)
            try:
                request.do_handshake()
            except OSError:  # no TLS, or no certificate of the authority
                sender = {"host": str(client_address[0])}
                self.refusals.add("A connection was refused: the TLS handshake failed", sender)
                self.shutdown_request(request)
                return
            finally:
                self.shaking_hands.discard(request)
        super().process_request_thread(request, client_address)


class BoundedHandler(RequestHandler):
    """A connection handler that limits the length that a PDU may claim."""

    def _create_association(self) -> Any:
        association = super()._create_association()
        connection: Any = association.dul.socket
        read = connection.recv

        def bounded(length: int) -> bytearray:
            if length > MAX_PDU_BYTES:
                raise OSError(f"a PDU claims {length} bytes")
            return bytearray(read(length))

        connection.recv = bounded
        return association


def server_context(settings: Receive) -> ssl.SSLContext | None:
    """TLS settings of the service; None without a certificate.

    Raises:
        UsageError: a certificate or key cannot be read.
    """
    if settings.certificate is None:
        return None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(settings.authority)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"[receive] TLS certificate or key cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
