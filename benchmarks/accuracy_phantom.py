"""Wang's poolings and losses on phantoms: AUC per finding, as a table and a figure.

    python benchmarks/accuracy_phantom.py OUT            one pooling or loss varied at a time
    python benchmarks/accuracy_phantom.py OUT --grid     every pooling with every loss

Wang et al. 2017, section 4: table 3 (losses) and figures 5 and 6 (networks, poolings), with a small
ResNet from scratch at 128 pixels on synthetic radiographs; AUC on fresh phantoms of another seed.
Which choice is best there says nothing about patients; that all of them learn, and that shuffled
labels teach nothing, says that the parts work. Writes OUT/auc.csv (a row per run, which a later
call does not train again), OUT/accuracy_phantom.md and OUT/accuracy_phantom.png. About 20 minutes
on two idle cores, an hour with --grid.
"""

import argparse
import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cxrloc.datasets.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.evaluation.classification.ranking import auc
from cxrloc.findings import CHESTXRAY8
from cxrloc.inference.batches import Failure, Image, InferenceSettings
from cxrloc.inference.predict import gather, predict
from cxrloc.models.weights import read_model
from cxrloc.panels.figure_files import write_figure
from cxrloc.panels.plots import (
    FigureRequest,
    add_legend,
    figure_style,
    free_axes,
    letter_axes,
    line_of,
)
from cxrloc.pipeline.train import TrainOptions, TrainWatch, train
from cxrloc.types import Label, Radiograph

POOLINGS = ("average", *(f"lse {r}" for r in ("0.1", "0.5", "1", "5", "8", "10", "12")), "max")
LOSSES = ("hinge", "euclidean", "cel", "w_cel")
BEST = ("lse 10", "w_cel")
"""The paper's own choice, from which one is varied at a time."""

TEST_SEED, TEST_IMAGES, SIZE = 78, 600, 128

RECIPE = """
extends = "phantom"
title = "{pooling}, {loss}, {labels} labels"
[data]
shuffle_labels = {shuffled}
[data.phantom]
training_images = {images}
validation_images = 200
[preprocessing]
size = {size}
[network]
pooling = "{kind}"
lse_r = {r}
[fit]
loss = "{loss}"
steps = {steps}
validate_every = {steps}
precision = "fp32"
"""


class Row(NamedTuple):
    """One run: "lse 10" is LSE pooling with r = 10."""

    pooling: str
    loss: str
    labels: str = "true"


def rows(grid: bool) -> list[Row]:
    """The runs; the last is the control with shuffled labels."""
    if grid:
        chosen = [Row(*pair) for pair in itertools.product(POOLINGS, LOSSES)]
    else:
        chosen = [Row(pooling, BEST[1]) for pooling in POOLINGS]
        chosen += [Row(BEST[0], loss) for loss in LOSSES if loss != BEST[1]]
    return [*chosen, Row(*BEST, "shuffled")]


def trained(row: Row, out: Path, images: int, steps: int) -> Path:
    """Train one row, or go on with it."""
    name = "-".join(row).replace(" ", "_")
    kind, _, r = row.pooling.partition(" ")
    text = RECIPE.format(
        pooling=row.pooling,
        loss=row.loss,
        labels=row.labels,
        shuffled=str(row.labels == "shuffled").lower(),
        images=images,
        size=SIZE,
        kind=kind,
        r=float(r or 10),
        steps=steps,
    )
    recipe = out / "runs" / f"{name}.toml"
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(text)
    options = TrainOptions(str(recipe), resume=True, device="cpu", cache=out / "cache")
    watch = TrainWatch(decoding=iter, data=lambda data: None, moment=lambda moment: None)
    return train(out / "runs" / name, options, watch).model


def test_phantom(index: int) -> Radiograph:
    """A phantom as a reader would give it."""
    phantom = make_phantom(TEST_SEED, index, SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)


def areas(model: Path) -> dict[str, float]:
    """AUC of each finding on the fresh phantoms, and their mean."""
    records = [phantom_record(plan_phantom(TEST_SEED, i), SIZE) for i in range(TEST_IMAGES)]
    images = [Image(r.image_id, partial(test_phantom, i)) for i, r in enumerate(records)]
    seen = [*predict([read_model(model)], images, InferenceSettings(device="cpu", batch_size=24))]
    scores = gather([each for each in seen if not isinstance(each, Failure)], CHESTXRAY8)
    truth = np.array([[r.labels[f] is Label.POSITIVE for f in CHESTXRAY8] for r in records])
    own = {f: auc(truth[:, j], scores.probabilities[:, j]) for j, f in enumerate(CHESTXRAY8)}
    known = {finding: area for finding, area in own.items() if area is not None}
    return {**known, "mean": float(np.mean([*known.values()]))}


def measured(out: Path, grid: bool, images: int, steps: int) -> Iterator[dict[str, str | float]]:
    """A row per run, those of before first read from OUT/auc.csv."""
    table = out / "auc.csv"
    before = pd.read_csv(table).to_dict("records") if table.exists() else []
    done = {Row(each["pooling"], each["loss"], each["labels"]): each for each in before}
    for row in rows(grid):
        if row not in done:
            done[row] = {**row._asdict(), **areas(trained(row, out, images, steps))}
            pd.DataFrame([*done.values()]).to_csv(table, index=False, float_format="%.4f")
        yield done[row]


def markdown(frame: pd.DataFrame) -> str:
    """The table, runs in rows."""
    names = [name for name in frame.columns if name not in Row._fields]
    lines = [
        f"| pooling | loss | labels | {' | '.join(names)} |",
        "|---" * (3 + len(names)) + "|",
    ]
    for _, row in frame.iterrows():
        cells = [*(row[name] for name in Row._fields), *(f"{row[name]:.3f}" for name in names)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(frame: pd.DataFrame, path: Path) -> None:
    """AUC per finding over the poolings, with the paper's loss, and over the losses, with LSE."""
    true = frame[frame["labels"] == "true"]
    with figure_style():
        figure, panels = free_axes(1, 2, FigureRequest(), height_mm=75)
        parts = (
            (panels[0], "pooling", POOLINGS, true[true["loss"] == BEST[1]]),
            (panels[1], "loss", LOSSES, true[true["pooling"] == BEST[0]]),
        )
        for axes, what, places, rows_of in parts:
            marks = draw_lines(axes, rows_of.set_index(what).reindex(places))
            axes.set_xlabel(what)
        panels[0].set_ylabel("AUC on fresh phantoms")
        panels[1].sharey(panels[0])
        letter_axes(panels)
        add_legend(figure, marks, "Synthetic radiographs: no clinical meaning.")
        write_figure(figure, [path])


def draw_lines(axes: Axes, frame: pd.DataFrame) -> list[Line2D]:
    """A line per finding and a thick one for their mean, over the rows of the frame."""
    names = frame.index.str.replace("_", "-").str.replace("lse", "LSE")
    marks = []
    for place, finding in enumerate((*CHESTXRAY8, "mean")):
        look = {"color": "black", "linewidth": 2.2} if finding == "mean" else line_of(place)
        marks += axes.plot(names, frame[finding], marker=".", label=finding, **look)
    axes.axhline(0.5, color="#808080", linewidth=0.6)
    axes.tick_params(axis="x", rotation=45)
    return marks


def main() -> None:
    """Train what is missing, then write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of all results")
    parser.add_argument("--grid", action="store_true", help="every pooling with every loss")
    parser.add_argument("--images", type=int, default=2400, help="training phantoms")
    parser.add_argument("--steps", type=int, default=400, help="of 24 images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for row in measured(options.out, options.grid, options.images, options.steps):
        print(f"{row['pooling']}, {row['loss']}, {row['labels']} labels: {row['mean']:.3f}")
        results.append(row)
    frame = pd.DataFrame(results)
    (options.out / "accuracy_phantom.md").write_text(markdown(frame))
    print("\n" + markdown(frame))
    draw(frame, options.out / "accuracy_phantom.png")


if __name__ == "__main__":
    main()
