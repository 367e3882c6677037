"""A node beside Orthanc: killed, attacked, on a full disk, without its destination; and its speed.

    python benchmarks/node_campaign.py --out benchmarks/node.md       everything, about half an hour
    python benchmarks/node_campaign.py --parts kills attacks          some parts

Needs root and Debian's orthanc, orthanc-dicomweb and iproute2. Everything runs in a network
namespace of its own, which has the loopback device alone. Each part writes its table; `--out` is
made of the tables of this call and of earlier ones in `--folder`.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pydicom
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from speed_commands import seconds_of_forwards, write_network  # noqa: E402

from cxrloc import workers  # noqa: E402
from cxrloc.cli import app  # noqa: E402
from cxrloc.findings import CHESTXRAY14  # noqa: E402
from cxrloc.models.names import PHANTOM_MODEL  # noqa: E402
from cxrloc.pacs.destinations import ApplicationEntity  # noqa: E402
from cxrloc.pacs.send import SendSettings, Sent, send  # noqa: E402
from cxrloc.pacs.spool import Spool, State, read_note  # noqa: E402
from cxrloc.phantom import write_phantoms  # noqa: E402
from cxrloc.pipeline import node as _loaded_before_the_forks  # noqa: E402, F401
from tests.pacs import attacks  # noqa: E402
from tests.pacs.orthanc_session import (  # noqa: E402
    NODE,
    PACS,
    delete_all,
    listens,
    orthanc,
    rest,
    wait,
)

TITLES = ("CXRLOC", "NODE")
OBJECTS = 3  # two reports and a picture of each image
ONCE = SendSettings(tries=1, timeout_seconds=20)
PATIENT = SendSettings(tries=20, first_wait_seconds=0.5, timeout_seconds=20)
NODE_ENTITY = ApplicationEntity("NODE", "127.0.0.1", NODE)


class NodeProcess:
    """A `cxrloc node` with its settings and its queue in a folder."""

    def __init__(
        self,
        folder: Path,
        model: str = PHANTOM_MODEL,
        receive: str = "",
        below_operating_point: bool = True,
        workers: int = 1,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.spool = folder, Spool(folder / "spool")
        self._settings = folder / "node.toml"
        self._settings.write_text(
            f'[receive]\nae_title = "NODE"\nport = {NODE}\nallow = ["CXRLOC@127.0.0.1"]\n'
            f"{receive or 'min_free_megabytes = 1'}\n"
            f'[compute]\nmodel = ["{model}"]\nwrite = ["sr", "sc"]\nworkers = {workers}\n'
            f"below_operating_point = {str(below_operating_point).lower()}\n"
            f'[send]\nto = ["{PACS}"]\nretry_seconds = 1\n'
        )

    def start(self) -> None:
        """Start the node, and wait until it listens."""
        with (self.folder / "node.log").open("a") as log:
            command = [sys.executable, "-m", "cxrloc", "node", self._settings]
            self.process = subprocess.Popen([*map(str, command)], stderr=log, cwd=ROOT)
        wait(lambda: listens(NODE), 600)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the node by a signal."""
        self.process.send_signal(number)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the node if it still runs, as after an error of this program."""
        with suppress(AttributeError, ProcessLookupError, ChildProcessError):
            self.stop(signal.SIGKILL)

    def megabytes(self) -> float:
        """Resident memory of the node and its workers."""
        return sum(map(_resident_megabytes, _with_children(self.process.pid)))

    def is_idle(self) -> bool:
        """Whether no image waits for its computation or for its destination."""
        return not (self.spool.count(State.RECEIVED) or self.spool.count(State.SENDING))


class ForkedNode(NodeProcess):
    """A node that is forked off this process, with its worker, and so starts in a second.

    Its kills therefore happen during the work, and not while modules are imported. A kill ends the
    worker too.
    """

    def start(self) -> None:
        """Start the node, and wait until it listens."""
        self._pid = os.fork()
        if not self._pid:
            self._become_node()
        wait(lambda: listens(NODE), 120)

    def _become_node(self) -> None:
        try:
            os.setsid()
            log = os.open(self.folder / "node.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, sys.stderr.fileno())
            workers._SPAWN = multiprocessing.get_context("fork")
            app(["node", str(self._settings)])
        finally:
            os._exit(0)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the node by a signal."""
        (os.killpg if number == signal.SIGKILL else os.kill)(self._pid, number)
        os.waitpid(self._pid, 0)


def _with_children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
        tasks = Path(f"/proc/{process}/task").iterdir()
        text = " ".join((task / "children").read_text() for task in tasks)
    except OSError:
        return []
    return [process, *(one for child in text.split() for one in _with_children(int(child)))]


def _resident_megabytes(process: int) -> float:
    """Resident memory; pages that processes share are divided between them (PSS)."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def phantoms(folder: Path, count: int, seed: int, size: int = 256) -> list[Path]:
    """DICOM images, each of a study of its own."""
    write_phantoms(folder, n=count, seed=seed, size=size, file_format="dicom")
    return sorted((folder / "images").iterdir())


def acknowledged(paths: list[Path], settings: SendSettings) -> list[Path]:
    """The images that the node acknowledged."""
    return [each.path for each in send(paths, NODE_ENTITY, settings) if isinstance(each, Sent)]


def sets_in_orthanc() -> Counter[str]:
    """The number of objects of each study."""
    studies = {each["ID"]: each["MainDicomTags"] for each in rest("studies?expand")}
    counts: Counter[str] = Counter()
    for series in rest("series?expand"):
        uid = studies[series["ParentStudy"]]["StudyInstanceUID"]
        counts[uid] += len(series["Instances"])
    return counts


def outcome(node: NodeProcess, sent: list[Path]) -> dict[str, Any]:
    """How many acknowledged images have exactly one set of results, and what else was found."""
    wait(node.is_idle, 1800)
    time.sleep(1)
    sets = sets_in_orthanc()
    studies = [str(pydicom.dcmread(path).StudyInstanceUID) for path in sent]
    return {
        "acknowledged": len(studies),
        "with exactly one set": sum(sets[each] == OBJECTS for each in studies),
        "objects beside these": sum(sets.values()) - OBJECTS * len(studies),
        "failed": node.spool.count(State.FAILED),
    }


Moment = Callable[[int], Callable[[], None]]
"""A function of a life's number. It is called before the images of this life are sent, and gives a
function that returns when the node is to be killed."""


def kills(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The node is killed at random moments of its life."""
    moments = random.Random(options.seed)

    def moment(life: int) -> Callable[[], None]:
        return partial(time.sleep, moments.uniform(0, options.longest_life))

    with ForkedNode(folder / "node") as node:
        return _killed(folder, node, options.kills, options.kills, moment)


def kills_in_states(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The node is killed at random moments after it began to receive, compute or send, in turn."""
    moments = random.Random(options.seed)
    node = ForkedNode(folder / "node")
    spool, incoming = node.spool, node.spool.folder / "incoming"

    def received() -> int:
        return sum(map(spool.count, State))

    def computations() -> int:
        return sum(read_note(job).starts for state in State for job in spool.jobs(state))

    def moment(life: int) -> Callable[[], None]:
        jobs, starts, done = received(), computations(), spool.count(State.DONE)
        begun: tuple[tuple[Callable[[], bool], float], ...] = (
            # The folder of incoming images is used for milliseconds, and may be missed.
            (lambda: any(incoming.iterdir()) or received() > jobs, 0.02),
            (lambda: computations() > starts, 3.0),
            (lambda: spool.count(State.SENDING) > 0 or spool.count(State.DONE) > done, 0.2),
        )
        happened, longest = begun[life % len(begun)]

        def kill() -> None:
            # Images that the node holds, but whose acknowledgement a kill prevented, are received
            # again without a trace in the queue.
            with suppress(TimeoutError):
                wait(happened, 20, pause=0.002)
            time.sleep(moments.uniform(0, longest))

        return kill

    with node:
        return _killed(folder, node, options.state_kills, 2 * options.state_kills, moment)


def _killed(
    folder: Path, node: NodeProcess, count: int, images: int, moment: Moment
) -> list[dict[str, Any]]:
    waiting, sent = phantoms(folder / "chests", images, seed=0), []
    found: Counter[str] = Counter()
    with orthanc(folder):
        for life in range(count):
            node.start()
            until_kill = moment(life)
            sender = threading.Thread(
                target=lambda batch=waiting[:2]: sent.extend(acknowledged(batch, ONCE))
            )
            sender.start()
            until_kill()
            node.stop(signal.SIGKILL)
            sender.join()
            waiting = [path for path in waiting if path not in sent]
            found["receiving"] += any((node.spool.folder / "incoming").iterdir())
            received = node.spool.jobs(State.RECEIVED)
            found["computing"] += any(read_note(job).starts for job in received)
            found["sending"] += bool(node.spool.jobs(State.SENDING))
        node.start()
        sent += acknowledged(waiting, PATIENT)
        row = {"kills": count, **{f"while {k}": n for k, n in sorted(found.items())}}
        row |= outcome(node, sent)
        node.stop()
    return [row]


@contextmanager
def watched(node: NodeProcess) -> Iterator[list[float]]:
    """The node's memory, sampled while the block runs."""
    samples, stop = [node.megabytes()], threading.Event()

    def sample() -> None:
        while not stop.wait(0.2):
            samples.append(node.megabytes())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def idle(seconds: float = 20.0) -> str:
    """200 connections that say nothing."""
    connections = attacks.idle_connections(NODE, 200)
    time.sleep(seconds)
    ended = sum(attacks.ends(each) for each in connections)
    for each in connections:
        each.close()
    return f"{ended} of 200 connections were ended by the node"


def claimed_gigabytes() -> str:
    """50 PDUs that claim 4 GB."""
    ended = sum(attacks.claim_gigabytes(NODE) for _ in range(50))
    return f"{ended} of 50 connections were ended by the node"


@contextmanager
def associated() -> Iterator[Any]:
    """An association with the node, once an earlier attack holds no place any more."""
    deadline = time.monotonic() + 60
    while True:
        with attacks.associated(NODE, *TITLES) as association:
            if association.accepted_contexts or time.monotonic() > deadline:
                yield association
                return
        time.sleep(1)


def without_end() -> str:
    """An object that has no end."""
    with associated() as association:
        sent = attacks.send_without_end(association, 4 << 30)
    return f"ended by the node after {sent / 1e6:.0f} MB"


def deflated() -> str:
    """The transfer syntax of deflate bombs."""
    return "accepted" if attacks.takes_deflated(NODE, *TITLES) else "the node does not accept it"


def nested() -> str:
    """Sequences in sequences: acknowledged, and refused when it is computed."""
    with associated() as association:
        status = attacks.store_bytes(association, "2.25.9", attacks.nested_sequences(50_000))
    return f"status {status:04X}; its own job fails" if status is not None else "no answer"


def path_as_uid() -> str:
    """A path in place of a SOP Instance UID."""
    with associated() as association:
        status = attacks.store_bytes(association, "../../etc/cron.d/x", bytes(1000))
    return f"status {status:04X}" if status is not None else "no answer"


ATTACKS: dict[str, Callable[[], str]] = {
    "200 idle connections": idle,
    "PDUs that claim 4 GB": claimed_gigabytes,
    "an object without end": without_end,
    "a deflated object": deflated,
    "50,000 nested sequences": nested,
    "`../` as a UID": path_as_uid,
}


def attacked(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Each attack, while another sender sends an image."""
    images = phantoms(folder / "chests", len(ATTACKS), seed=1)
    rows, sent = [], []
    with NodeProcess(folder / "node") as node, orthanc(folder):
        node.start()
        for (name, attack), image in zip(ATTACKS.items(), images, strict=True):
            told: list[str] = []
            with watched(node) as samples:
                attacker = threading.Thread(target=lambda one=attack, to=told: to.append(one()))
                attacker.start()
                time.sleep(0.5)
                started = time.monotonic()
                sent += acknowledged([image], PATIENT)
                seconds = time.monotonic() - started
                attacker.join()
                time.sleep(2)
            rows.append(
                {
                    "attack": name,
                    "attacker": told[0],
                    "another sender's image acknowledged after (s)": round(seconds, 1),
                    "most memory (MB)": round(max(samples)),
                }
            )
        rows.append({"attack": "after all", "attacker": _told(outcome(node, sent))})
        node.stop()
    return rows


def _told(found: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in found.items())


def full_disk(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The queue lies on a disk of 64 MB, which another program fills."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], check=True)
    images, rows, sent = phantoms(folder / "chests", 40, seed=2), [], []
    filler = place / "filler"
    try:
        for least, spare in ((8, 4 << 20), (0, 100_000), (0, 0)):
            free = f"min_free_megabytes = {least}"
            with NodeProcess(place / f"node{len(rows)}", receive=free) as node, orthanc(folder):
                node.start()
                batch = images[:10]
                sent = acknowledged(batch[:5], ONCE)
                with filler.open("wb") as file:
                    size = max(0, shutil.disk_usage(place).free - spare)
                    _fill(file, size)
                while_full = acknowledged(batch[5:], ONCE)
                time.sleep(5)
                filler.unlink()
                sent += while_full
                sent += acknowledged([path for path in batch if path not in sent], PATIENT)
                row = {"min_free_megabytes": least, "free when full (kB)": spare // 1000}
                row |= {"acknowledged while full": len(while_full)} | outcome(node, sent)
                rows.append(row)
                node.stop()
            shutil.rmtree(folder / "archive")
            shutil.rmtree(node.folder)
    finally:
        subprocess.run(["umount", "-l", place], check=True)
    return rows


def _fill(file: Any, size: int) -> None:
    try:
        for _ in range(size // 4096):
            file.write(bytes(4096))
        file.flush()
    except OSError:
        return


def dead_destination(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Nothing listens at the destination for a while, and images keep coming."""
    images, sent = phantoms(folder / "chests", 30, seed=3), []
    with NodeProcess(folder / "node") as node:
        node.start()
        with watched(node) as samples:
            ends = time.monotonic() + options.dead_seconds
            while time.monotonic() < ends:
                if images:
                    sent += acknowledged([images.pop()], ONCE)
                time.sleep(options.dead_seconds / 40)
            waiting = node.spool.count(State.SENDING)
            with orthanc(folder):
                started = time.monotonic()
                row = {"seconds without a destination": options.dead_seconds, "waited": waiting}
                row |= outcome(node, sent)
                row["sent within (s)"] = round(time.monotonic() - started, 1)
        node.stop()
    return [row | {"most memory (MB)": round(max(samples))}]


def speed(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Images per minute from the first C-STORE to the last result in Orthanc."""
    count = options.images
    # Three findings are above their points in every image, as in a radiograph with three findings.
    points = {finding: float(at >= 3) for at, finding in enumerate(CHESTXRAY14)}
    model = write_network(folder / "resnet50.safetensors", "resnet50", 512, points)
    images = phantoms(folder / "chests", count + 1, seed=4, size=1024)
    seconds_of_forwards(model, 4, batch_size=1)  # warm
    bare = [seconds_of_forwards(model, count, batch_size=1)]
    under_test = NodeProcess(
        folder / "node", model=str(model), below_operating_point=False, workers=2
    )
    with under_test as node, orthanc(folder):
        node.start()
        acknowledged(images[:1], PATIENT)
        wait(lambda: node.spool.count(State.DONE) == 1, 900)
        delete_all()
        started = time.monotonic()
        acknowledged(images[1:], PATIENT)
        wait(lambda: len(rest("instances")) >= OBJECTS * count, 1800)
        seconds = time.monotonic() - started
        node.stop()
    bare.append(seconds_of_forwards(model, count, batch_size=1))
    forwards = sum(bare) / len(bare)
    return [
        {
            "images": count,
            "bare forward passes per minute": round(60 * count / forwards, 1),
            "images per minute, end to end": round(60 * count / seconds, 1),
            "ratio": round(forwards / seconds, 2),
            "threads": torch.get_num_threads(),
        }
    ]


PARTS: dict[str, Callable[[Path, argparse.Namespace], list[dict[str, Any]]]] = {
    "kills": kills,
    "kills-in-states": kills_in_states,
    "attacks": attacked,
    "disk": full_disk,
    "dead": dead_destination,
    "speed": speed,
}

HEADINGS = {
    "kills": "Killed (-9) at random moments. The node is forked off a process that has imported "
    "all modules. `while computing` counts the kills that found an image whose computation had "
    "begun, the others those that found an image in this state. To reach: exactly one set of "
    "results of every acknowledged image.",
    "kills-in-states": "Killed (-9) at random moments after it began to receive, to compute or to "
    "send, in turn.",
    "attacks": "Attacked. To reach: others are served, and the memory of the node and its worker "
    "stays below 2000 MB.",
    "disk": "On a full disk. To reach: what was acknowledged ends with its results.",
    "dead": "Without its destination. To reach: nothing is lost.",
    "speed": "Speed, ResNet-50 at 512 x 512 on phantoms of 1024 x 1024, two workers of one thread; "
    "bare forward passes, one image at a time on both cores, are the mean of before and after. "
    "Each image has three findings above their operating points, whose boxes are written. To "
    "reach: 0.8.",
}


def page(folder: Path, command: str) -> str:
    """The tables of all parts that were run, as Markdown."""
    text = f"# A node beside Orthanc\n\n`{command}`, {time.strftime('%Y-%m-%d')}.\n"
    for part in PARTS:
        if (folder / f"{part}.json").exists():
            table = (
                pd.DataFrame(json.loads((folder / f"{part}.json").read_text()))
                .astype(object)
                .fillna("")
            )
            text += f"\n{HEADINGS[part]}\n\n{table.to_markdown(index=False)}\n"
    return text


def main() -> None:
    """Run the parts, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--state-kills", type=int, default=25)
    parser.add_argument("--longest-life", type=float, default=6.0, help="Seconds after its start.")
    parser.add_argument("--dead-seconds", type=float, default=600.0)
    parser.add_argument("--images", type=int, default=40, help="For the speed.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("cxrloc-node-campaign"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if os.environ.get("CXRLOC_OWN_NETWORK") != "yes":
        command = subprocess.list2cmdline([sys.executable, *sys.argv])
        inside = f"ip link set lo up && CXRLOC_OWN_NETWORK=yes exec {command}"
        raise SystemExit(subprocess.run(["unshare", "-n", "-m", "sh", "-c", inside]).returncode)
    folder = options.folder.resolve()
    for part in options.parts:
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
        rows = PARTS[part](folder / part, options)
        (folder / f"{part}.json").write_text(json.dumps(rows))
        print(pd.DataFrame(rows).to_markdown(index=False), flush=True)
        shutil.rmtree(folder / part)
    if options.out:
        options.out.write_text(page(folder, " ".join(["python", *sys.argv])))


if __name__ == "__main__":
    main()
