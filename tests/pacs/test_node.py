"""A node computes each acknowledged image, sends its results, and survives harmful images."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.pacs.node import MOST_STARTS, Node, Prepare, Task
from cxrloc.pacs.node_config import (
    Compute,
    NodeConfig,
    Query,
    Receive,
    Send,
    Storage,
    read_node_config,
)
from cxrloc.pacs.spool import Note, Spool, State, read_note, write_note
from cxrloc.pacs.studies import Studies
from tests.pacs.servers import LOOPBACK, small_object, store_service


def prepare() -> Callable[[Task], Mapping[str, object]]:
    return compute


def no_worker() -> Callable[[Task], Mapping[str, object]]:
    raise CxrlocError("the model file is gone")


def compute(task: Task) -> Mapping[str, object]:
    """Writes one small result; some images are fatal or useless."""
    patient = str(pydicom.dcmread(task.image).PatientID)
    if patient == "fatal":
        os.abort()
    if patient == "disk":
        raise OSError(errno.ENOSPC, "no space left")
    if patient == "useless":
        raise CxrlocError("no radiograph")
    source = pydicom.dcmread(task.image)
    result = small_object()
    result.SOPInstanceUID = f"{source.SOPInstanceUID}.9"
    result.PatientID = str(len(task.study))
    result.save_as(task.results / "result.dcm", enforce_file_format=True)
    return {}


def config_for(folder: Path, port: int, rest: float = 0.0) -> NodeConfig:
    return NodeConfig(
        receive=Receive(allow=()),
        query=Query(),
        compute=Compute(tries=2, study_rest_seconds=rest),
        send=Send(to=(f"PACS@{LOOPBACK}:{port}",), retry_seconds=0.2),
        spool=Storage(folder / "spool"),
    )


def put(config: NodeConfig, number: int, patient: str = "somebody") -> None:
    dataset = small_object(number)
    dataset.PatientID = patient
    path = config.spool.folder.parent / f"{number}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    Spool(config.spool.folder).add(dataset.SOPInstanceUID, path)


@contextmanager
def running(config: NodeConfig, prepared: Prepare = prepare) -> Iterator[Node]:
    node = Node(config, prepared)
    thread = threading.Thread(target=node.run)
    thread.start()
    try:
        yield node
    finally:
        node.stop()
        thread.join()


def wait_for(spool: Spool, **counts: int) -> None:
    """Wait until the states hold so many jobs."""
    deadline = time.monotonic() + 30
    while {state: spool.count(State(state)) for state in counts} != counts:
        assert time.monotonic() < deadline, {str(s): spool.count(s) for s in State}
        time.sleep(0.05)


@pytest.mark.slow
def test_each_image_ends_with_its_results_or_with_a_reason(tmp_path: Path) -> None:
    with store_service() as pacs:
        config = config_for(tmp_path, pacs.port)
        for number, patient in enumerate(["fatal", "somebody", "useless", "somebody"], 1):
            put(config, number, patient)
        with running(config) as node:
            wait_for(node.spool, done=2, failed=2)
    assert sorted(pacs.uids) == ["2.25.2.9", "2.25.4.9"]
    reasons = {read_note(job).reason for job in node.spool.jobs(State.FAILED)}
    assert reasons == {"CxrlocError: no radiograph", "ended its process by signal 6"}


@pytest.mark.slow
def test_images_wait_until_their_study_rests(tmp_path: Path) -> None:
    with store_service() as pacs:
        config = config_for(tmp_path, pacs.port, rest=1.0)
        put(config, 1)
        with running(config) as node:
            time.sleep(0.5)
            put(config, 2)
            wait_for(node.spool, done=2)
    results = [pydicom.dcmread(job.results / "result.dcm") for job in node.spool.jobs(State.DONE)]
    assert [str(each.PatientID) for each in results] == ["2", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("obstacle", ["no worker", "a full disk"])
def test_an_obstacle_of_the_machine_fails_no_image(
    obstacle: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(tmp_path, 1)
    put(config, 1, patient="disk" if obstacle == "a full disk" else "somebody")
    with running(config, no_worker if obstacle == "no worker" else prepare) as node:
        deadline = time.monotonic() + 30
        while "the queue waits" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert node.spool.count(State.RECEIVED) == 1


@pytest.mark.slow
def test_a_worker_starts_before_any_image_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(config_for(tmp_path, 1), no_worker):
        deadline = time.monotonic() + 30
        while "the queue waits" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.slow
def test_what_a_kill_left_is_not_sent_and_restarts_are_no_tries(tmp_path: Path) -> None:
    with store_service() as pacs:
        config = config_for(tmp_path, pacs.port)
        put(config, 1)
        put(config, 2)
        spool = Spool(config.spool.folder)
        first, second = spool.jobs(State.RECEIVED)
        first.results.mkdir()
        (first.results / ".part.dcm").write_text("half")
        write_note(first, Note(starts=MOST_STARTS - 1))
        write_note(second, Note(starts=MOST_STARTS))
        with running(config):
            wait_for(spool, done=1, failed=1)
    assert pacs.uids == ["2.25.1.9"]


def test_two_nodes_do_not_share_a_queue(tmp_path: Path) -> None:
    config = config_for(tmp_path, 1)
    first = Node(config, prepare)
    with pytest.raises(UsageError, match="another node works on this queue"):
        Node(config, prepare)
    del first


def test_each_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_for(tmp_path, 1, rest=60.0)
    for number in range(3):
        put(config, number + 1)
    read: list[Path] = []
    monkeypatch.setattr(
        "cxrloc.pacs.studies._read_study_uid", lambda path: read.append(path) or "1"
    )
    node = Node(config, prepare)
    for _ in range(3):
        assert node._next_received() is None
    assert len(read) == 3


def test_a_job_that_another_worker_has_just_moved_is_no_error(tmp_path: Path) -> None:
    config = config_for(tmp_path, 1)
    put(config, 1)
    put(config, 2)
    spool = Spool(config.spool.folder)
    studies = Studies(spool, rest_seconds=60.0)
    moved, left = spool.jobs(State.RECEIVED)
    assert studies.at_rest([moved, left]) == set()
    spool.move(moved, State.SENDING)
    os.utime(left.image, (1e9, 1e9))
    assert left.name in studies.at_rest([moved, left])


def test_the_settings_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(
        '[receive]\nallow = ["CR1@127.0.0.1"]\n[send]\nto = ["PACS@127.0.0.1:4242"]\n'
        '[spool]\nfolder = "queue"\nkeep_days = 2\n'
    )
    config = read_node_config(path)
    assert config.receive.allow == ("CR1@127.0.0.1",)
    assert config.spool == Storage(tmp_path / "queue", 2.0)


def test_the_queue_lies_beside_the_settings_if_they_name_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[receive]\nallow = ["A@h"]\n[send]\nto = ["P@h:1"]\n')
    assert read_node_config(path).spool.folder == tmp_path / "spool"


GOOD = '[send]\nto = ["P@h:1"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[send]\nto = ["P@h:1"]\n', "nobody may send images"),
        ('[receive]\nallow = ["A@h"]\n', "results go nowhere"),
        ('[receive]\nallow = ["A"]\n[send]\nto = ["P@h:1"]\n', "'A' is not AE@HOST"),
        ('[recieve]\nallow = ["A@h"]\n', r"no section \[recieve\]"),
        ('[receive]\nalow = ["A@h"]\n', r"\[receive\] has no key alow"),
        ('[receive]\nport = "x"\n', r"\[receive\] port must be of type int"),
        ("[receive]\nport = -1\n", "must not be negative"),
        ('[receive]\nallow = ["A@"]\n[send]\nto = ["P@h:1"]\n', "'A@' is not AE@HOST"),
        (GOOD + f'[receive]\nallow = ["{"A" * 17}@h"]\n', "is no AE title"),
        (GOOD + '[receive]\nallow = ["A@h"]\nae_title = ""\n', r"ae_title: '' is no AE title"),
        (GOOD + '[receive]\nallow = ["A@h"]\nport = 70000\n', "70000 is no TCP port"),
        (
            GOOD + '[receive]\nallow = ["A@h"]\ncertificate = "gone.pem"\n',
            r"\[receive\] certificate: .*gone.pem: no such file",
        ),
    ],
)
def test_wrong_settings_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_node_config(path)
