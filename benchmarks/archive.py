"""An archive's engines: speed, kills, lost machines, memory, poison, and what 10^8 images cost.

    python benchmarks/archive.py headers stages bare local ray     with a model, on phantoms
    python benchmarks/archive.py kills-local kills-ray nodes flat-local flat-ray poison-local
    python benchmarks/archive.py costs                             computed from the rates so far

Each measurement prints its numbers and adds them to `--numbers`, out of which `costs` makes its
table. Phantoms are DICOM files of 1024 x 1024, linked under many names. Measurements of the second
line replace reading and model by stubs (`archive_stubs.py`), so that they test the engines alone.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import archive_stubs
import pyarrow
import pyarrow.parquet as parquet

from cxrloc.archive.engines import ENGINES
from cxrloc.archive.isolation import Item
from cxrloc.archive.manifest import ManifestOptions, write_manifest
from cxrloc.archive.plan import make_plan, uris_of
from cxrloc.archive.results import complete_parts
from cxrloc.archive.steps import Resources
from cxrloc.archive.tables import PartWriter
from cxrloc.phantom import write_phantoms

DIFFERENT = 40
CORES = len(os.sched_getaffinity(0))
Options = argparse.Namespace
Numbers = dict[str, Any]


def stub_manifest(folder: Path, uris: list[str]) -> Path:
    """A manifest of these URIs."""
    path = folder / f"stubs-{len(uris)}.parquet"
    parquet.write_table(pyarrow.table({"uri": uris}), path, row_group_size=10_000)
    return path


def stub_command(*arguments: object) -> list[str]:
    """The command line of `stub_run`."""
    return [sys.executable, str(Path(archive_stubs.__file__)), *map(str, arguments)]


# Tables.


def rows_of(out: Path, table: str) -> list[Any]:
    """The rows of a table over all parts, sorted."""
    parts = [parquet.read_table(path) for path in sorted(out.glob(f"part-*/{table}.parquet"))]
    return sorted(pyarrow.concat_tables(parts).to_pylist(), key=str)


def same_tables(one: Path, other: Path) -> bool:
    """Whether all tables have the same rows, none twice and none missing."""
    tables = ("findings", "boxes", "failures")
    return all(rows_of(one, table) == rows_of(other, table) for table in tables)


# Measurements with a model.


def radiographs(folder: Path, count: int) -> Path:
    """The manifest of a folder of phantoms, `count` names of `DIFFERENT` files."""
    images, manifest = folder / f"images-{count}", folder / f"manifest-{count}.parquet"
    if not manifest.exists():
        if not (folder / "made").exists():
            shutil.rmtree(folder / "making", ignore_errors=True)  # of a run that was interrupted
            write_phantoms(folder / "making", DIFFERENT, 0, "dicom", size=1024)
            (folder / "making").rename(folder / "made")
        originals = sorted((folder / "made/images").glob("*.dcm"))
        shutil.rmtree(images, ignore_errors=True)
        images.mkdir()
        for index in range(count):
            os.link(originals[index % DIFFERENT], images / f"{index:06d}.dcm")
        write_manifest([str(images)], manifest, ManifestOptions(clear_ids=True))
    return manifest


def headers(folder: Path, options: Options) -> Numbers:
    """The header walk from a warm disk; the best of three walks."""
    radiographs(folder, options.headers)
    places, out = [str(folder / f"images-{options.headers}")], folder / "walk.parquet"
    seconds, processor = [], []
    for _ in range(3):
        started, used = time.perf_counter(), time.process_time()
        write_manifest(places, out, ManifestOptions(clear_ids=True))
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return {
        "files": options.headers,
        "headers_per_second": options.headers / min(seconds),
        "processor_ms_per_header": 1000 * min(processor) / options.headers,
    }


def stages(folder: Path, options: Options) -> Numbers:
    """Processor milliseconds of each step per image, in one thread, and bytes of the tables."""
    import torch

    from cxrloc.archive import image_steps as steps
    from cxrloc.archive.reading import prepare_reading
    from cxrloc.inference.prepared import InferenceSettings
    from cxrloc.models.described import description_of

    torch.set_num_threads(1)
    own = steps.ArchiveOptions((options.model,), inference=InferenceSettings(device="cpu"))
    out = folder / "stages"
    manifest = radiographs(folder, DIFFERENT)
    part = next(make_plan(str(manifest), DIFFERENT).parts())
    items = [Item(n, uri, 0.0) for n, uri in enumerate(uris_of(str(manifest), part))]
    described = [description_of(steps.read_model(options.model))]
    read = prepare_reading(described, own.max_megapixels, keep_pixels=False, device="cpu")
    network = steps.prepare_network(own, str(out), "cpu")
    network([items[0]._replace(value=read(items[:1])[0])])  # the first pass is slower
    milliseconds: Numbers = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        started = time.process_time()
        made = function()
        milliseconds[f"{name}_ms"] = 1000 * (time.process_time() - started) / len(items)
        return made

    inputs = timed("read", partial(read, items))
    prepared = [item._replace(value=value) for item, value in zip(items, inputs, strict=True)]
    rows = timed("network", partial(network, prepared))
    done = [item._replace(value=value) for item, value in zip(items, rows, strict=True)]
    timed("write", partial(PartWriter(str(out)), part, done))
    run, tensors = steps.read_model(options.model).network, tensors_of(prepared)
    with torch.inference_mode():
        timed("bare", lambda: [run(tensor) for tensor in tensors])
    size = sum(path.stat().st_size for path in (out / part.name).iterdir())
    return {**milliseconds, "table_bytes": size / len(items)}


def tensors_of(prepared: list[Item]) -> list[Any]:
    """The inputs of the first model."""
    import torch

    return [torch.from_numpy(item.value.inputs[0][0])[None] for item in prepared]


def bare(folder: Path, options: Options) -> Numbers:
    """Wall time of bare forward passes: a process with one thread on each core."""
    share = options.images // CORES
    each = [sys.executable, __file__, "bare-run", options.model, str(share)]
    running = [subprocess.Popen(each, stdout=subprocess.PIPE, text=True) for _ in range(CORES)]
    seconds = [float(process.communicate()[0]) for process in running]
    return {"images": share * CORES, "seconds": max(seconds)}


def bare_run(name: str, count: str) -> None:
    """Print the seconds of forward passes of one process."""
    import torch

    from cxrloc.models.weights import read_model

    torch.set_num_threads(1)
    model = read_model(name)
    channels, size = len(model.preprocessing.mean), model.preprocessing.size
    image = torch.zeros(1, channels, size, size)
    with torch.inference_mode():
        model.network(image)
        started = time.perf_counter()
        for _ in range(int(count)):
            model.network(image)
    print(time.perf_counter() - started)


def engine(name: str, folder: Path, options: Options) -> Numbers:
    """Seconds that an engine takes for all images, with its start and without it.

    The time without the start is extrapolated from what all images take beyond a tenth of them.
    """
    tenth = options.images // 10
    few, whole = (_engine_seconds(name, folder, options, n) for n in (tenth, options.images))
    seconds = (whole - few) * options.images / (options.images - tenth)
    return {"images": options.images, "seconds_with_start": whole, "seconds": seconds}


def _engine_seconds(name: str, folder: Path, options: Options, images: int) -> float:
    manifest, out = radiographs(folder, images), folder / name
    shutil.rmtree(out, ignore_errors=True)
    run = [
        *(sys.executable, "-m", "cxrloc", "archive", str(manifest), "--out", str(out), "--quiet"),
        *("--model", options.model, "--part-size", str(options.images // 10), "--device", "cpu"),
        *("--engine", name),
    ]
    started = time.perf_counter()
    subprocess.run(run, check=True)
    return time.perf_counter() - started


# Measurements of the engines with stubs.


def kills(name: str, folder: Path, options: Options) -> Numbers:
    """Kill a process of a run at a random moment, repeat the command, and compare the tables."""
    manifest = stub_manifest(folder, [f"good-{n:06d}" for n in range(400)])
    whole, out = folder / "whole", folder / f"killed-{name}"
    shutil.rmtree(whole, ignore_errors=True)
    archive_stubs.stub_run(str(manifest), str(whole), "local", "0", "20")
    run = stub_command(manifest, out, name, 20, 20)
    seconds = _seconds(run, out)
    draw, killed, wrong = random.Random(options.seed), dict[str, int](), 0
    while sum(killed.values()) < options.kills:
        process = subprocess.Popen(run, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(draw.uniform(0.1, 0.9) * seconds)
        if process.poll() is None:
            kinds = _victims(process.pid)
            kind = draw.choice(sorted(kinds))
            with suppress(ProcessLookupError):
                os.kill(draw.choice(kinds[kind]), signal.SIGKILL)
                killed[kind] = killed.get(kind, 0) + 1
        process.wait()
        if len(complete_parts(str(out))) == 20:  # the run was finished in spite of its kills
            wrong += not same_tables(whole, out)
            shutil.rmtree(out)
    subprocess.run(run, check=True)
    return {"kills": killed, "equal": same_tables(whole, out) and not wrong}


def _seconds(run: list[str], out: Path) -> float:
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    subprocess.run(run, check=True)
    shutil.rmtree(out)
    return time.perf_counter() - started


def _below(pid: int) -> list[int]:
    """The processes below a process."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    found, front = list[int](), [pid]
    while front:
        front = [child for parent in front for child in children.get(parent, [])]
        found += front
    return found


def _victims(pid: int) -> dict[str, list[int]]:
    """The processes of a run by their kinds."""
    kinds: dict[str, list[int]] = {"driver": [pid]}
    for each in _below(pid):
        with suppress(OSError):
            line = Path(f"/proc/{each}/cmdline").read_bytes()
            kind = "worker" if b"spawn_main" in line or line.startswith(b"ray::") else ""
            kind = "raylet" if line.split(b"\0")[0].endswith(b"/raylet") else kind
            if kind:
                kinds.setdefault(kind, []).append(each)
    return kinds


def nodes(folder: Path, options: Options) -> Numbers:
    """Two nodes of a Ray cluster on this machine, one of which is killed in the middle."""
    from ray.cluster_utils import Cluster

    manifest = stub_manifest(folder, [f"good-{n:06d}" for n in range(2000)])
    parts = [*make_plan(str(manifest), 100).parts()]
    whole, out = folder / "whole-nodes", folder / "nodes"
    for place in (whole, out):
        shutil.rmtree(place, ignore_errors=True)
    archive_stubs.stub_run(str(manifest), str(whole), "local", "0", "100")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    second = cluster.add_node(num_cpus=2)
    steps = archive_stubs.stub_steps(manifest, out, 10)
    killed_after = 0
    for done, _ in enumerate(
        ENGINES["ray"](parts, steps, Resources(2, ("cpu",), cluster.address)), 1
    ):
        if not killed_after and done >= len(parts) // 3:
            cluster.remove_node(second, allow_graceful=False)
            killed_after = done
    cluster.shutdown()
    return {"parts": len(parts), "killed_after": killed_after, "equal": same_tables(whole, out)}


def flat(name: str, folder: Path, options: Options) -> Numbers:
    """Memory of all processes of a run, and its wall time per image."""
    manifest = stub_manifest(folder, [f"good-{n:08d}" for n in range(options.rows)])
    out = folder / f"flat-{name}"
    shutil.rmtree(out, ignore_errors=True)
    process = subprocess.Popen(stub_command(manifest, out, name, 0, options.rows // 20))
    samples: list[tuple[float, float]] = []

    def watch() -> None:
        while process.poll() is None:
            megabytes = sum(map(_megabytes, [process.pid, *_below(process.pid)]))
            samples.append((len(complete_parts(str(out))) / 20, megabytes))
            time.sleep(1.0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if process.wait():
        raise SystemExit("the run failed")
    watcher.join()
    middle = [megabytes for share, megabytes in samples if 0.2 <= share < 0.5]
    late = [megabytes for share, megabytes in samples if 0.7 <= share < 1.0]
    cards = [json.loads(path.read_text()) for path in out.glob("part-*/_part.json")]
    ends = sorted(card["started"] + card["seconds"] for card in cards)
    return {
        "rows": options.rows,
        "megabytes_middle": sum(middle) / max(len(middle), 1),
        "megabytes_late": sum(late) / max(len(late), 1),
        "ms_per_image": 1000 * (ends[-1] - ends[0]) / (options.rows * 19 / 20),
    }


def _megabytes(pid: int) -> float:
    """A process's share of the memory (proportional set size)."""
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.split("\nPss:")[1].split()[0]) / 1024
    return 0.0


def poison(name: str, folder: Path, options: Options) -> Numbers:
    """One image in 200 is poisonous: each costs one row of failures, and all others are done."""
    kinds = ("truncated", "hang", "abort", "claim")
    bad = {at: f"{kinds[n % 4]}-{at}" for n, at in enumerate(range(100, 2000, 200))}
    uris = [bad.get(n, f"good-{n}") for n in range(2000)]
    manifest, out = stub_manifest(folder, uris), folder / f"poison-{name}"
    shutil.rmtree(out, ignore_errors=True)
    archive_stubs.stub_run(str(manifest), str(out), name, "0", "500")
    failed = sorted(row["uri"] for row in rows_of(out, "failures"))
    found = {row["uri"] for row in rows_of(out, "findings")}
    return {
        "images": len(uris),
        "poisonous": len(bad),
        "one_row_each": failed == sorted(bad.values()),
        "others_done": found == set(uris) - set(bad.values()),
    }


# Costs.


def costs(numbers: Numbers, options: Options) -> str:
    """The table of costs, as Markdown.

    Requests are one per image that is read, four per part that is written, and those that list what
    is done. The driver's rate and memory are those of `flat-ray`; without it both are left open.
    """
    own, flat_ray = numbers["stages"], numbers.get("flat-ray", {})
    read, network = own["read_ms"] / 1000, own["network_ms"] / 1000
    boxes = network - own["bare_ms"] / 1000  # on a processor, in the process that has the GPU
    driver = {"driver": 1000 / flat_ray["ms_per_image"]} if flat_ray else {}
    memory = f"{flat_ray['megabytes_late']:,.0f} MB" if flat_ray else "not measured"
    places = {
        f"{n} GPU": {
            "network": n * options.gpu_rate,
            "reading": n * options.readers / read,
            "boxes": n / boxes,
        }
        for n in (1, 8, 64)
    }
    places |= {f"{n} cores": {"processor": n / (read + network)} for n in (64, 256, 1024)}
    lines = [
        "| on | images | hours | first bottleneck | parts | files | requests | tables | memory |",
        "|---|---:|---:|---|---:|---:|---:|---:|---|",
    ]
    for place, of_steps in places.items():
        rates = {**of_steps, **driver}
        first = min(rates, key=lambda name: rates[name])
        for images in (10**6, 10**7, 10**8):
            parts = images // 10_000
            cells = [
                *(place, f"{images:,}", f"{images / rates[first] / 3600:,.1f}"),
                *(f"{first}, {rates[first]:,.0f} per s", f"{parts:,}", f"{4 * parts:,}"),
                f"{images + 4 * parts + max(1, 4 * parts // 1000):,}",
                *(f"{images * own['table_bytes'] / 1e9:,.1f} GB", memory),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


MEASUREMENTS: dict[str, Callable[[Path, Options], Numbers]] = {
    "headers": headers,
    "stages": stages,
    "bare": bare,
    "local": partial(engine, "local"),
    "ray": partial(engine, "ray"),
    "kills-local": partial(kills, "local"),
    "kills-ray": partial(kills, "ray"),
    "nodes": nodes,
    "flat-local": partial(flat, "local"),
    "flat-ray": partial(flat, "ray"),
    "poison-local": partial(poison, "local"),
    "poison-ray": partial(poison, "ray"),
}


def main() -> None:
    """Run the measurements that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", choices=[*MEASUREMENTS, "costs"])
    parser.add_argument("--model", default="nih-small-v4")
    parser.add_argument("--images", type=int, default=2000, help="of bare, local and ray")
    parser.add_argument("--headers", type=int, default=20_000, help="files of the header walk")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of flat-local and flat-ray")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu-rate", type=float, default=1000, help="images per second, assumed")
    parser.add_argument("--readers", type=int, default=16, help="reading cores per GPU, assumed")
    parser.add_argument("--folder", type=Path, default=Path("cxrloc-benchmark-archive"))
    parser.add_argument("--numbers", type=Path, default=Path("archive-numbers.json"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        numbers = json.loads(options.numbers.read_text()) if options.numbers.exists() else {}
        if name == "costs":
            print(costs(numbers, options))
            continue
        numbers[name] = MEASUREMENTS[name](options.folder.absolute(), options)
        print(name, json.dumps(numbers[name]), flush=True)
        options.numbers.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare-run"]:
        bare_run(*sys.argv[2:])
    else:
        main()
