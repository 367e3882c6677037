"""Objects reach a PACS by C-STORE and by STOW-RS; objects that it cannot store are named."""

from pathlib import Path

import pytest

from cxrloc.pacs.destinations import (
    ApplicationEntity,
    Destination,
    WebServer,
    parse_destination,
)
from cxrloc.pacs.send import NotSent, SendSettings, Sent, send
from cxrloc.types import UsageError
from tests.pacs.servers import LOOPBACK, Stored, small_object, store_service, web_server

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
def test_nobody_there_is_said_after_the_last_try(files: list[Path]) -> None:
    with store_service() as stored:
        gone = entity(stored)
    (result,) = send(files[:1], gone, QUICK)
    assert isinstance(result, NotSent)
    assert not result.refused
    assert "no association" in result.reason
    assert "after 3 tries" in result.reason


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


def test_the_token_comes_from_the_environment(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRLOC_TOKEN", "secret")
    with web_server() as stored:
        list(send(files[:1], server(stored), QUICK))
    assert stored.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    "text", ["PACS", "PACS@host", "PACS@host:0", "PACS@host:70000", "A" * 17 + "@h:1", "ftp://x"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give AE@HOST:PORT"):
        parse_destination(text)
