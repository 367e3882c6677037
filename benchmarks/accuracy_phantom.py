"""Every pooling of Wang with every loss, on phantoms: AUC per finding, as tables and a figure.

    python benchmarks/accuracy_phantom.py OUT

Wang et al. 2017, section 4: table 3 (losses) and figures 5 and 6 (networks, poolings), with a small
ResNet from scratch at 128 pixels on synthetic radiographs. AUC is measured on fresh phantoms of
another seed. The best choice on phantoms need not be the best for patients. The benchmark checks
that the parts work: every choice must learn, and with shuffled labels nothing must be learned.
Writes OUT/auc.csv (a row per run, which a later call does not train again), OUT/accuracy_phantom.md
and OUT/accuracy_phantom.png. One run takes a minute and a quarter on one core, all 37 three
quarters of an hour.
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

from cxrloc.evaluation.classification.ranking import auc
from cxrloc.files.table_writer import markdown_table
from cxrloc.findings import CHESTXRAY8
from cxrloc.inference.predict import gather, predict
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
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
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.pipeline.train import TrainOptions, TrainWatch, train
from cxrloc.types import Label, Radiograph

POOLINGS = ("average", *(f"lse {r}" for r in ("0.1", "0.5", "1", "5", "8", "10", "12")), "max")
LOSSES = {"hinge": "hinge", "euclidean": "Euclidean", "cel": "CEL", "w_cel": "W-CEL"}
BEST = ("lse 10", "w_cel")
"""The paper's own choice, which the control with shuffled labels uses too."""

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
{numbers}
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


ROWS = (*itertools.starmap(Row, itertools.product(POOLINGS, LOSSES)), Row(*BEST, "shuffled"))


def trained(row: Row, out: Path, images: int, steps: int) -> Path:
    """The model of one row, trained from the start or from its last checkpoint."""
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
        numbers=f"pooling_parameters = {{ r = {float(r)} }}" if r else "",
        steps=steps,
    )
    recipe = out / "runs" / f"{name}.toml"
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(text)
    options = TrainOptions(str(recipe), resume=True, device="cpu", cache=out / "cache")
    watch = TrainWatch(decoding=iter, data=lambda data: None, moment=lambda moment: None)
    return train(out / "runs" / name, options, watch).model


def test_phantom(index: int) -> Radiograph:
    """A phantom in the form in which a reader returns a radiograph."""
    phantom = make_phantom(TEST_SEED, index, SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)


def areas(model: Path) -> dict[str, float]:
    """The AUC of each finding on the fresh phantoms, and the mean."""
    records = [phantom_record(plan_phantom(TEST_SEED, i), SIZE) for i in range(TEST_IMAGES)]
    images = [Image(r.image_id, partial(test_phantom, i)) for i, r in enumerate(records)]
    seen = [*predict([read_model(model)], images, InferenceSettings(device="cpu", batch_size=24))]
    scores = gather([each for each in seen if not isinstance(each, Failure)], CHESTXRAY8)
    truth = np.array([[r.labels[f] is Label.POSITIVE for f in CHESTXRAY8] for r in records])
    own = {f: auc(truth[:, j], scores.probabilities[:, j]) for j, f in enumerate(CHESTXRAY8)}
    known = {finding: area for finding, area in own.items() if area is not None}
    return {**known, "mean": float(np.mean([*known.values()]))}


def measured(out: Path, images: int, steps: int) -> Iterator[dict[str, str | float]]:
    """A row per run; runs that are in OUT/auc.csv are read, and the others are trained."""
    table = out / "auc.csv"
    before = pd.read_csv(table).to_dict("records") if table.exists() else []
    done = {Row(each["pooling"], each["loss"], each["labels"]): each for each in before}
    for row in ROWS:
        if row not in done:
            done[row] = {**row._asdict(), **areas(trained(row, out, images, steps))}
            pd.DataFrame([*done.values()]).to_csv(table, index=False, float_format="%.4f")
        yield done[row]


def markdown(frame: pd.DataFrame) -> str:
    """A table of means (a row per pooling, a column per loss), and all runs with their findings."""
    tables = (means(frame).reset_index(), frame)
    return "\n".join(
        markdown_table(table.map(lambda cell: f"{cell:.3f}" if isinstance(cell, float) else cell))
        for table in tables
    )


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean AUC over the findings, by pooling and loss."""
    true = frame[frame["labels"] == "true"]
    table = true.pivot(index="pooling", columns="loss", values="mean")
    return table.loc[[*POOLINGS], [*LOSSES]].rename(columns=LOSSES)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draw AUC by pooling: of each finding with the paper's loss, and the mean with each loss."""
    own = frame[(frame["labels"] == "true") & (frame["loss"] == BEST[1])].set_index("pooling")
    control = frame[frame["labels"] == "shuffled"]
    with figure_style():
        figure, panels = free_axes(1, 2, FigureRequest(), height_mm=90)
        marks = draw_lines(panels[0], own.loc[[*POOLINGS], [*CHESTXRAY8]])
        losses = draw_lines(panels[1], means(frame))
        losses += panels[1].plot(
            POOLINGS.index(BEST[0]), control["mean"], "kx", label="W-CEL, shuffled labels"
        )
        panels[0].set(title="Each finding, W-CEL", ylabel="AUC")
        panels[1].set(title="Mean of the findings, each loss", ylabel="Mean AUC")
        panels[1].sharey(panels[0])
        panels[1].legend(handles=losses, loc="upper right")
        letter_axes(panels)
        add_legend(figure, marks, "Fresh phantoms: synthetic radiographs, no clinical meaning.")
        write_figure(figure, [path])


def draw_lines(axes: Axes, frame: pd.DataFrame) -> list[Line2D]:
    """Draw a line for each column of the table, with the poolings along x."""
    marks = []
    for place, (name, column) in enumerate(frame.items()):
        marks += axes.plot(column.to_numpy(), marker=".", label=str(name), **line_of(place))
    axes.axhline(0.5, color="#808080", linewidth=0.6)
    names = [name.replace("lse", "LSE") for name in POOLINGS]
    axes.set_xticks(range(len(POOLINGS)), names, rotation=45)
    return marks


def main() -> None:
    """Train what is missing, then write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of all results")
    parser.add_argument("--images", type=int, default=1600, help="training phantoms")
    parser.add_argument("--steps", type=int, default=300, help="of 24 images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for row in measured(options.out, options.images, options.steps):
        print(f"{row['pooling']}, {row['loss']}, {row['labels']} labels: {row['mean']:.3f}")
        results.append(row)
    frame = pd.DataFrame(results)
    (options.out / "accuracy_phantom.md").write_text(markdown(frame))
    print("\n" + markdown(frame))
    draw(frame, options.out / "accuracy_phantom.png")


if __name__ == "__main__":
    main()
