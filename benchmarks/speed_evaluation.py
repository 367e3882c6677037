"""How long scoring takes: `python benchmarks/speed_evaluation.py CHESTXRAY14_FOLDER`.

Prints a Markdown table: the command `cxrloc bench FOLDER --detections CSV`, from its start to its
end, on all expert boxes of the folder with every table, controls and 1,000 bootstrap samples (to
take 10 s at most), its parts, and the bootstrap beside a plain loop over resamples that gathers
every drawn patient's boxes anew.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cxrloc.datasets import read_dataset
from cxrloc.datasets.boxes import read_detections
from cxrloc.evaluation.localization.accuracy import (
    PUBLISHED_RULES,
    BoxCounts,
    accuracy_metric,
    count_boxes,
)
from cxrloc.evaluation.localization.measure import sample
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scored_pairs import ScoredPairs, place_detections, scored_pairs
from cxrloc.evaluation.localization.scores import score_localization
from cxrloc.evaluation.resampling import Resampling, resample_group
from cxrloc.pipeline.bench import BenchOptions, bench
from cxrloc.types import Affine, Heatmaps, Record

BOXES_PER_PAIR, GRID, RESAMPLES, REPEATS = 5, 16, 1000, 5


def write_detections(records: list[Record], path: Path) -> None:
    """Write boxes at random places, about as many as the box rule makes."""
    generator = np.random.default_rng(0)
    pairs = [(r.image_id, a.finding) for r in records for a in r.annotations]
    frame = pd.DataFrame(pairs * BOXES_PER_PAIR, columns=pd.Index(["image", "finding"]))
    corner = generator.uniform(0, 800, (len(frame), 2))
    frame[["x_min", "y_min"]] = corner
    frame[["x_max", "y_max"]] = corner + generator.uniform(20, 220, (len(frame), 2))
    frame.to_csv(path, index=False)


def random_heatmaps(records: list[Record]) -> list[Heatmaps]:
    """One random map per annotated pair; the content of a map does not affect the speed."""
    generator = np.random.default_rng(0)
    to_image = Affine(xx=1024 / GRID, yy=1024 / GRID)
    return [
        Heatmaps(r.image_id, (a.finding,), generator.random((1, GRID, GRID)), to_image, 1024, 1024)
        for r in records
        for a in r.annotations
    ]


def command(folder: Path, path: Path) -> None:
    """Run `cxrloc bench --detections` as a process of its own, including imports and files."""
    program = "from cxrloc.cli import app; app()"
    arguments = ["bench", folder, "--detections", path, "--out", path.parent / "out", "--quiet"]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)


def product_bootstrap(pairs: ScoredPairs, counts: BoxCounts) -> np.ndarray:
    """Our bootstrap: one matrix product of the counts per patient and the draws of each patient."""
    everyone = np.ones(pairs.patients, dtype=bool)
    draws = resample_group(counts.annotated > 0, everyone, Resampling(RESAMPLES))
    (sampled,) = sample([accuracy_metric(pairs, counts, PUBLISHED_RULES)], draws)
    return sampled.distribution


def loop_bootstrap(counts: BoxCounts) -> np.ndarray:
    """The plain bootstrap: draw patients, stack the rows of these patients, and count."""
    generator = np.random.default_rng(0)
    patients = len(counts.annotated)
    values = []
    for _ in range(RESAMPLES):
        drawn = generator.integers(0, patients, patients)
        values.append(counts.hit[drawn].sum(axis=0) / counts.annotated[drawn].sum(axis=0))
    return np.array(values)


def seconds(*functions: Callable[[], object]) -> list[float]:
    """Median seconds of each function; the functions are run in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(REPEATS):
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="ChestX-ray14 in its published layout")
    folder = parser.parse_args().folder
    records = [record for record in read_dataset(folder) if record.annotations]
    heatmaps = random_heatmaps(records)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "detections.csv"
        write_detections(records, path)
        detections = read_detections(path)
        pairs = scored_pairs(records)
        counts = count_boxes(pairs, place_detections(pairs, detections)[0], PUBLISHED_RULES)
        options, scored = BenchOptions((), detections=path), path.parent / "scored"
        before = os.times()
        whole, flow, reading = seconds(
            lambda: command(folder, path),
            lambda: bench(folder, scored, options),
            lambda: read_dataset(folder),
        )
        after = os.times()
        spent = after.children_user + after.children_system
        spent = (spent - before.children_user - before.children_system) / REPEATS
        (with_maps,) = seconds(
            lambda: score_localization(records, detections, ScoringProtocol(), heatmaps)
        )
        product, loop = seconds(
            lambda: product_bootstrap(pairs, counts), lambda: loop_bootstrap(counts)
        )
    print(f"{len(pairs.truth)} expert boxes, {len(detections)} detections, {RESAMPLES} resamples\n")
    grid = f"{GRID} x {GRID}"
    print("| what | seconds | against | ratio |\n|---|---|---|---|")
    print(f"| the command, start to end | {whole:.2f} | 10 s | {whole / 10:.2f} |")
    print(f"| its CPU time | {spent:.2f} | 10 s | {spent / 10:.2f} |")
    print(f"| of that, all but the imports | {flow:.2f} | the whole | {flow / whole:.2f} |")
    print(f"| of that, reading the folder | {reading:.2f} | the whole | {reading / whole:.2f} |")
    print(f"| with {grid} maps: all controls | {with_maps:.2f} | 10 s | {with_maps / 10:.3f} |")
    print(
        f"| bootstrap of one table | {product:.3f} | loop: {loop:.3f} s | {loop / product:.1f} x |"
    )


if __name__ == "__main__":
    main()
