"""Harmful senders, for the tests and for `benchmarks/node_campaign.py`."""

import io
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

LOOPBACK = "127.0.0.1"
CHUNK = 16_000


@contextmanager
def associated(
    port: int, title: str, called: str, transfer_syntax: str = ImplicitVRLittleEndian
) -> Iterator[Association]:
    """An association for secondary captures; it may have been rejected."""
    entity = AE(ae_title=title)
    entity.add_requested_context(SecondaryCaptureImageStorage, transfer_syntax)
    entity.dimse_timeout = 30
    association = entity.associate(LOOPBACK, port, ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.abort()


def store_bytes(association: Association, sop_instance_uid: str, content: bytes) -> int | None:
    """The status of a C-STORE of any bytes under any UID; None if there was no answer."""
    context = association.accepted_contexts[0].context_id
    # As in pynetdicom's own `send_c_store`: the association's thread must not take the answer.
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.01)
    association.dimse.send_msg(_request(sop_instance_uid, content), context)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return None if response is None else int(response.Status)


def _request(sop_instance_uid: str, content: bytes) -> C_STORE:
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = SecondaryCaptureImageStorage
    request.AffectedSOPInstanceUID = UID(sop_instance_uid)
    request.DataSet = io.BytesIO(content)
    return request


def idle_connections(port: int, count: int) -> list[socket.socket]:
    """Connections that say nothing; the caller closes them."""
    return [socket.create_connection((LOOPBACK, port), timeout=10) for _ in range(count)]


def claim_gigabytes(port: int) -> bool:
    """Begin a PDU that claims 4 GB; returns whether the other side ends the connection."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as attacker:
        attacker.sendall(struct.pack(">BBL", 0x01, 0, 0xFFFFFFFF) + bytes(CHUNK))
        return ends(attacker)


def ends(connection: socket.socket) -> bool:
    """Whether the other side closes the connection within its time-out."""
    try:
        while connection.recv(1024):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def send_without_end(association: Association, most_bytes: int) -> int:
    """Send an object that never ends; returns the bytes sent until the connection was ended."""
    context = association.accepted_contexts[0].context_id
    message = C_STORE_RQ()
    message.primitive_to_message(_request("2.25.1", b""))
    command = next(message.encode_msg(context, CHUNK))
    # 0x00: a fragment of a data set that is not the last one (PS3.8, annex E.2).
    fragment = P_DATA()
    fragment.presentation_data_value_list = [[context, b"\x00" + bytes(CHUNK)]]
    raw = association.dul.socket.socket
    sent = 0
    try:
        raw.sendall(_pdu(command))
        while sent < most_bytes:
            raw.sendall(_pdu(fragment))
            sent += CHUNK
    except OSError:
        pass
    return sent


def _pdu(data: P_DATA) -> bytes:
    pdu = P_DATA_TF()
    pdu.from_primitive(data)
    return bytes(pdu.encode())


def takes_deflated(port: int, title: str, called: str) -> bool:
    """Whether the other side accepts a transfer syntax in which a small object can be a bomb."""
    with associated(port, title, called, DeflatedExplicitVRLittleEndian) as association:
        return bool(association.accepted_contexts)


def nested_sequences(depth: int) -> bytes:
    """A data set in implicit VR whose sequences of undefined length are nested so deeply."""
    begin = struct.pack("<HHLHHL", 0x0008, 0x1140, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return begin * depth + end * depth
