"""The LR range test: loss against learning rate."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrloc.panels.plots import GREY, FigureRequest, add_legend, free_axes
from cxrloc.panels.results import only_result, read_table
from cxrloc.training.lr_range import RangePoint, boundaries

_COLUMNS = RangePoint._fields


def draw_lr_range(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A plot of each step's loss and its average over the learning rate.

    The range of learning rates in which the loss falls is shaded.

    Args:
        results: the output folder of `lr-range`.
        request: width, small print.
    """
    table = read_table(only_result(results, "lr-range"), "lr_range.csv", _COLUMNS, "lr-range")
    rates, losses, smoothed = (table[name].to_numpy(dtype=float) for name in _COLUMNS)
    falls = boundaries([RangePoint(*row) for row in zip(rates, losses, smoothed, strict=True)])
    figure, (axes,) = free_axes(1, 1, request, height_mm=60)
    single = axes.plot(rates, losses, color=GREY, linewidth=0.6, label="loss of a step")
    average = axes.plot(rates, smoothed, color="C0", label="moving average")
    marks = [*single, *average]
    if falls is not None:
        axes.axvspan(*falls, color="C0", alpha=0.12, linewidth=0)
        words = f"falls from {falls[0]:.2g} to {falls[1]:.2g}"
        marks.append(Line2D([], [], color="C0", alpha=0.12, linewidth=6, label=words))
    # The loss diverges at the end; with this part in view the rest of the curve would look flat.
    shown = np.concatenate([part[: int(np.nanargmin(smoothed)) + 1] for part in (losses, smoothed)])
    low, high = shown.min(), shown.max()
    axes.set_ylim(low - 0.1 * (high - low or 1), high + 0.3 * (high - low or 1))
    # Steps are evenly spaced on a logarithmic axis if the learning rate grows by equal factors, and
    # on a linear axis if it grows by equal amounts.
    exponential = np.ptp(np.diff(np.log(rates))) < np.ptp(np.diff(rates))
    axes.set_xscale("log" if exponential else "linear")
    axes.set(xlabel="learning rate", ylabel="loss per image", xlim=(rates[0], rates[-1]))
    add_legend(figure, marks, request.caption)
    return figure
