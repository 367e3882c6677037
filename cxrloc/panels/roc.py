"""ROC curves: a small plot per finding with a curve per run, or one per run with all findings.

Intervals are bands: at each false positive rate the 95 % interval of the sensitivity.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrloc.errors import UsageError
from cxrloc.panels.figure_files import write_figure
from cxrloc.panels.plots import (
    GREY,
    MARKERS,
    FigureRequest,
    add_legend,
    figure_style,
    grid_of_axes,
    label_grid,
    line_of,
    words_of,
)
from cxrloc.panels.results import chosen_findings, read_table, run_names

_CURVE = ("finding", "false_positive_rate", "sensitivity")
_BAND = ("finding", "false_positive_rate", "sensitivity_low", "sensitivity_high")
_POINT = ("finding", "rule", "chosen_on", "sensitivity", "specificity")
_READER = ("reader", *_CURVE)
_CHANCE: dict[str, Any] = {"color": GREY, "linestyle": (0, (2, 2)), "linewidth": 0.7}
_OPEN: dict[str, Any] = {"linestyle": "none", "markersize": 4.5, "fillstyle": "none"}
_STAR: dict[str, Any] = {"color": GREY, "linestyle": "none", "marker": "*", "markersize": 5}
_LABELS = ("False positive rate (1 - specificity)", "Sensitivity")
_IN_ONE_COLUMN = 2  # plots that fit into one column of a page
_MOST_AREAS = 4  # AUCs that fit under a curve
_KEY_OF_ONE = "Behind each finding: its AUC."
_KEY = "Behind each finding: its AUC in each plot, in their order."


class _Run(NamedTuple):
    """Tables of one run of `classify`."""

    name: str
    curves: pd.DataFrame
    areas: pd.DataFrame
    bands: pd.DataFrame
    points: pd.DataFrame


def draw_roc(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A plot per finding: each run's curve, band, AUC with interval and operating point.

    Source: the comparisons of Wang et al. 2017, figures 5 to 7; radiologists' operating points as
    in Pham et al. 2019, figure 4. Runs differ in colour and in line; an operating point is an open
    mark whose shape says how it was chosen, a reader a star. If all units of a finding have the
    same label, its plot is empty and says so.

    Args:
        results: output folders of `classify`; a CSV file with the columns reader, finding,
            false_positive_rate and sensitivity adds radiologists.
        request: width, findings, small print.
    """
    readers = [path for path in results if path.is_file()]
    runs = _read([path for path in results if path not in readers] or results, request)
    findings = _findings(runs, request)
    figure, panels = grid_of_axes([_title(runs[0], finding) for finding in findings], request)
    shapes = _shapes(runs)
    for finding, axes in zip(findings, panels, strict=True):
        axes.plot([0, 1], [0, 1], **_CHANCE)
        drawn = [
            _draw_run(axes, run, finding, (place, len(runs)), shapes)
            for place, run in enumerate(runs)
        ]
        if not any(drawn):
            axes.text(0.5, 0.25, "one class only:\nnot defined", ha="center", fontsize=6)
        for path in readers:
            frame = read_table(path, path.name, _READER, "classify")
            points = frame[frame["finding"] == finding]
            if len(points):  # to matplotlib's layout an empty line reaches to the figure's corner
                axes.plot(
                    points["false_positive_rate"], points["sensitivity"], clip_on=False, **_STAR
                )
        _finish(axes)
    marks = [Line2D([], [], label=run.name, **line_of(i)) for i, run in enumerate(runs)]
    marks = [*(marks if len(runs) > 1 else []), Line2D([], [], label="chance", **_CHANCE)]
    colour = "C0" if len(runs) == 1 else GREY
    marks += [
        Line2D([], [], label=f"operating point: {how}", color=colour, marker=shape, **_OPEN)
        for how, shape in shapes.items()
    ]
    if readers:
        marks.append(Line2D([], [], label="reader", **_STAR))
    label_grid(figure, panels, *_LABELS)
    add_legend(figure, marks, request.caption)
    return figure


def write_roc(results: Sequence[Path], findings: int, caption: str, out: Path) -> None:
    """Write the figure of `draw_roc` as `roc.png` and `roc.pdf`, as wide as its plots need."""
    width = "double" if findings > _IN_ONE_COLUMN else "single"
    with figure_style():
        figure = draw_roc(results, FigureRequest(width=width, caption=caption))
        write_figure(figure, [out / "roc.png", out / "roc.pdf"])


def draw_roc_by_run(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A plot per run with the curves of all findings, and the mean AUC.

    Source: Wang et al. 2017, figures 5 (initialisations), 6 (poolings) and 7 (data set).
    """
    runs = _read(results, request)
    findings = _findings(runs, request)
    titles = []
    for run in runs:
        mean = run.areas.loc[run.areas["finding"] == "mean", "auc"]
        area = f"\nmean AUC {mean.iloc[0]:.3f}" if len(mean) else ""
        titles.append(words_of(run.name) + area)
    figure, panels = grid_of_axes(titles, request)
    for run, axes in zip(runs, panels, strict=True):
        axes.plot([0, 1], [0, 1], **_CHANCE)
        for place, finding in enumerate(findings):
            curve = run.curves[run.curves["finding"] == finding]
            axes.plot(curve["false_positive_rate"], curve["sensitivity"], **line_of(place))
        _finish(axes)
    marks = [
        Line2D([], [], label=_with_areas(finding, runs), **line_of(place))
        for place, finding in enumerate(findings)
    ]
    label_grid(figure, panels, *_LABELS)
    key = _KEY_OF_ONE if len(runs) == 1 else _KEY
    caption = " ".join([request.caption, key * (len(runs) <= _MOST_AREAS)]).strip()
    add_legend(figure, [*marks, Line2D([], [], label="chance", **_CHANCE)], caption)
    return figure


def _read(results: Sequence[Path], request: FigureRequest) -> list[_Run]:
    runs = []
    for path in results:
        if path.is_file():
            raise UsageError(
                f"{path}: name the folder that `cxrloc classify` wrote, not a file in it"
            )
    for path, name in zip(results, run_names(results, request.names), strict=True):
        areas = read_table(path, "auc.csv", ("finding", "group", "auc"), "classify")
        runs.append(
            _Run(
                name,
                read_table(path, "roc.csv", _CURVE, "classify", optional=True),
                areas[areas["group"] == "all"],
                read_table(path, "roc_bands.csv", _BAND, "classify", optional=True),
                read_table(path, "confusion.csv", _POINT, "classify", optional=True),
            )
        )
    return runs


def _findings(runs: Sequence[_Run], request: FigureRequest) -> list[str]:
    present = [finding for run in runs for finding in run.areas["finding"] if finding != "mean"]
    return chosen_findings(present, request.findings)


def _title(run: _Run, finding: str) -> str:
    area = run.areas[run.areas["finding"] == finding]
    if area.empty or not {"n", "positives"} <= set(area.columns):
        return words_of(finding)
    return f"{words_of(finding)}\n{area['positives'].iloc[0]} of {area['n'].iloc[0]}"


def _draw_run(
    axes: Axes, run: _Run, finding: str, place_of: tuple[int, int], shapes: Mapping[str, str]
) -> bool:
    """Draw band, curve with its AUC, and operating points; returns whether the run has a curve.

    `place_of` is the run's number and the number of runs.
    """
    place, number = place_of
    curve, area, band, point = (
        frame[frame["finding"] == finding]
        for frame in (run.curves, run.areas, run.bands, run.points)
    )
    if curve.empty:
        return False
    role = line_of(place)
    low, high = band["sensitivity_low"], band["sensitivity_high"]
    if len(band):
        axes.fill_between(
            band["false_positive_rate"], low, high, color=role["color"], alpha=0.2, linewidth=0
        )
    label = _area(area) if number <= _MOST_AREAS else None
    axes.plot(curve["false_positive_rate"], curve["sensitivity"], label=label, **role)
    for how, points in point.groupby(_choice_in_words(point), sort=False):
        x, y = 1 - points["specificity"], points["sensitivity"]
        look = {"color": role["color"], "marker": shapes[str(how)], **_OPEN}
        axes.plot(x, y, clip_on=False, zorder=3, **look)
    return True


def _area(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    if pd.isna(row.get("auc_low")):
        return f"{row['auc']:.2f}"
    return f"{row['auc']:.2f} ({row['auc_low']:.2f}-{row['auc_high']:.2f})"


def _with_areas(finding: str, runs: Sequence[_Run]) -> str:
    """A finding's name with its AUC in each run, if this text is short enough."""
    areas = []
    for run in runs:
        value = run.areas.loc[run.areas["finding"] == finding, "auc"]
        areas.append("-" if value.empty or value.isna().all() else f"{value.iloc[0]:.2f}")
    words = finding.replace("_", " ")
    return f"{words} {' '.join(areas)}" if len(runs) <= _MOST_AREAS else words


def _choice_in_words(points: pd.DataFrame) -> pd.Series:
    """How each operating point was chosen, in words; findings without a point are left out."""
    # Columns in which every cell is empty hold floats, to which no text can be added.
    chosen = points.dropna(subset=["rule"]).astype({"rule": str, "chosen_on": str})
    return chosen["rule"] + ", " + chosen["chosen_on"]


def _shapes(runs: Sequence[_Run]) -> dict[str, str]:
    """The marker of each way in which the runs' operating points were chosen."""
    ways = sorted({how for run in runs for how in _choice_in_words(run.points)})
    return {how: MARKERS[place % len(MARKERS)] for place, how in enumerate(ways)}


def _finish(axes: Axes) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_xticklabels(["0", "0.5", "1"])
    axes.set_yticklabels(["0", "0.5", "1"])
    axes.set_aspect("equal")
    handles, areas = axes.get_legend_handles_labels()
    if handles:
        legend = axes.legend(
            loc="lower right",
            title="AUC (95 %)",
            alignment="right",
            fontsize=6,
            borderpad=0,
            labelspacing=0.2,
            handlelength=1.2 if len(areas) > 1 else 0,
            handletextpad=0.4 if len(areas) > 1 else 0,
        )
        if len(areas) == 1:  # one curve needs no key
            for line in legend.get_lines():
                line.set_visible(False)
