"""Servers on this machine for the tests: a C-STORE service, and a DICOMweb stub."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt

LOOPBACK = "127.0.0.1"


@dataclass
class Stored:
    """What a server has stored, and what it answers next.

    `answers` are those to the next objects, and `answer_of` those to objects of these identifiers.
    A DICOMweb server answers `body`; without one it says that the object is stored.
    """

    port: int = 0
    uids: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    answer_of: dict[str, int] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    body: bytes | None = None
    content_type: str = "application/dicom+json; charset=utf-8"

    def answer(self, default: int) -> int:
        return self.answers.pop(0) if self.answers else default


@contextmanager
def store_service(title: str = "PACS", port: int = 0) -> Iterator[Stored]:
    """A C-STORE service; `answers` are the statuses of the next objects."""
    stored = Stored()

    def store(event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        status = stored.answer_of.get(uid, stored.answer(0x0000))
        if status == 0x0000:
            stored.uids.append(uid)
        return status

    entity = AE(ae_title=title)
    entity.require_called_aet = True
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, ExplicitVRLittleEndian)
    server = entity.start_server(
        (LOOPBACK, port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    assert server is not None
    stored.port = int(server.server_address[1])
    try:
        yield stored
    finally:
        server.shutdown()


@contextmanager
def web_server() -> Iterator[Stored]:
    """A server that answers STOW-RS with the status codes in `answers`, else with 200."""
    stored = Stored()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            stored.headers.append(dict(self.headers))
            code = stored.answer(200)
            body, kind = stored.body, stored.content_type
            if body is None and code == 200:
                uid = re.search(rb"2\.25\.\d+", sent)
                assert uid is not None
                body = stow_answer(uid[0].decode())
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    stored.port = server.server_port
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield stored
    finally:
        server.shutdown()
        server.server_close()


def stow_answer(uid: str, failure: int = 0, warning: int = 0) -> bytes:
    """An answer to STOW-RS about one object (PS3.18, annex I.2)."""
    item = Dataset()
    item.ReferencedSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    item.ReferencedSOPInstanceUID = uid
    answer = Dataset()
    if failure:
        item.FailureReason, answer.FailedSOPSequence = failure, [item]
    else:
        answer.ReferencedSOPSequence = [item]
    if warning:
        item.WarningReason = warning
    return answer.to_json().encode()


def small_object(number: int = 1) -> Dataset:
    """A DICOM object of a few bytes."""
    dataset = Dataset()
    dataset.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = f"2.25.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.100", "2.25.101"
    dataset.PatientID = "somebody"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
