"""What every plot shares: colours for any colour vision, a grid of small axes, vector files."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, the darkest on white first."""

LINE_STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
"""One per colour, so that colour is never the only sign."""

GREY = "#767676"

_AXES_INCHES, _LEGEND_INCHES = 1.9, 0.8
_SETTINGS: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "none", "font.size": 8}


def grid_of_axes(titles: Sequence[str], per_row: int) -> tuple[Figure, list[Axes]]:
    """A figure with one square of axes per title, in rows, and room for a legend above."""
    columns = min(per_row, len(titles))
    rows = -(-len(titles) // columns)
    size = (_AXES_INCHES * columns, _AXES_INCHES * rows + _LEGEND_INCHES)
    figure, every = _axes(size, rows, columns, shared=True)
    for axes, title in zip(every, titles, strict=False):
        axes.set_title(title, fontsize=8)
    for axes in every[len(titles) :]:
        axes.set_axis_off()
    return figure, every[: len(titles)]


def free_axes(count: int, per_row: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of this size in inches with axes that share nothing, in rows."""
    figure, every = _axes(size, -(-count // per_row), per_row, shared=False)
    for axes in every[count:]:
        axes.set_axis_off()
    return figure, every[:count]


def add_legend(figure: Figure, marks: Sequence[Line2D], caption: str) -> None:
    """What the lines are, above all panels, under the small print."""
    words = "\n".join(wrap(caption, width=int(figure.get_figwidth() * 19)))
    figure.legend(
        handles=list(marks),
        loc="outside upper center",
        ncols=len(marks),
        frameon=False,
        fontsize=7,
        title=words or None,
        title_fontsize=6,
        handlelength=3,
    )


def write_figure(figure: Figure, stem: Path) -> None:
    """Write `<stem>.png` and, as vectors with text kept as text, `<stem>.pdf`."""
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(stem.with_name(f"{stem.name}.png"), dpi=200)
        # No date: equal numbers give equal files.
        figure.savefig(stem.with_name(f"{stem.name}.pdf"), metadata={"CreationDate": None})


def _axes(
    size: tuple[float, float], rows: int, columns: int, shared: bool
) -> tuple[Figure, list[Axes]]:
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        every = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)
    for axes in every.ravel():
        axes.spines[["top", "right"]].set_visible(False)
    return figure, list(every.ravel())
