"""Whole commands: `cxrloc heatmap FOLDER` against its bare forward passes, memory, and starts.

    python benchmarks/speed_commands.py                     all three tables
    python benchmarks/speed_commands.py --images 20         a quick look
    python benchmarks/speed_commands.py --memory-images 0   leave the memory table out

The folder holds 12-bit uncompressed DICOM files of 2544 x 3056 pixels (ten different ones, linked
under many names); the network is ResNet-50 at 512 x 512 with random weights, 14 findings.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom
import torch
from pydicom.uid import ExplicitVRLittleEndian

from cxrloc.files.run_folder import Destination
from cxrloc.findings import CHESTXRAY14
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.prepared import Failure, InferenceSettings
from cxrloc.models.card import ModelCard
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.weights import read_model, write_model
from cxrloc.phantom import make_phantom, write_phantoms
from cxrloc.pipeline.heatmap import HeatmapOptions, heatmap

ROWS, COLUMNS, DIFFERENT = 3056, 2544, 10


def write_radiographs(folder: Path, count: int) -> Path:
    """Write large DICOM files, linked under `count` names."""
    write_phantoms(folder / "small", DIFFERENT, seed=0, file_format="dicom", size=256)
    originals = []
    for index, path in enumerate(sorted((folder / "small/images").iterdir())):
        dataset = pydicom.dcmread(path)
        dataset.Rows, dataset.Columns = ROWS, COLUMNS
        small = make_phantom(0, index, 256).pixels
        large = small[np.arange(ROWS)[:, None] * 256 // ROWS, np.arange(COLUMNS) * 256 // COLUMNS]
        dataset.PixelData = np.round(large * 4095).astype("<u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        originals.append(folder / f"large{index}.dcm")
        dataset.save_as(originals[-1])
    images = folder / "images"
    images.mkdir()
    for index in range(count):
        os.link(originals[index % DIFFERENT], images / f"{index:05d}.dcm")
    return images


def write_network(
    path: Path, backbone: str, size: int, operating_points: Mapping[str, float] | None = None
) -> Path:
    """Write a checkpoint with random weights."""
    torch.manual_seed(0)
    network = Localizer(LocalizerConfig(backbone, CHESTXRAY14))
    card = ModelCard(
        name=backbone,
        trained_on="nothing",
        findings=CHESTXRAY14,
        operating_points=dict(operating_points or {}),
    )
    write_model(path, network, Preprocessing(size=size), card)
    return path


def seconds_of_heatmap(images: Path, model: Path, out: Path) -> float:
    """Seconds of the function that `cxrloc heatmap` calls."""
    options = HeatmapOptions(models=(str(model),), inference=InferenceSettings(batch_size=8))
    start = time.perf_counter()
    for result in heatmap([images], Destination(out), options):
        if isinstance(result, Failure):
            raise SystemExit(f"{result.image_id}: {result.reason}")
    return time.perf_counter() - start


def seconds_of_forwards(model: Path, images: int, batch_size: int = 8) -> float:
    """Seconds of the forward passes alone, for as many images and with the same batch size."""
    network = read_model(model).network
    total = 0.0
    for first in range(0, images, batch_size):
        batch = torch.zeros(min(batch_size, images - first), 1, 512, 512)
        start = time.perf_counter()
        with torch.no_grad():
            network(batch)
        total += time.perf_counter() - start
    return total


def end_to_end(folder: Path, count: int) -> None:
    """The ratio of the whole command to its forward passes."""
    images = write_radiographs(folder, count)
    model = write_network(folder / "resnet50.safetensors", "resnet50", 512)
    seconds_of_forwards(model, 8)  # warm
    forwards = [seconds_of_forwards(model, count)]
    whole = seconds_of_heatmap(images, model, folder / "out")
    forwards.append(seconds_of_forwards(model, count))
    bare = statistics.mean(forwards)
    print(f"\n| {count} files, ResNet-50, 512 px, {torch.get_num_threads()} threads | seconds |")
    print("|---|---|")
    print(f"| bare forward passes, mean of before and after | {bare:.1f} |")
    print(f"| `cxrloc heatmap`, pictures included | {whole:.1f} |")
    print(f"| ratio | {whole / bare:.2f} |")


def memory(folder: Path, count: int) -> None:
    """Resident memory while a small network processes a folder of many images."""
    folder.mkdir()
    images = write_radiographs(folder, count)
    model = write_network(folder / "small.safetensors", "small_resnet", 256)
    options = HeatmapOptions(models=(str(model),))
    print("\n| images done | resident memory, MB |\n|---|---|")
    for done, _ in enumerate(heatmap([images], Destination(folder / "out"), options), start=1):
        if done % max(1, count // 10) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            print(f"| {done} | {pages * os.sysconf('SC_PAGE_SIZE') / 1e6:.0f} |", flush=True)


CXRLOC = "import sys; sys.argv = ['cxrloc', *{}]; from cxrloc.cli import app; app()"


def against(title: str, base: str, program: str, rounds: int, status: int = 0) -> None:
    """Print the median time of a program and of what it is compared with, run in turn."""
    seconds: dict[str, list[float]] = {base: [], program: []}
    for _ in range(rounds):
        for code, times in seconds.items():
            start = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
            times.append(time.perf_counter() - start)
            if done.returncode != (status if code == program else 0):
                raise SystemExit(done.stderr.decode())
    bare, whole = (statistics.median(times) for times in seconds.values())
    print(f"| {title} | {bare:.2f} | {whole:.2f} | {whole / bare:.2f} |", flush=True)


def starts(folder: Path, rounds: int) -> None:
    """How long commands take to start, against what they cannot do without."""
    write_phantoms(folder / "one", 1, seed=0, file_format="dicom", size=256)
    image = str(next((folder / "one/images").iterdir()))
    heatmap_of_one = ["heatmap", image, "--out", str(folder / "one/out"), "--overwrite"]
    print("\n| median seconds | of what it needs | of the command | ratio |\n|---|---|---|---|")
    against("`--help` / import typer", "import typer", CXRLOC.format(["--help"]), rounds)
    against(
        "`heatmap one.dcm` / import torch and torchvision",
        "import torch, torchvision",
        CXRLOC.format(heatmap_of_one),
        rounds,
    )
    version, missing = CXRLOC.format(["--version"]), CXRLOC.format(["heatmap", "/no/such.dcm"])
    against("a missing file / `--version`", version, missing, rounds, status=1)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--memory-images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9, help="of each start")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        starts(Path(folder), arguments.rounds)
        if arguments.images:
            end_to_end(Path(folder), arguments.images)
        if arguments.memory_images:
            memory(Path(folder) / "memory", arguments.memory_images)


if __name__ == "__main__":
    main()
