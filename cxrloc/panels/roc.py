"""ROC curves of all findings, as small multiples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrloc.evaluation.classification.operating_points import OperatingPoint
from cxrloc.evaluation.classification.ranking import Roc, roc
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.panels.plots import COLOURS, GREY, LINE_STYLES, add_legend, grid_of_axes
from cxrloc.types import ClassificationReport, Measurement

PER_ROW = 4
_CHANCE: dict[str, Any] = {"color": GREY, "linestyle": LINE_STYLES[1], "linewidth": 0.8}
_POINT: dict[str, Any] = {
    "color": COLOURS[1],
    "linestyle": "none",
    "marker": "o",
    "markersize": 5,
    "fillstyle": "none",
}


def draw_roc_curves(
    units: ScoredUnits,
    report: ClassificationReport,
    points: Mapping[str, OperatingPoint],
    caption: str = "",
) -> Figure:
    """One panel per finding: curve, AUC with its interval, chance and operating point.

    The model's curve is a solid line, chance a dashed grey one, the operating point an open
    circle. A finding without both classes has an empty panel that says so.

    Args:
        units: truth and scores.
        report: of these units, for the AUCs.
        points: operating points by finding; findings without one get no circle.
        caption: small print: model and limits.
    """
    areas = {
        row.finding: row
        for row in report.measurements
        if row.metric == "auc" and row.group == "all"
    }
    titles = [f"{f}\n{areas[f].positives} of {areas[f].n}" for f in units.findings]
    figure, panels = grid_of_axes(titles, PER_ROW)
    for column, (finding, axes) in enumerate(zip(units.findings, panels, strict=True)):
        known = units.known[:, column]
        curve = roc(units.truth[known, column], units.scores[known, column])
        axes.plot([0, 1], [0, 1], **_CHANCE)
        if curve is None:
            axes.text(0.5, 0.3, "one class only:\nnot defined", ha="center", fontsize=7)
            continue
        _draw_curve(axes, curve, areas[finding], points.get(finding))
    figure.supxlabel("False positive rate (1 - specificity)", fontsize=8)
    figure.supylabel("Sensitivity", fontsize=8)
    chosen = sorted({f"{point.rule}, {point.chosen_on}" for point in points.values()})
    marks = [Line2D([], [], label="chance", **_CHANCE)]
    if chosen:
        marks.append(Line2D([], [], label=f"operating point ({'; '.join(chosen)})", **_POINT))
    add_legend(figure, marks, caption)
    return figure


def _draw_curve(axes: Axes, curve: Roc, area: Measurement, point: OperatingPoint | None) -> None:
    label = f"AUC {area.value:.2f}"
    if area.low is not None:
        label += f"\n({area.low:.2f} to {area.high:.2f})"
    axes.plot(
        curve.false_positive_rate,
        curve.sensitivity,
        color=COLOURS[0],
        linestyle=LINE_STYLES[0],
        linewidth=1.4,
        label=label,
    )
    if point is not None:
        # Of the falling thresholds, the last that is not below the operating point.
        at = np.flatnonzero(curve.thresholds >= point.threshold)[-1]
        x, y = curve.false_positive_rate[at], curve.sensitivity[at]
        axes.plot(x, y, clip_on=False, **_POINT)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_aspect("equal")
    axes.legend(loc="lower right", fontsize=6.5, frameon=False, handlelength=1.2)
