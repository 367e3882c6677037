"""A session with Orthanc, in a network of its own; `test_orthanc.py` runs it and reads its answers.

Usage: python orthanc_session.py FOLDER MODEL
The folder gets `answers.json`. Everything listens on the loopback device of a network namespace.
"""

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pydicom
from dicomweb_client.api import DICOMwebClient

from cxrloc.dicom_objects.stamp import MANUFACTURER
from cxrloc.pacs.destinations import ApplicationEntity, WebServer
from cxrloc.pacs.node_config import Compute, NodeConfig, Query, Receive, Send, Storage
from cxrloc.pacs.query import fetch_new
from cxrloc.pacs.send import SendSettings, send
from cxrloc.pacs.spool import Spool, State
from cxrloc.phantom import write_phantoms

HTTP, DICOM, NODE = 8042, 4242, 11112
PACS = ApplicationEntity("ORTHANC", "127.0.0.1", DICOM)
WEB = WebServer(f"http://127.0.0.1:{HTTP}/dicom-web")
KINDS = ["sr", "gsps", "sc", "seg", "fractional-seg"]
IMAGES = 6
SEED = 3


@contextmanager
def orthanc(folder: Path) -> Iterator[None]:
    """Orthanc that stores only what known titles send, with an empty archive."""
    config = {
        "Name": "tests",
        "StorageDirectory": str(folder / "archive"),
        "IndexDirectory": str(folder / "archive"),
        "HttpPort": HTTP,
        "DicomPort": DICOM,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": False,
        "DicomAlwaysAllowEcho": False,
        "DicomModalities": {
            "cxrloc": ["CXRLOC", "127.0.0.1", NODE],
            "node": ["NODE", "127.0.0.1", NODE],
        },
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "OverwriteInstances": True,
        "Plugins": ["/usr/share/orthanc/plugins"],
        "DicomWeb": {"Enable": True},
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    log = (folder / "orthanc.log").open("w")
    process = subprocess.Popen(
        ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
    )
    try:
        wait(lambda: rest("system"), 180)
        yield
    finally:
        process.terminate()
        process.wait()
        log.close()


def rest(path: str) -> Any:
    """An answer of Orthanc's own interface."""
    with urlopen(Request(f"http://127.0.0.1:{HTTP}/{path}"), timeout=20) as answer:
        content = answer.read()
    return (
        json.loads(content)
        if answer.headers["Content-Type"].startswith("application/json")
        else content
    )


def stored() -> dict[str, pydicom.Dataset]:
    """Every object in the archive by its SOP instance UID."""
    found = {}
    for identifier in rest("instances"):
        path = Path("fetched.dcm")
        path.write_bytes(rest(f"instances/{identifier}/file"))
        dataset = pydicom.dcmread(path)
        found[str(dataset.SOPInstanceUID)] = dataset
    return found


def round_trips(files: list[Path]) -> dict[str, bool]:
    """Whether each object comes back from the archive with equal attributes."""
    back = stored()
    sources = [pydicom.dcmread(file) for file in files]
    return {
        file.name: back.get(str(source.SOPInstanceUID)) == source
        for file, source in zip(files, sources, strict=True)
    }


def delete_all() -> None:
    for identifier in rest("instances"):
        request = Request(f"http://127.0.0.1:{HTTP}/instances/{identifier}", method="DELETE")
        urlopen(request, timeout=20).close()


def queried(folder: Path, images: list[Path], results: list[Path]) -> dict[str, Any]:
    """A queue is filled by queries; our own picture, a result, lies in the archive too."""
    today = f"{date.today():%Y%m%d}"
    for path in images:
        image = pydicom.dcmread(path)
        image.StudyDate = today
        image.save_as(folder / "today.dcm", enforce_file_format=True)
        list(send([folder / "today.dcm"], WEB, SendSettings(tries=1)))
    list(send(results, WEB, SendSettings(tries=1)))
    query = Query(url=WEB.url, modalities=("DX", "OT"), days=99_999)
    config = NodeConfig(Receive(min_free_megabytes=0), query, Compute(), Send(), Storage())
    spool = Spool(folder / "queried")
    fetched = [fetch_new(config, spool) for _ in range(2)]
    uids = {str(pydicom.dcmread(job.image).SOPInstanceUID) for job in spool.jobs(State.RECEIVED)}
    expected = {str(pydicom.dcmread(path).SOPInstanceUID) for path in images}
    return {"fetched": fetched, "are the images": uids == expected}


def node_answers(folder: Path, model: str, images: list[Path]) -> dict[str, Any]:
    """Images are sent to a node that is killed twice; how many sets of results arrive."""
    settings = folder / "node.toml"
    settings.write_text(
        f'[receive]\nae_title = "NODE"\nport = {NODE}\nallow = ["CXRLOC@127.0.0.1"]\n'
        "min_free_megabytes = 1\n"
        f'[compute]\nmodel = ["{model}"]\nwrite = ["sr", "sc"]\n'
        "below_operating_point = true\n"
        f'[send]\nto = ["{PACS}"]\nretry_seconds = 0.5\n'
    )
    moments = random.Random(SEED)
    acknowledged: set[str] = set()
    waiting = list(images)
    node = None
    for life in range(3):
        node = _started(settings, folder)
        settings_of_sender = SendSettings(tries=1, timeout_seconds=10)
        target = ApplicationEntity("NODE", "127.0.0.1", NODE)
        batch, waiting = waiting[: IMAGES // 3], waiting[IMAGES // 3 :]
        for result in send(batch, target, settings_of_sender):
            if hasattr(result, "warning"):
                acknowledged.add(str(pydicom.dcmread(result.path).SOPInstanceUID))
        if life < 2:
            time.sleep(moments.uniform(0.0, 3.0))
            node.send_signal(signal.SIGKILL)
            node.wait()
    expected = 3 * len(acknowledged)  # two reports and a picture each
    try:
        wait(lambda: len(rest("instances")) >= expected, seconds=240)
        time.sleep(1.0)
    finally:
        assert node is not None
        node.terminate()
        node.wait()
    sources = Counter(_source_of(each) for each in stored().values())
    return {"acknowledged": len(acknowledged), "sets": sorted(sources.values())}


def _source_of(result: pydicom.Dataset) -> str:
    return f"{result.StudyInstanceUID}"


def _started(settings: Path, folder: Path) -> "subprocess.Popen[str]":
    log = (folder / "node.log").open("a")
    command = [sys.executable, "-m", "cxrloc", "node", str(settings)]
    process = subprocess.Popen(command, stderr=log, text=True)
    wait(lambda: listens(NODE), 300)
    return process


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(happened: Any, seconds: float = 60, pause: float = 0.1) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if happened():
                return
        except OSError:
            pass
        time.sleep(pause)
    raise TimeoutError("waited in vain")


def main(folder: Path, model: str) -> None:
    write_phantoms(folder / "chests", n=IMAGES, seed=0, size=96, file_format="dicom")
    images = sorted((folder / "chests" / "images").iterdir())
    command = [sys.executable, "-m", "cxrloc", "heatmap", str(images[0]), "--model", model]
    command += ["--write", ",".join(KINDS), "--below-operating-point", "--out", str(folder / "out")]
    subprocess.run([*command, "--quiet"], check=True)
    files = sorted((folder / "out").glob("*.dcm"))
    quick = SendSettings(tries=1, timeout_seconds=20)
    answers: dict[str, Any] = {"files": [file.name for file in files]}
    with orthanc(folder):
        answers["stored by C-STORE"] = [type(each).__name__ for each in send(files, PACS, quick)]
        answers["equal after C-STORE"] = round_trips(files)
        found = DICOMwebClient(WEB.url).search_for_instances(fields=["Manufacturer"])
        answers["found by QIDO-RS"] = len(found)
        capture = next(file for file in files if file.name.endswith(".sc.dcm"))
        uid = str(pydicom.dcmread(capture).SOPInstanceUID)
        (identifier,) = (
            each
            for each in rest("instances")
            if rest(f"instances/{each}/simplified-tags")["SOPInstanceUID"] == uid
        )
        (folder / "preview.png").write_bytes(rest(f"instances/{identifier}/preview"))
        delete_all()
        answers["stored by STOW-RS"] = [type(each).__name__ for each in send(files, WEB, quick)]
        answers["equal after STOW-RS"] = round_trips(files)
        delete_all()
        answers["queried"] = queried(folder, images[:2], files)
        delete_all()
        stranger = SendSettings(calling_title="STRANGER", tries=1, timeout_seconds=20)
        answers["a stranger"] = [type(each).__name__ for each in send(files[:1], PACS, stranger)]
        answers["node"] = node_answers(folder, model, images)
        answers["makers"] = sorted({str(each.Manufacturer) for each in stored().values()})
    assert MANUFACTURER in answers["makers"]
    (folder / "answers.json").write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
