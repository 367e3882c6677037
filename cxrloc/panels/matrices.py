"""Square matrices as pictures: rank correlations of runs, and confusion of findings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxrloc.errors import CxrlocError
from cxrloc.panels.plots import FigureRequest, add_legend, free_axes, words_of
from cxrloc.panels.results import chosen_findings, only_result, read_table

_LABEL_LETTERS, _MOST_WRITTEN = 24, 15
_MM_PER_LETTER = 1.5


def draw_spearman(results: Sequence[Path], request: FigureRequest) -> Figure:
    """The matrix of rank correlations of all pairs of runs; the mean of several comparisons.

    Source: Baltruschat et al. 2019, table 5, where each comparison is one fold.

    Raises:
        CxrlocError: the comparisons are not of the same runs in the same order.
    """
    name = "rank_correlations.csv"
    frames = [read_table(path, name, ("run",), "compare").set_index("run") for path in results]
    frames = [
        frame if "note" in frame.index else frame.drop(columns="note", errors="ignore")
        for frame in frames
    ]
    for path, frame in zip(results, frames, strict=True):
        if list(frame.index) != list(frames[0].index) or list(frame.index) != list(frame.columns):
            raise CxrlocError(f"{path}: its runs are not those of {results[0]}, in the same order")
    values = np.mean([frame.to_numpy(float) for frame in frames], axis=0)
    figure, axes = _square(values, [str(run) for run in frames[0].index], request, (-1, 1))
    text = "Spearman's rank correlation"
    folds = f", mean of {len(frames)} comparisons" if len(frames) > 1 else ""
    axes.set_xlabel(text + folds)
    return figure


def draw_confusion(results: Sequence[Path], request: FigureRequest) -> Figure:
    """The confusion matrix of units (images, studies or patients) with exactly one finding.

    Source: Dong et al. 2017, figure 6a and section V.C. Rows are true findings, columns the
    finding with the highest score; cells are shares of the row. The number of units stands beside
    the name. If no unit has exactly this finding, its row is empty. A run with one finding is
    drawn with two classes, with and without it.
    """
    columns = ("finding", "called", "units")
    result = only_result(results, "confusion")
    frame = read_table(result, "single_findings.csv", columns, "classify")
    findings = chosen_findings([str(f) for f in frame["finding"]], request.findings)
    counts = frame.pivot_table(index="finding", columns="called", values="units", aggfunc="sum")
    counts = counts.reindex(index=findings, columns=findings, fill_value=0)
    table = counts.to_numpy(float)
    total = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, total, out=np.full_like(table, np.nan), where=total > 0)
    figure, axes = _square(shares, findings, request, (0, 1))
    names = [words_of(f, _LABEL_LETTERS) for f in findings]
    axes.set_yticks(
        range(len(findings)),
        [f"{name} ({n:.0f})" for name, n in zip(names, total[:, 0], strict=True)],
    )
    axes.set(xlabel="Highest score", ylabel="Truth (units)")
    return figure


def _square(
    values: Float[np.ndarray, "row column"],
    names: Sequence[str],
    request: FigureRequest,
    limits: tuple[float, float],
) -> tuple[Figure, Axes]:
    """A matrix as coloured cells, with numbers in the cells if there is room for them."""
    longest = max(min(len(name), _LABEL_LETTERS) for name in names)
    height = 22 + 8.0 * len(names) + _MM_PER_LETTER * longest
    figure, (axes,) = free_axes(1, 1, request, min(height, 200.0))
    signed = limits[0] < 0
    image = axes.imshow(
        values, cmap="PuOr_r" if signed else "Blues", vmin=limits[0], vmax=limits[1], aspect="auto"
    )
    axes.set_facecolor("#BBBBBB")  # where nothing is defined
    labels = [words_of(name, _LABEL_LETTERS) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90 if len(names) > 2 else 0)
    axes.set_yticks(range(len(names)), labels)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if len(names) <= (_MOST_WRITTEN if request.width == "double" else _MOST_WRITTEN // 2):
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                dark = abs(value) > 0.6
                colour = "white" if dark else "black"
                axes.text(
                    column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=6
                )
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.outline.set_visible(False)
    add_legend(figure, [], request.caption)
    return figure, axes
