"""Square tables as pictures: agreement of runs, and what is called what."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxrloc.panels.plots import FigureRequest, add_legend, free_axes, words_of
from cxrloc.panels.results import chosen_findings, only_result, read_table
from cxrloc.types import CxrlocError

_LABEL_LETTERS, _MOST_WRITTEN = 24, 15
_MM_PER_LETTER = 1.5


def draw_spearman(results: Sequence[Path], request: FigureRequest) -> Figure:
    """Rank correlations of all pairs of runs; of several comparisons (folds) their mean.

    Source: Baltruschat et al. 2019, table 5.

    Raises:
        CxrlocError: the comparisons are of other runs.
    """
    name = "rank_correlations.csv"
    frames = [read_table(path, name, ("run",), "compare").set_index("run") for path in results]
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
    """What units with one finding are called, as shares of each row; counts beside the names.

    Source: Dong et al. 2017, figure 6a and section V.C. The row is the truth, the column the
    highest score; a finding that no unit has alone has an empty row.
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
    """A table in grey levels with its numbers in the cells, as long as they can be read."""
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
