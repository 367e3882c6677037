"""A node computes each acknowledged image, sends its results, and survives harmful images."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from cxrloc.pacs.node import Node, Task
from cxrloc.pacs.node_config import (
    Compute,
    NodeConfig,
    Query,
    Receive,
    Send,
    Storage,
    read_node_config,
)
from cxrloc.pacs.spool import Spool, State, read_note
from cxrloc.types import CxrlocError, UsageError
from tests.pacs.servers import LOOPBACK, small_object, store_service


def prepare() -> Callable[[Task], None]:
    return compute


def compute(task: Task) -> None:
    """Writes one small result; some images are fatal or useless."""
    patient = str(pydicom.dcmread(task.image).PatientID)
    if patient == "fatal":
        os.abort()
    if patient == "useless":
        raise CxrlocError("no radiograph")
    source = pydicom.dcmread(task.image)
    result = small_object()
    result.SOPInstanceUID = f"{source.SOPInstanceUID}.9"
    result.PatientID = str(len(task.study))
    result.save_as(task.results / "result.dcm", enforce_file_format=True)


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
    Spool(config.spool.folder).add(dataset.SOPInstanceUID, path.read_bytes())


@contextmanager
def running(config: NodeConfig) -> Iterator[Node]:
    node = Node(config, prepare)
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
def test_results_wait_for_a_destination_that_is_away(tmp_path: Path) -> None:
    with store_service() as pacs:
        port = pacs.port
    config = config_for(tmp_path, port)
    put(config, 1)
    with running(config) as node:
        wait_for(node.spool, sending=1)
        with store_service(port=port) as pacs:
            wait_for(node.spool, done=1)
    assert pacs.uids == ["2.25.1.9"]


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


def test_the_settings_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(
        '[receive]\nallow = ["CR1@127.0.0.1"]\n[send]\nto = ["PACS@127.0.0.1:4242"]\n'
        '[spool]\nfolder = "queue"\nkeep_days = 2\n'
    )
    config = read_node_config(path)
    assert config.receive.allow == ("CR1@127.0.0.1",)
    assert config.spool == Storage(tmp_path / "queue", 2.0)


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
    ],
)
def test_wrong_settings_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_node_config(path)
