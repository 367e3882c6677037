"""Each destination gets all results once, and none waits for another."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cxrloc.errors import UsageError
from cxrloc.pacs import delivery
from cxrloc.pacs.delivery import Delivery
from cxrloc.pacs.node_config import Compute, NodeConfig, Query, Receive, Send, Storage
from cxrloc.pacs.spool import Job, Note, Spool, State, read_note, write_note
from tests.pacs.servers import LOOPBACK, Stored, small_object, store_service

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setattr(delivery, "PAUSE_SECONDS", 0.01)
    return Spool(tmp_path / "spool")


def config_for(*ports: int, retry_seconds: float = 0.05, **more: object) -> NodeConfig:
    to = tuple(f"PACS@{LOOPBACK}:{port}" for port in ports)
    sending = Send(to=to, retry_seconds=retry_seconds, **more)
    return NodeConfig(Receive(), Query(), Compute(), sending, Storage())


def computed(spool: Spool, number: int) -> Job:
    """A job whose one result is to be sent."""
    source = spool.folder / "image"
    source.write_bytes(b"")
    job = spool.add(f"1.{number}", source)
    assert job is not None
    job.results.mkdir()
    small_object(number).save_as(job.results / "result.dcm", enforce_file_format=True)
    return spool.move(job, State.SENDING)


@contextmanager
def delivering(spool: Spool, config: NodeConfig) -> Iterator[None]:
    stop = threading.Event()
    threads = [
        threading.Thread(target=loop, daemon=True) for loop in Delivery(config, spool, stop).loops()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def closed_port() -> int:
    with store_service() as gone:
        return gone.port


def test_results_wait_for_a_destination_that_is_away(spool: Spool) -> None:
    port = closed_port()
    job = computed(spool, 1)
    with delivering(spool, config_for(port)):
        wait_until(lambda: read_note(job).waits_because)
        assert spool.count(State.SENDING) == 1
        with store_service(port=port) as pacs:
            wait_until(lambda: spool.count(State.DONE))
    assert pacs.uids == ["2.25.1"]


def test_a_destination_that_hangs_delays_no_other(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is absent for hours; the other destination gets the results of every job at once."""
    send, hanging, over = delivery.send, closed_port(), threading.Event()

    def hang(paths: object, destination: object, settings: object) -> object:
        if str(destination).endswith(f":{hanging}"):
            over.wait(60)
        return send(paths, destination, settings)

    monkeypatch.setattr(delivery, "send", hang)
    with store_service() as pacs:
        jobs = [computed(spool, number) for number in (1, 2, 3)]
        with delivering(spool, config_for(hanging, pacs.port, retry_seconds=3600)):
            wait_until(lambda: len(pacs.uids) == 3)
            jobs.append(computed(spool, 4))
            wait_until(lambda: len(pacs.uids) == 4)
            over.set()
    assert sorted(pacs.uids) == [f"2.25.{number}" for number in (1, 2, 3, 4)]
    assert spool.count(State.SENDING) == 4
    assert {read_note(job).sent_to for job in jobs} == {(f"PACS@{LOOPBACK}:{pacs.port}",)}


def test_a_refusal_of_one_destination_keeps_the_results_from_no_other(spool: Spool) -> None:
    with store_service() as busy, store_service() as refusing, store_service() as pacs:
        busy.answers, refusing.answers = [0xA700], [0xC000]
        computed(spool, 1)
        with delivering(spool, config_for(busy.port, refusing.port, pacs.port)):
            wait_until(lambda: spool.count(State.FAILED))
    assert (busy.uids, refusing.uids, pacs.uids) == (["2.25.1"], [], ["2.25.1"])
    (job,) = spool.jobs(State.FAILED)
    assert "status C000" in read_note(job).reason
    assert read_note(job).waits_because == {}


def test_a_result_that_is_never_answered_for_keeps_no_other_waiting(spool: Spool) -> None:
    """The oldest result gets no place at the destination; a younger one arrives."""
    with store_service() as pacs:
        pacs.answer_of = {"2.25.1": 0xA700}
        old, _ = computed(spool, 1), computed(spool, 2)
        with delivering(spool, config_for(pacs.port)):
            wait_until(lambda: spool.count(State.DONE))
            wait_until(lambda: read_note(old).waits_because)
            (reason,) = read_note(old).waits_because.values()
            assert "out of resources" in reason
            pacs.answer_of = {}
            wait_until(lambda: spool.count(State.DONE) == 2)
    assert pacs.uids == ["2.25.2", "2.25.1"]


def test_the_pause_after_sending_does_not_grow_with_the_time_that_sending_took(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(threading.Event):
        """Records the pauses, and stops after the third."""

        def __init__(self) -> None:
            super().__init__()
            self.pauses = list[float]()

        def wait(self, timeout: float | None = None) -> bool:
            self.pauses.append(timeout or 0)
            if len(self.pauses) == 3:
                self.set()
            return self.is_set()

    def slow(*arguments: object) -> object:
        time.sleep(0.2)
        return []

    monkeypatch.setattr(delivery, "send", slow)
    computed(spool, 1)
    stop = Stop()
    (loop,) = Delivery(config_for(1), spool, stop).loops()
    loop()
    assert spool.count(State.DONE) == 1
    assert stop.pauses[0] < 0.2


def test_what_was_sent_before_a_kill_is_not_sent_again(spool: Spool) -> None:
    def wrote(pacs: Stored, other: Stored) -> tuple[str, ...]:
        return tuple(f"PACS@{LOOPBACK}:{each.port}" for each in (pacs, other))

    with store_service() as pacs, store_service() as other:
        everywhere = wrote(pacs, other)
        write_note(computed(spool, 1), Note(sent_to=everywhere))
        write_note(computed(spool, 2), Note(sent_to=everywhere[:1]))
        with delivering(spool, config_for(pacs.port, other.port)):
            wait_until(lambda: spool.count(State.DONE) == 2)
    assert (pacs.uids, other.uids) == ([], ["2.25.2"])


def test_a_certificate_that_is_none_is_said_at_the_start(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    config = config_for(1, certificate=tmp_path / "text.pem")
    with pytest.raises(UsageError, match="certificate or key cannot be used"):
        Delivery(config, spool, threading.Event())
