"""Objects reach a PACS by C-STORE and by STOW-RS; objects that it cannot store are named."""

import re
from pathlib import Path

import pytest
import requests
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from cxrloc.errors import UsageError
from cxrloc.pacs.destinations import (
    ApplicationEntity,
    Destination,
    WebServer,
    check_title,
    parse_destination,
)
from cxrloc.pacs.send import NotSent, SendSettings, Sent, send
from cxrloc.pacs.web_store import _made_no_connection
from tests.pacs.servers import (
    LOOPBACK,
    Stored,
    small_object,
    store_service,
    stow_answer,
    web_server,
)

QUICK = SendSettings(tries=3, first_wait_seconds=0.01, timeout_seconds=5)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.dcm" for number in (1, 2)]
    for number, path in enumerate(paths, 1):
        small_object(number).save_as(path, enforce_file_format=True)
    return paths


def entity(stored: Stored) -> Destination:
    return ApplicationEntity("PACS", LOOPBACK, stored.port)


def server(stored: Stored) -> Destination:
    return WebServer(f"http://{LOOPBACK}:{stored.port}/dicom-web")


@pytest.mark.parametrize(("running", "address"), [(store_service, entity), (web_server, server)])
def test_every_object_is_stored(running, address, files: list[Path]) -> None:  # type: ignore[no-untyped-def]
    with running() as stored:
        assert list(send(files, address(stored), QUICK)) == [Sent(path) for path in files]


@pytest.mark.parametrize(
    ("running", "address", "busy"), [(store_service, entity, 0xA700), (web_server, server, 503)]
)
def test_a_busy_server_is_tried_again(running, address, busy: int, files: list[Path]) -> None:  # type: ignore[no-untyped-def]
    with running() as stored:
        stored.answers = [busy, busy]
        assert list(send(files[:1], address(stored), QUICK)) == [Sent(files[0])]


@pytest.mark.parametrize(
    ("running", "address", "refusal"), [(store_service, entity, 0xC000), (web_server, server, 409)]
)
def test_a_refusal_is_named_and_the_others_go_on(  # type: ignore[no-untyped-def]
    running, address, refusal: int, files: list[Path]
) -> None:
    with running() as stored:
        stored.answers = [refusal]
        first, second = send(files, address(stored), QUICK)
    assert isinstance(first, NotSent)
    assert first.refused
    assert "refused" in first.reason
    assert second == Sent(files[1])


def test_a_warning_of_the_server_is_passed_on(files: list[Path]) -> None:
    with store_service() as stored:
        stored.answers = [0xB000]
        (result,) = send(files[:1], entity(stored), QUICK)
    assert isinstance(result, Sent)
    assert "status B000" in result.warning


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("running", "address"), [(store_service, entity), (web_server, server)])
def test_where_nobody_is_there_only_the_first_object_is_tried_again(  # type: ignore[no-untyped-def]
    running, address, files: list[Path]
) -> None:
    with running() as stored:
        gone = address(stored)
    first, second = send(files, gone, QUICK)
    assert isinstance(first, NotSent)
    assert isinstance(second, NotSent)
    assert not first.refused
    assert re.search("no association|not reached", first.reason)
    assert (first.reason[-9:], second.reason[-7:]) == ("(3 tries)", "(1 try)")


@pytest.mark.parametrize(
    ("reason", "refused"),
    [(NewConnectionError(None, "refused"), True), (ProtocolError("reset in the middle"), False)],
)
def test_a_connection_that_was_lost_on_the_way_is_no_absent_server(
    reason: Exception, refused: bool
) -> None:
    error = requests.ConnectionError(MaxRetryError(None, "/studies", reason))
    assert _made_no_connection(error) is refused


def test_after_a_connection_was_made_again_an_object_gets_all_its_tries(
    files: list[Path],
) -> None:
    with web_server() as stored:
        stored.answers = [401, 401, 401, 200, 503, 503, 200]
        results = send([*files, files[0]], server(stored), QUICK)
        assert [type(each) for each in results] == [NotSent, Sent, Sent]


def test_another_title_is_rejected_with_a_hint(files: list[Path]) -> None:
    with store_service("OTHER") as stored:
        (result,) = send(files[:1], entity(stored), QUICK)
    assert isinstance(result, NotSent)
    assert "the association was rejected" in result.reason


def test_what_is_no_dicom_is_named_and_the_others_go_on(files: list[Path]) -> None:
    files[0].write_text("no DICOM")
    with store_service() as stored:
        first, second = send(files, entity(stored), QUICK)
    assert isinstance(first, NotSent)
    assert "cannot be read" in first.reason
    assert second == Sent(files[1])


def test_an_object_that_cannot_be_encoded_is_named_and_the_others_go_on(files: list[Path]) -> None:
    """Pixel data that are not encapsulated, in a compressed transfer syntax."""
    dataset = small_object(1)
    dataset.add_new("PixelData", "OB", b"12")
    dataset.save_as(files[0], enforce_file_format=True)
    # The two UIDs have the same length.
    content = files[0].read_bytes()
    files[0].write_bytes(content.replace(ExplicitVRLittleEndian.encode(), RLELossless.encode()))
    with web_server() as stored:
        first, second = send(files, server(stored), QUICK)
    assert isinstance(first, NotSent)
    assert first.refused
    assert "the object cannot be encoded" in first.reason
    assert second == Sent(files[1])


def test_an_object_whose_transfer_syntax_is_not_accepted_is_refused(files: list[Path]) -> None:
    dataset = small_object(1)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(files[0], enforce_file_format=True)
    with store_service() as stored:
        first, second = send(files, entity(stored), QUICK)
    assert isinstance(first, NotSent)
    assert first.refused
    assert "does not accept objects of this SOP class in this transfer syntax" in first.reason
    assert second == Sent(files[1])


def test_the_token_comes_from_the_environment(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRLOC_TOKEN", "secret")
    with web_server() as stored:
        list(send(files[:1], server(stored), QUICK))
    assert stored.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("code", "answer", "message"),
    [
        (200, {"warning": 0xB000}, "stored it with a warning: status B000"),
        (202, {"warning": 0xB006}, "stored it with a warning: status B006"),
        (409, {"failure": 0x0111}, "has an object of this identifier already"),
        (200, {"failure": 0x0111}, "has an object of this identifier already"),
    ],
)
def test_a_web_server_stores_with_a_warning(
    code: int, answer: dict[str, int], message: str, files: list[Path]
) -> None:
    with web_server() as stored:
        stored.answers, stored.body = [code], stow_answer("2.25.1", **answer)
        (result,) = send(files[:1], server(stored), QUICK)
    assert isinstance(result, Sent)
    assert message in result.warning


@pytest.mark.parametrize(
    ("code", "body", "refused", "message"),
    [
        (409, stow_answer("2.25.1", failure=0xA900), True, "refused, status A900"),
        (202, stow_answer("2.25.1", failure=0xC000), True, "refused, status C000"),
        (409, stow_answer("2.25.1", failure=0xA700), False, "out of resources, status A700"),
        (409, b"", True, "HTTP status 409, refused"),
        (401, b"", False, "is the token in CXRLOC_TOKEN right?"),
        (404, b"", False, "HTTP status 404"),
        (500, b"", False, "HTTP status 500"),
        (200, b"<html>Please log in</html>", False, "is this the URL of a DICOMweb service?"),
        (200, b"{}", False, "is this the URL of a DICOMweb service?"),
        (200, stow_answer("2.25.99"), False, "the answer does not name the object"),
    ],
)
def test_a_web_server_does_not_store(
    code: int, body: bytes, refused: bool, message: str, files: list[Path]
) -> None:
    """What is not the object's fault may be mended, and is tried again."""
    with web_server() as stored:
        stored.answers, stored.body = [code] * 3, body
        (result,) = send(files[:1], server(stored), QUICK)
    assert isinstance(result, NotSent)
    assert (result.refused, len(stored.headers)) == (refused, 1 if refused else 3)
    assert message in result.reason


def test_a_duplicate_is_no_failure_of_c_store(files: list[Path]) -> None:
    with store_service() as stored:
        stored.answers = [0x0111]
        (result,) = send(files[:1], entity(stored), QUICK)
    assert isinstance(result, Sent)
    assert "already" in result.warning


def test_a_file_without_transfer_syntax_is_named(files: list[Path]) -> None:
    dataset = small_object(1)
    dataset.save_as(files[0], enforce_file_format=True)
    content = files[0].read_bytes()
    files[0].write_bytes(content.replace(b"\x02\x00\x10\x00UI", b"\x02\x00\x11\x00UI"))
    with store_service() as stored:
        (result,) = send(files[:1], entity(stored), QUICK)
    assert isinstance(result, NotSent)
    assert "cannot be read as a DICOM object" in result.reason


@pytest.mark.parametrize("title", ["", " ", "A" * 17, "Ä", "A\\B", "A\n"])
def test_what_is_no_title_is_refused(title: str) -> None:
    with pytest.raises(UsageError, match="is no AE title"):
        check_title(title, "--calling")


@pytest.mark.parametrize(
    "text",
    [
        "PACS",
        "PACS@host",
        "PACS@host:0",
        "PACS@host:70000",
        "A" * 17 + "@h:1",
        "ftp://x",
        "https://h:x/",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give AE@HOST:PORT"):
        parse_destination(text)
