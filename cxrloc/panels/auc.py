"""AUC per finding, sorted, with its range over runs or its interval, and published points."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.truth import ATTRIBUTES
from cxrloc.evaluation.published import cited, published, published_means
from cxrloc.findings import standard_finding
from cxrloc.panels.plots import GREY, FigureRequest, add_legend, free_axes, marker_of
from cxrloc.panels.results import chosen_findings, own_name, read_table

_ROW_MM, _MARGIN_MM = 5.0, 12.0
_COLUMNS = ("finding", "group", "auc")


def draw_auc_ranking(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A figure with a row for each finding, the one with the largest AUC on top.

    Source: Baltruschat et al. 2019, figure 5. Rows are sorted by the mean of all AUCs in the row,
    published ones too. For several runs (one model on several splits) the disc shows the mean
    and the bar reaches from the smallest to the largest AUC; for one run the bar shows the 95 %
    interval. Published numbers are points of other shapes, named in the legend. A finding without
    an AUC stands below the others as "not defined".

    Args:
        results: output folders of `classify`.
        request: its `beside` names published tables with AUCs.
    """
    ranges = _ranges([read_table(path, "auc.csv", _COLUMNS, "classify") for path in results])
    findings = chosen_findings([f for f in ranges.index if f != "mean"], request.findings)
    defined = set(ranges.index[ranges["auc"].notna()])
    averaged = [f for f in findings if f in defined and f not in ATTRIBUTES]
    if request.findings and averaged:
        # The interval in the file is of the mean over all findings, so the mean over the chosen
        # findings has no interval.
        ranges.loc["mean"] = [ranges.loc[averaged, "auc"].mean(), np.nan, np.nan]
    others = _published(request.beside, findings, averaged)
    ranges = ranges.loc[[*findings, *(["mean"] if "mean" in ranges.index else [])]]
    shown = pd.concat([ranges[["auc"]], others], axis=1).loc[ranges.index]
    mean = shown.mean(axis=1)
    order = sorted(findings, key=lambda f: (pd.notna(mean[f]), mean[f] if pd.notna(mean[f]) else f))
    rows = [*(["mean"] if "mean" in ranges.index else []), *order]
    height = _MARGIN_MM + _ROW_MM * len(rows)
    figure, (axes,) = free_axes(1, 1, request, height)
    for place, name in enumerate(rows):
        auc, low, high = map(float, ranges.loc[name, ["auc", "low", "high"]])
        if np.isnan(auc):
            axes.annotate(
                "not defined", (0.02, place), xycoords=("axes fraction", "data"), va="center"
            )
            continue
        axes.plot([low, high], [place] * 2, color="C0", linewidth=1.6, solid_capstyle="butt")
        axes.plot(auc, place, **marker_of(0), markersize=4.5, zorder=3)
    for number, setting in enumerate(others.columns, start=1):
        values = [others[setting].get(name, np.nan) for name in rows]
        axes.plot(values, range(len(rows)), **marker_of(number), fillstyle="none", zorder=2)
    labels = [name.replace("_", " ") for name in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("AUC")
    axes.grid(axis="y", linewidth=0.3, alpha=0.6)
    if "mean" in ranges.index:
        axes.axhline(0.5, color=GREY, linewidth=0.6)
    bar = "95 % interval" if len(results) == 1 else f"min to max of {len(results)} runs"
    marks = [
        Line2D([], [], label=f"{own_name(request)} ({bar})", **{**marker_of(0), "linestyle": "-"})
    ]
    marks += [
        Line2D([], [], label=setting, fillstyle="none", **marker_of(number))
        for number, setting in enumerate(others.columns, start=1)
    ]
    add_legend(figure, marks, request.caption)
    return figure


def _ranges(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Columns auc, low and high by finding: mean and range of runs, or the interval of one run."""
    tables = [
        frame[frame["group"] == "all"].drop_duplicates("finding").set_index("finding")
        for frame in frames
    ]
    if len(tables) == 1 and {"auc_low", "auc_high"} <= set(tables[0].columns):
        return pd.DataFrame(
            {"auc": tables[0]["auc"], "low": tables[0]["auc_low"], "high": tables[0]["auc_high"]},
            dtype=float,
        )
    names = list(dict.fromkeys(name for table in tables for name in table.index))
    areas = pd.concat([table["auc"].reindex(names) for table in tables], axis=1)
    return pd.DataFrame(
        {"auc": areas.mean(axis=1), "low": areas.min(axis=1), "high": areas.max(axis=1)}
    )


def _published(
    tables: Sequence[str], findings: Sequence[str], averaged: Sequence[str]
) -> pd.DataFrame:
    """AUCs of published tables: a column per setting, a row per finding shown, and the mean.

    A published mean is shown only if it is over the same findings as the measured mean.
    """
    columns = {}
    for name in tables:
        numbers = published(name)
        means = published_means([name]).values()
        if not any(
            set(averaged_set) == set(map(standard_finding, averaged)) for averaged_set in means
        ):
            numbers = numbers[numbers["finding"] != "mean"]
        for setting, part in numbers[numbers["metric"] == "auc"].groupby("setting", sort=False):
            places = map(standard_finding, part["finding"])
            values = dict(zip(places, part["value"], strict=True))
            if values.keys() & {*map(standard_finding, findings), "mean"}:
                columns[f"{cited(name)}: {setting}"] = {
                    finding: values.get(standard_finding(finding), np.nan)
                    for finding in (*findings, "mean")
                }
    if tables and not columns:
        raise UsageError(f"--beside {', '.join(tables)}: no AUC of these findings in it")
    return pd.DataFrame(columns, index=pd.Index([*findings, "mean"]), dtype=float)
