"""Training curves: losses, the learning rate, and the score on validation images."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrloc.panels.plots import FigureRequest, add_legend, free_axes, letter_axes, line_of
from cxrloc.panels.results import read_table, run_names

_LOSSES = {"loss": "Training loss per label", "validation_loss": "Validation loss"}
_NAMES = {**_LOSSES, "learning_rate": "Learning rate", "mean_auc": "Validation, mean AUC"}
_FEW = 20  # up to so many points are marked, because nothing was measured between them
_NOT_VALIDATED = ("step", "learning_rate", "images_per_second", "note", *_LOSSES)


def draw_training(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A plot for each column of metrics.csv against the step, with a line for each run.

    Source: Rubin et al. 2018, section 6 (a cyclic learning rate). Losses come first, then the
    learning rate, then the first validated number, which is the mean AUC. A recipe that was not
    trained has its learning rate alone.
    """
    needed = ("step", "learning_rate")
    frames = [read_table(path, "metrics.csv", needed, "train") for path in results]
    columns = _columns(frames)
    wide = request.width == "double"
    across = min(2, len(columns)) if wide else 1
    rows = -(-len(columns) // across)
    figure, panels = free_axes(rows, across, request, 52.0 * rows)
    for axes, column in zip(panels, columns, strict=False):
        for place, frame in enumerate(frames):
            if column in frame:
                known = frame[["step", column]].dropna()
                marker = "." if len(known) <= _FEW else ""
                axes.plot(known["step"], known[column], marker=marker, **line_of(place))
        axes.set(xlabel="Step", ylabel=_NAMES.get(column, column.replace("_", " ")))
        axes.margins(x=0.02)
    for axes in panels[len(columns) :]:
        axes.set_axis_off()
    if len(columns) > 1:
        letter_axes(panels[: len(columns)])
    marks = [
        Line2D([], [], label=name, **line_of(place))
        for place, name in enumerate(run_names(results, request.names))
    ]
    add_legend(figure, marks if len(marks) > 1 else [], request.caption)
    return figure


def _columns(frames: Sequence[pd.DataFrame]) -> list[str]:
    """Losses and the learning rate where they are, then the first validated number."""
    present = list(dict.fromkeys(column for frame in frames for column in frame.columns))
    first = [name for name in (*_LOSSES, "learning_rate") if name in present]
    numbers = [name for name in present if name not in _NOT_VALIDATED]
    return [*first, *numbers[:1]]
