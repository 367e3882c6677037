"""Distributions: ages of a data set, ranking precision over images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cxrloc.datasets import read_dataset
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.populations import of_projection
from cxrloc.evaluation.classification.ranking import cumulative_shares
from cxrloc.panels.plots import GREY, FigureRequest, add_legend, free_axes, line_of
from cxrloc.panels.results import only_result, read_table, run_names
from cxrloc.types import Sex

BIN_YEARS = 2
_MOST_YEARS = 120
_SEXES: dict[Sex | None, tuple[str, dict[str, Any]]] = {
    Sex.FEMALE: ("female", {"color": "C0", "hatch": ""}),
    Sex.MALE: ("male", {"color": "C1", "hatch": "////"}),
    None: ("sex unknown", {"color": GREY, "hatch": "...."}),
}


def draw_ages(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A histogram of ages in bins of two years; women, men and unknown sex are stacked.

    Source: Baltruschat et al. 2019, figure 3. Ages that are missing or impossible (ChestX-ray14
    has some above 120 years) are counted in the title and not drawn.

    Raises:
        CxrlocError: no image has an age.
    """
    records = read_dataset(only_result(results, "ages"))
    if request.projection:
        records = of_projection(records, request.projection)
    known = [r for r in records if r.age_years is not None and 0 <= r.age_years <= _MOST_YEARS]
    if not known:
        raise CxrlocError(f"{results[0]}: none of its {len(records)} images has an age to draw")
    ages = [np.array([r.age_years for r in known if r.sex is sex]) for sex in _SEXES]
    every = np.concatenate(ages)
    top = int(every.max()) // BIN_YEARS * BIN_YEARS + BIN_YEARS
    edges = np.arange(0, top + BIN_YEARS, BIN_YEARS)
    figure, (axes,) = free_axes(1, 1, request, 60)
    base, marks = np.zeros(edges.size - 1), []
    for (words, look), sex_ages in zip(_SEXES.values(), ages, strict=True):
        if sex_ages.size:
            counts, _ = np.histogram(sex_ages, edges)
            bars = axes.bar(
                edges[:-1],
                counts,
                BIN_YEARS,
                base,
                align="edge",
                edgecolor=axes.get_facecolor(),
                linewidth=0.4,
                **look,
            )
            bars[0].set_label(f"{words}: {sex_ages.size:,}")
            marks.append(bars[0])
            base += counts
    left_out = len(records) - every.size
    absent = f"; {left_out:,} images without an age left out" if left_out else ""
    axes.set_title(f"mean {every.mean():.2f}, standard deviation {every.std():.2f} years{absent}")
    axes.set(xlabel="Age in years", ylabel="Images", xlim=(0, top))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(figure, marks, request.caption)
    return figure


def draw_precision_cdf(results: Sequence[Path], request: FigureRequest) -> Figure:
    """Curves of the share of images whose ranking precision is at most x.

    Source: Dong et al. 2017, figure 8 (VGG and ResNet). Only images with two findings or more
    count. There is a curve for each run, with its mean.
    If the run used `classify --operating-point`, only findings above it are ranked, as in the
    paper's task 3; otherwise all findings are ranked.

    Raises:
        CxrlocError: no image of a run has two findings.
    """
    figure, (axes,) = free_axes(1, 1, request, 65)
    columns = ("findings", "image_ranking_precision")
    for place, (path, name) in enumerate(
        zip(results, run_names(results, request.names), strict=True)
    ):
        frame = read_table(path, "image_precision.csv", columns, "classify")
        listed = "image_list_precision" in frame.columns
        column = "image_list_precision" if listed else "image_ranking_precision"
        values = frame.loc[frame["findings"] >= 2, column].to_numpy(float)
        if not values.size:
            raise CxrlocError(f"{path}: no image has two findings")
        x, share = cumulative_shares(values)
        label = f"{name}: mean {values.mean():.3f} of {values.size:,}"
        label += ", lists above the operating point" if listed else ""
        axes.step(
            np.array([0, *x, 1]),
            np.array([0, *share, 1]),
            where="post",
            label=label,
            **line_of(place),
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.01), ylabel="Share of images")
    axes.set_xlabel("Average precision of the image's findings, at most")
    lines = axes.get_lines()
    add_legend(figure, lines, request.caption)
    return figure
