"""Plots localization over the required overlap, beside controls and published numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from cxrloc.errors import UsageError
from cxrloc.evaluation.localization.tables import CRITERION_NAMES
from cxrloc.evaluation.published import cited, published
from cxrloc.findings import standard_finding
from cxrloc.panels.plots import (
    GREY,
    MARKERS,
    FigureRequest,
    add_legend,
    free_axes,
    grid_of_axes,
    label_grid,
    letter_axes,
    line_of,
    words_of,
)
from cxrloc.panels.results import (
    chosen_findings,
    only_result,
    own_name,
    read_table,
    run_names,
)

_KEYS = ("finding", "criterion", "threshold")
_SCORES = (*_KEYS, "accuracy", "accuracy_low", "accuracy_high", "afp")
_FROC = ("finding", "metric", "at", "value", "low", "high")
_CONTROL_STYLES: dict[str, dict[str, Any]] = {
    "prior_mean": {"linestyle": "--", "marker": "s"},
    "prior_medoid": {"linestyle": ":", "marker": "D"},
    "random": {"linestyle": (0, (1, 1)), "marker": "v"},
    "permuted": {"linestyle": "-.", "marker": "x"},
    "oracle_map": {"linestyle": (0, (5, 1)), "marker": "^"},
}
_CONTROL: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "fillstyle": "none"}
_PUBLISHED: dict[str, Any] = {
    "color": "C1",
    "marker": "o",
    "fillstyle": "none",
    "linestyle": "none",
}
_APART = 0.1  # between marks at a single threshold, of the plot's width
_MEASURES = {"accuracy": "Accuracy", "afp": "AFP"}


class _Scores(NamedTuple):
    """The scores of one run of `bench`, of its controls, and of published tables."""

    model: pd.DataFrame
    controls: pd.DataFrame
    published: pd.DataFrame


def draw_localization(results: Sequence[Path], request: FigureRequest) -> Figure:
    """Accuracy and AFP against T(IoBB) and T(IoU), the mean over findings or one finding.

    Source: Wang et al. 2017, tables 4, 7 and 19. The model is a solid line with its 95 % band,
    each control a grey line of its own kind, published numbers open circles (their mean over the
    findings of the table).

    Raises:
        UsageError: several findings are asked for.
    """
    if len(request.findings) > 1:
        raise UsageError(
            "localization shows one finding or the mean; localization-by-finding shows several"
        )
    scores = _read(results, request)
    (finding,) = request.findings or ("mean",)
    chosen_findings(scores.model["finding"].tolist(), [finding])
    criteria = _criteria(scores)
    wide = request.width == "double"
    figure, panels = free_axes(
        *((2, len(criteria)) if wide else (2 * len(criteria), 1)),
        request,
        105 if wide else 52 * 2 * len(criteria),
    )
    places = [(measure, criterion) for measure in _MEASURES for criterion in criteria]
    for axes, (measure, criterion) in zip(panels, places, strict=True):
        _draw(axes, scores, (finding, criterion, measure))
        axes.set(xlabel=CRITERION_NAMES.get(criterion, criterion), ylabel=_MEASURES[measure])
        axes.set_title("mean over findings" if finding == "mean" else words_of(finding))
    letter_axes(panels)
    add_legend(figure, _marks(scores, request), request.caption)
    return figure


def draw_localization_by_finding(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A small plot for each finding: accuracy against the threshold of the first criterion."""
    scores = _read(results, request)
    criterion = _criteria(scores)[0]
    thresholds = scores.model.loc[scores.model["criterion"] == criterion, "threshold"]
    findings = chosen_findings(scores.model["finding"].tolist(), request.findings)
    titles = []
    for finding in findings:
        count = scores.model.loc[scores.model["finding"] == finding, "annotated"].iloc[0]
        titles.append(f"{words_of(finding)}\n{count:.0f} box{'' if count == 1 else 'es'}")
    figure, panels = grid_of_axes(titles, request)
    for axes, finding in zip(panels, findings, strict=True):
        _draw(axes, scores, (finding, criterion, "accuracy"))
        if thresholds.nunique() > 1:
            axes.set(xlim=(0, 1), xticks=(0, 0.5, 1), xticklabels=("0", "0.5", "1"))
    label_grid(figure, panels, CRITERION_NAMES.get(criterion, criterion), "Accuracy")
    add_legend(figure, _marks(scores, request), request.caption)
    return figure


def draw_froc(results: Sequence[Path], request: FigureRequest) -> Figure:
    """Sensitivity for boxes (IoU above 0.5) against false positives per image, a line per run.

    The band is the 95 % interval; the rates are those of the FROC score, on a scale of powers of 2.
    """
    runs = []
    for path in results:
        frame = read_table(path, "metrics.csv", _FROC, "bench")
        runs.append(frame[frame["metric"] == "froc_sensitivity"])
    present = [finding for run in runs for finding in run["finding"]]
    findings = chosen_findings(present, request.findings)
    figure, panels = grid_of_axes([words_of(finding) for finding in findings], request)
    for axes, finding in zip(panels, findings, strict=True):
        for place, run in enumerate(runs):
            curve = run[run["finding"] == finding].sort_values("at")
            role = line_of(place)
            axes.plot(curve["at"], curve["value"], marker=MARKERS[place % len(MARKERS)], **role)
            axes.fill_between(
                curve["at"],
                curve["low"],
                curve["high"],
                color=role["color"],
                alpha=0.18,
                linewidth=0,
            )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator([0.125, 0.5, 2, 8]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.set_ylim(-0.03, 1.03)
    label_grid(figure, panels, "False positives per image", "Sensitivity")
    names = run_names(results, request.names)
    marks = [
        Line2D([], [], label=name, marker=MARKERS[place % len(MARKERS)], **line_of(place))
        for place, name in enumerate(names)
    ]
    add_legend(figure, marks if len(marks) > 1 else [], request.caption)
    return figure


def _read(results: Sequence[Path], request: FigureRequest) -> _Scores:
    folder = only_result(results, "localization")
    scores = read_table(folder, "localization.csv", (*_SCORES, "annotated"), "bench")
    controls = read_table(folder, "controls.csv", ("control", *_SCORES), "bench", optional=True)
    tables = [published(name) for name in request.beside]
    frame = pd.DataFrame(columns=pd.Index([*_KEYS, "metric", "value"]))
    if tables:
        frame = pd.concat(tables, ignore_index=True)
        frame = frame[frame["criterion"] != ""].copy()
        if frame.empty:
            raise UsageError(f"--beside {', '.join(request.beside)}: no localization in it")
        frame["threshold"] = frame["threshold"].astype(float)
        frame["finding"] = frame["finding"].map(standard_finding)
    for criterion, thresholds in scores.groupby("criterion")["threshold"]:
        if thresholds.nunique() == 1:  # the plot has room for one threshold
            of_others = frame["criterion"] != criterion
            frame = frame[of_others | (frame["threshold"] == thresholds.iloc[0])]
    return _Scores(scores, controls, frame)


def _criteria(scores: _Scores) -> list[str]:
    return list(dict.fromkeys(scores.model["criterion"]))


def _draw(axes: Axes, scores: _Scores, what: tuple[str, str, str]) -> None:
    """Draw controls first, then over them the model with its band, then published points.

    At a single threshold the marks stand side by side, since there they would cover each other.
    """
    finding, criterion, measure = what
    rows = _rows(scores.model, finding, criterion)
    thresholds = np.unique(rows["threshold"])
    present = [name for name in _CONTROL_STYLES if name in set(scores.controls["control"])]
    apart = _APART if len(thresholds) == 1 else 0.0
    shifts = apart * (np.arange(len(present) + 2) - (len(present) + 1) / 2)
    if apart:
        axes.set_xlim(thresholds[0] - 0.5, thresholds[0] + 0.5)
    axes.set_xticks(thresholds, [f"{threshold:g}" for threshold in thresholds])
    for control, shift in zip(present, shifts[1:], strict=False):
        control_rows = _rows(
            scores.controls[scores.controls["control"] == control], finding, criterion
        )
        look = _CONTROL | _CONTROL_STYLES[control]
        axes.plot(control_rows["threshold"] + shift, control_rows[measure], **look)
    at = rows["threshold"] + shifts[0]
    axes.plot(at, rows[measure], **line_of(0), marker="o", zorder=3)
    if measure == "accuracy":
        low, high = rows["accuracy_low"], rows["accuracy_high"]
        if not apart:
            axes.fill_between(at, low, high, color="C0", alpha=0.2, linewidth=0)
        else:
            axes.vlines(at, low, high, color="C0", linewidth=1.2)
        axes.set_ylim(-0.03, 1.03)
    printed = scores.published
    printed = printed[(printed["criterion"] == criterion) & (printed["metric"] == measure)]
    if finding != "mean":
        printed = printed[printed["finding"] == standard_finding(finding)]
    elif "mean" in set(printed["finding"]):
        printed = printed[printed["finding"] == "mean"]
    points = printed.groupby("threshold")["value"].mean()
    axes.plot(points.index + shifts[-1], points, **_PUBLISHED)
    if measure == "afp":  # only after all points are drawn, so that the upper limit fits them
        axes.set_ylim(bottom=0)


def _shown(scores: _Scores) -> pd.DataFrame:
    """The published numbers that have a place in the figure: of its criteria and measures."""
    printed = scores.published
    known = printed["criterion"].isin(_criteria(scores)) & printed["metric"].isin([*_MEASURES])
    return printed[known]


def _rows(frame: pd.DataFrame, finding: str, criterion: str) -> pd.DataFrame:
    rows = frame[(frame["finding"] == finding) & (frame["criterion"] == criterion)]
    return rows.sort_values("threshold")


def _marks(scores: _Scores, request: FigureRequest) -> list[Line2D]:
    name = own_name(request)
    if scores.model["accuracy_low"].notna().any():
        # The interval of a single threshold is drawn as a line.
        several = scores.model.groupby("criterion")["threshold"].nunique().max() > 1
        name += " (95 % band)" if several else " (95 % interval)"
    marks = [Line2D([], [], label=name, marker="o", **line_of(0))]
    present = set(scores.controls["control"])
    for control, look in _CONTROL_STYLES.items():
        if control in present:
            words = control.replace("_", " ")
            marks.append(Line2D([], [], label=words, **_CONTROL, **look))
    if not _shown(scores).empty:
        label = cited(*request.beside)
        marks.append(Line2D([], [], label=label, **_PUBLISHED))
    return marks
