"""An image is on disk before it is acknowledged; unknown or excessive senders are refused."""

import gc
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, SecondaryCaptureImageStorage
from pynetdicom import AE
from pynetdicom.association import Association

from cxrloc.dicom_objects.stamp import SERIES_NUMBERS
from cxrloc.pacs.destinations import ApplicationEntity, Security
from cxrloc.pacs.node_config import Receive
from cxrloc.pacs.receive import Receiver
from cxrloc.pacs.send import SendSettings, Sent, send
from cxrloc.pacs.spool import Spool, State
from tests.pacs import attacks
from tests.pacs.servers import LOOPBACK, small_object

# pynetdicom leaves sockets of refused connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SETTINGS = Receive(
    ae_title="NODE", port=0, allow=(f"SENDER@{LOOPBACK}",), min_free_megabytes=0, idle_seconds=1.0
)


@pytest.fixture(autouse=True)
def _garbage_of_this_test() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@contextmanager
def receiving(spool: Spool, settings: Receive = SETTINGS) -> Iterator[Receiver]:
    receiver = Receiver(settings, spool)
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def associated(
    port: int,
    title: str = "SENDER",
    called: str = "NODE",
    sop_class: str = SecondaryCaptureImageStorage,
) -> Iterator[Association]:
    entity = AE(ae_title=title)
    entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = entity.associate(LOOPBACK, port, ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def status_of(association: Association, dataset: Dataset) -> int:
    return int(association.send_c_store(dataset).Status)


def test_an_acknowledged_image_is_in_the_queue(spool: Spool) -> None:
    with receiving(spool) as receiver, associated(receiver.port) as association:
        assert status_of(association, small_object()) == 0x0000
        (job,) = spool.jobs(State.RECEIVED)
        assert b"somebody" in job.image.read_bytes()


def test_the_same_image_is_queued_once(spool: Spool) -> None:
    with receiving(spool) as receiver, associated(receiver.port) as association:
        statuses = [status_of(association, small_object()) for _ in range(2)]
    assert statuses == [0x0000, 0x0000]
    assert spool.count(State.RECEIVED) == 1


def test_a_full_disk_is_said_before_anything_is_lost(spool: Spool) -> None:
    full = replace(SETTINGS, min_free_megabytes=1 << 40)
    with receiving(spool, full) as receiver, associated(receiver.port) as association:
        assert status_of(association, small_object()) == 0xA700
    assert spool.count(State.RECEIVED) == 0


def test_own_results_are_not_computed_again(spool: Spool) -> None:
    result = small_object()
    result.Manufacturer, result.SeriesNumber = "cxrloc", SERIES_NUMBERS["sc"]
    with receiving(spool) as receiver, associated(receiver.port) as association:
        assert status_of(association, result) == 0x0000
    assert spool.count(State.RECEIVED) == 0


@pytest.mark.parametrize(("title", "called"), [("STRANGER", "NODE"), ("SENDER", "OTHER")])
def test_other_titles_are_rejected_and_named(
    title: str, called: str, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving(spool) as receiver, associated(receiver.port, title, called) as association:
        assert association.is_rejected
    (record,) = (each for each in caplog.records if "or called AE title is not" in each.message)
    assert vars(record)["fields"] == {"host": LOOPBACK, "calling": title, "called": called}


def test_other_hosts_are_not_answered_and_named(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = replace(SETTINGS, allow=("SENDER@127.0.0.77",))
    with receiving(spool, elsewhere) as receiver, associated(receiver.port) as association:
        assert not association.is_established
    (record,) = (each for each in caplog.records if "host is not allowed" in each.message)
    assert vars(record)["fields"] == {"host": LOOPBACK}


def test_other_kinds_of_objects_are_not_taken(spool: Spool) -> None:
    with (
        receiving(spool) as receiver,
        associated(receiver.port, sop_class=MRImageStorage) as association,
    ):
        assert not association.accepted_contexts


def test_an_object_over_the_limit_ends_its_connection(spool: Spool) -> None:
    large = small_object()
    large.add_new(0x00090010, "LO", "TEST")
    large.add_new(0x00091001, "OB", bytes(3 << 20))
    small = replace(SETTINGS, max_object_megabytes=1)
    with receiving(spool, small) as receiver, associated(receiver.port) as association:
        assert "Status" not in association.send_c_store(large)
    assert spool.count(State.RECEIVED) == 0


def test_an_object_without_end_ends_its_connection(spool: Spool) -> None:
    small = replace(SETTINGS, max_object_megabytes=1)
    with receiving(spool, small) as receiver:
        with attacks.associated(receiver.port, "SENDER", "NODE") as association:
            assert attacks.send_without_end(association, 200 << 20) < 200 << 20
        _serves_others(receiver, spool)


def test_a_pdu_that_claims_gigabytes_ends_its_connection(spool: Spool) -> None:
    with receiving(spool) as receiver:
        assert attacks.claim_gigabytes(receiver.port)
        _serves_others(receiver, spool)


def test_a_deflated_object_is_not_taken(spool: Spool) -> None:
    """In this transfer syntax a small object can expand to gigabytes."""
    with receiving(spool) as receiver:
        assert not attacks.takes_deflated(receiver.port, "SENDER", "NODE")


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("uid", ["../../1.2.3", "/etc/passwd", "1..2"])
def test_what_is_no_uid_is_refused(
    uid: str, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        receiving(spool, replace(SETTINGS, idle_seconds=20.0)) as receiver,
        attacks.associated(receiver.port, "SENDER", "NODE") as association,
    ):
        assert attacks.store_bytes(association, uid, bytes(100)) == 0xC000
    assert spool.count(State.RECEIVED) == 0
    (record,) = (each for each in caplog.records if "UID is not valid" in each.message)
    assert vars(record)["fields"] == {"host": LOOPBACK, "calling": "SENDER"}


def test_a_title_from_the_host_of_another_is_refused_and_named(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    two = replace(SETTINGS, allow=("SENDER@127.0.0.77", f"OTHER@{LOOPBACK}"))
    with receiving(spool, two) as receiver, associated(receiver.port) as association:
        assert status_of(association, small_object()) == 0x0124
    (record,) = (each for each in caplog.records if "not allowed from this host" in each.message)
    assert vars(record)["fields"] == {"host": LOOPBACK, "calling": "SENDER"}


def test_deeply_nested_sequences_are_kept_as_they_are(spool: Spool) -> None:
    """The service does not read them; the computation in its own process refuses them later."""
    content = attacks.nested_sequences(50_000)
    with receiving(spool, replace(SETTINGS, idle_seconds=20.0)) as receiver:
        with attacks.associated(receiver.port, "SENDER", "NODE") as association:
            assert attacks.store_bytes(association, "2.25.9", content) == 0x0000
        _serves_others(receiver, spool)


def test_idle_connections_leave_others_served_and_end(spool: Spool) -> None:
    with receiving(spool, replace(SETTINGS, max_connections=4)) as receiver:
        idle = attacks.idle_connections(receiver.port, 10)
        try:
            assert attacks.ends(idle[-1])  # over the limit: closed at once
            assert attacks.ends(idle[0])  # within it: closed after idle_seconds
        finally:
            for each in idle:
                each.close()
        time.sleep(0.5)
        _serves_others(receiver, spool)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of this test, a service's and a sender's certificate, and a stranger's own."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    for name in ("authority", "stranger"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    (folder / "names").write_text(f"subjectAltName=IP:{LOOPBACK}\n")
    for name in ("service", "sender"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "authority.pem", "-days", "2",
                "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "names",
                "-out", f"{name}.pem")  # fmt: skip
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sender", "stored"), [("sender", True), ("stranger", False), (None, False), ("plain", False)]
)
def test_only_senders_with_a_certificate_of_the_authority_are_served(
    sender: str | None, stored: bool, certificates: Path, spool: Spool, tmp_path: Path
) -> None:
    own_certificate = certificates / "service.pem", certificates / "service.key"
    authority = certificates / "authority.pem"
    settings = replace(
        SETTINGS, certificate=own_certificate[0], key=own_certificate[1], authority=authority
    )
    path = tmp_path / "object.dcm"
    small_object().save_as(path, enforce_file_format=True)
    security = Security(tls=sender != "plain", authority=authority)
    if sender in ("sender", "stranger"):
        pair = certificates / f"{sender}.pem", certificates / f"{sender}.key"
        security = replace(security, certificate=pair[0], key=pair[1])
    once = SendSettings("SENDER", security, tries=1, timeout_seconds=10)
    with receiving(spool, replace(settings, idle_seconds=20.0)) as receiver:
        # A client that says nothing, not even in the handshake, keeps nobody out.
        (silent,) = attacks.idle_connections(receiver.port, 1)
        (result,) = send([path], ApplicationEntity("NODE", LOOPBACK, receiver.port), once)
        silent.close()
    assert isinstance(result, Sent) == stored
    assert spool.count(State.RECEIVED) == stored


def _serves_others(receiver: Receiver, spool: Spool) -> None:
    before = spool.count(State.RECEIVED)
    with associated(receiver.port) as association:
        assert status_of(association, small_object(7)) == 0x0000
    assert spool.count(State.RECEIVED) == before + 1
