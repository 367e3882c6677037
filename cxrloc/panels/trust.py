"""One page about heatmaps: faithfulness, randomisation, stability."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrloc.errors import UsageError
from cxrloc.panels.plots import (
    GREY,
    LINE_STYLES,
    FigureRequest,
    add_legend,
    free_axes,
    letter_axes,
    words_of,
)
from cxrloc.panels.results import only_result, read_table

_SUBJECTS = {"model": ("C0", LINE_STYLES[0], "o"), "random map": (GREY, LINE_STYLES[1], "s")}


def draw_trust(results: Sequence[Path], request: FigureRequest) -> Figure:
    """Six plots: insertion, deletion, ROAD, randomised layers, similar maps, and disturbance.

    The model is a solid blue line or a disc, the random map a dashed grey line or a square; bars
    are intervals.

    Args:
        results: the output folder of `trust`.
        request: width, small print.
    """
    folder = only_result(results, "trust")
    if folder.is_file():
        raise UsageError(f"{folder}: name the folder that `cxrloc trust` wrote, not a file in it")
    frame = read_table(folder, "trust.csv", ("test", "subject", "value", "low", "high"), "trust")
    curves = read_table(folder, "trust_curves.csv", ("test", "subject", "share"), "trust")
    wide = request.width == "double"
    figure, panels = free_axes(*((2, 3) if wide else (6, 1)), request, 105 if wide else 225)
    _draw_curves(panels[0], curves, frame, "insertion")
    _draw_curves(panels[1], curves, frame, "deletion")
    rows = frame[frame["test"] == "road"]
    panels[2].set_title("ROAD: larger is better")
    _draw_points(panels[2], rows, rows["subject"])
    panels[2].axvline(0, color=GREY, linewidth=0.6)
    floor = frame.loc[frame["test"] == "random map", "value"].iloc[0]
    cascade = frame[frame["test"] == "weight randomisation"]
    panels[3].set_title("Randomised from the last layer\ndown to: smaller is better")
    _draw_points(panels[3], cascade, cascade["subject"])
    stable = frame[
        frame["test"].isin(["label randomisation", "repeatability", "map under disturbance"])
    ].dropna(subset="value")
    panels[4].set_title("Similarity to the map of")
    prefix = {"label randomisation": "shuffled labels: ", "repeatability": "model "}
    names = stable["test"].map(prefix).fillna("") + stable["subject"]
    _draw_points(panels[4], stable, names)
    change = frame[frame["test"] == "probability under disturbance"]
    panels[5].set_title("Change of the probability:\nsmaller is better")
    _draw_points(panels[5], change, change["subject"])
    panels[5].set_xlim(left=0)
    for panel in panels[3:5]:
        panel.axvline(float(floor), color=GREY, linestyle=LINE_STYLES[1], linewidth=0.8)
        panel.set(xlim=(-1.05, 1.05), xlabel="rank correlation")
    marks = [
        Line2D([], [], color=colour, linestyle=style, marker=marker, markersize=4, label=name)
        for name, (colour, style, marker) in _SUBJECTS.items()
    ]
    letter_axes(panels)
    add_legend(figure, marks, request.caption)
    return figure


def _draw_curves(axes: Axes, curves: pd.DataFrame, frame: pd.DataFrame, test: str) -> None:
    better = "larger" if test == "insertion" else "smaller"
    axes.set_title(f"{test.capitalize()}: {better} is better")
    for subject, (colour, style, _) in _SUBJECTS.items():
        curve = curves[(curves["test"] == test) & (curves["subject"] == subject)]
        row = frame[(frame["test"] == test) & (frame["subject"] == subject)].iloc[0]
        label = f"area {row['value']:.3f}"
        axes.plot(curve["share"], curve["probability"], color=colour, linestyle=style, label=label)
    axes.set(xlim=(0, 1), xlabel="share of pixels", ylabel="mean probability")
    axes.legend()


def _draw_points(axes: Axes, rows: pd.DataFrame, names: pd.Series) -> None:
    """A disc (square for the random map) with its interval per row, the first row on top."""
    for place, (_, row) in enumerate(rows.iterrows()):
        if pd.isna(row["value"]):
            continue
        colour, _, marker = _SUBJECTS.get(str(row["subject"]), _SUBJECTS["model"])
        if not pd.isna(row["low"]):
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.2)
        axes.plot(row["value"], place, marker=marker, color=colour, markersize=4)
    axes.set_yticks(np.arange(len(rows)), [words_of(name, 26) for name in names], fontsize=6)
    axes.set_ylim(len(rows) - 0.5, -0.5)
