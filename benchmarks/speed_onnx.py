"""Times the default model by onnxruntime against torch: one image, and the command from its start.

    OMP_NUM_THREADS=1 python benchmarks/speed_onnx.py --threads 1

Both take turns. The first row is the network with its maps; the second one is
`cxrloc heatmap one.dcm` from the start of the process until its files are written. Variable and
option hold for torch alone: onnxruntime always uses all cores, so compare processor times.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch

from cxrloc.exported.forward import ExportedForward
from cxrloc.exported.graph import read_embedded_graph
from cxrloc.models.names import DEFAULT_MODEL
from cxrloc.models.weights import read_model
from cxrloc.phantom import write_phantoms


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--rounds", type=int, default=40, help="of the network")
    parser.add_argument("--starts", type=int, default=7, help="of the command")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| what | onnxruntime, ms | torch, ms | ratio | its CPU, ms | torch's CPU, ms | ratio |")
    print("|---|---|---|---|---|---|---|")
    print(row("network and maps of an image", *network(), options.rounds))
    with TemporaryDirectory() as folder:
        print(row("command, from start to files", *command(Path(folder)), options.starts))


def network() -> tuple[Callable[[], object], Callable[[], object]]:
    """The network with its maps of one image, by onnxruntime and by torch."""
    graph, forward = read_embedded_graph(DEFAULT_MODEL), ExportedForward(read_model(DEFAULT_MODEL))
    size = graph.preprocessing.size
    grey = np.random.default_rng(0).random((1, size, size), dtype=np.float32)
    forward.eval()

    def by_torch() -> object:
        with torch.inference_mode():
            return forward(torch.from_numpy(grey))

    return lambda: graph.run(grey), by_torch


def command(folder: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """The command on one DICOM file, by onnxruntime and by torch."""
    write_phantoms(folder / "chests", n=1, seed=0, file_format="dicom")

    def start(backend: str) -> object:
        words = ["heatmap", str(folder / "chests/images"), "--backend", backend, "--overwrite"]
        words += ["--out", str(folder / backend)]
        return subprocess.run(
            [sys.executable, "-m", "cxrloc", *words], check=True, capture_output=True
        )

    return lambda: start("onnx"), lambda: start("torch")


def row(what: str, one: Callable[[], object], other: Callable[[], object], rounds: int) -> str:
    """A row of the table: medians after one round that does not count."""
    wall: tuple[list[float], list[float]] = ([], [])
    cpu: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for index, run in enumerate((one, other)):
            start, used = perf_counter(), sum(os.times()[:4])  # of this process and its children
            run()
            wall[index].append(1000 * (perf_counter() - start))
            cpu[index].append(1000 * (sum(os.times()[:4]) - used))
    numbers = [median(own[1:]) for own in (*wall, *cpu)]
    cells = [f"{number:.0f}" for number in numbers]
    ratios = [f"{numbers[1] / numbers[0]:.1f} x", f"{numbers[3] / numbers[2]:.1f} x"]
    return f"| {' | '.join([what, *cells[:2], ratios[0], *cells[2:], ratios[1]])} |"


if __name__ == "__main__":
    main()
