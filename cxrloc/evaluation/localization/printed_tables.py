"""Tables of localization for readers: Wang's tables, controls and means, as frames of text.

`files.table_writer` turns them into Markdown, LaTeX or a table on the terminal.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from cxrloc.evaluation.localization.measure import ALL_FINDINGS
from cxrloc.evaluation.localization.scores import LocalizationScores
from cxrloc.evaluation.localization.tables import CRITERION_NAMES, localization_frame, rows_of
from cxrloc.evaluation.measurement import Measurement

_POPULATIONS = {
    "annotated": "with an expert box",
    "labelled": "with a positive image-level label",
    "predicted": "with a probability above the operating point",
    "all": "of every image with every finding",
}


def means_table(measurements: Sequence[Measurement]) -> pd.DataFrame:
    """The means over findings as a table; each row says on whom its threshold was chosen."""
    columns = ("metric", "at", "match", "mean", "95 %", "n", "threshold", "chosen on")
    rows = []
    for row in measurements:
        if row.finding in ("mean", *ALL_FINDINGS):
            at, threshold = (f"{x:g}" if x is not None else "" for x in (row.at, row.threshold))
            name = row.metric if row.finding == "mean" else f"{row.metric}, {row.finding}"
            value = row.note if row.value is None else f"{row.value:.4f}"
            cells = [name, at, row.match, value, _interval(row, ".3f"), str(row.n), threshold]
            rows.append([*cells, row.chosen_on])
    return pd.DataFrame(rows, columns=pd.Index(columns))


def wang_tables(rows: Sequence[Measurement]) -> dict[str, pd.DataFrame]:
    """The numbers of Wang et al. 2017 by criterion: table 4 (IoBB) and table 7 (IoU).

    Thresholds are columns. Each finding has a row of accuracies, of intervals, and of false
    positives by both divisors. Departs: the paper's findings are columns, which fill a page at
    eight findings.
    """
    frame = localization_frame(rows)
    return {
        str(criterion): _wang_table(criterion_rows, str(criterion))
        for criterion, criterion_rows in frame.groupby("criterion", sort=False)
    }


def controls_table(scores: LocalizationScores) -> pd.DataFrame:
    """Mean accuracy over findings of the model and of each control, by threshold.

    The accuracy of a control is followed by the model's accuracy minus the control's, with its 95 %
    interval.
    """
    means = {
        (row.subject, row.match): row
        for row in scores.measurements
        if row.finding == "mean" and row.group == "all" and row.metric == "accuracy"
    }
    names = ("", *scores.controls)
    frames = [localization_frame(rows_of(scores.measurements, name)) for name in names]
    table = [["boxes per heatmap", *map(_boxes_per_heatmap, frames)]]
    for match in dict.fromkeys(match for _, match in means):
        criterion, _, threshold = match.partition(" > ")
        cells = [f"{CRITERION_NAMES[criterion]} {threshold}", f"{means['', match].value:.4f}"]
        for name in scores.controls:
            paired = means[f"model - {name}", match]
            interval = _interval(paired, "+.3f")
            behind = f" ({interval})" if interval else ""
            cells.append(f"{means[name, match].value:.4f}; {paired.value:+.3f}{behind}")
        table.append(cells)
    return pd.DataFrame(table, columns=pd.Index(["", "model", *scores.controls]))


def report_note(scores: LocalizationScores) -> str:
    """What was scored and how its numbers are made, in words."""
    means = [row for row in scores.measurements if row.finding == "mean" and row.note]
    notes = dict.fromkeys(f" Mean: {row.note}." for row in means if row.metric == "accuracy")
    rule = f" Box rule: {scores.box_rule}." if scores.box_rule else ""
    return (
        f"Scored: {scores.heatmaps} heatmaps of (image, finding) pairs "
        f"{_POPULATIONS[scores.population]}, on {scores.images} images of {scores.patients} "
        f"patients; {scores.detections} boxes, {scores.left_out} on other pairs left out. "
        f"Acc. = annotated boxes hit / annotated boxes. AFP = boxes not correct / "
        f"{scores.boxes} annotated boxes of all findings. Mean: over the "
        f"{len(scores.findings)} findings of the table, each with the same weight. "
        f"Intervals: bootstrap over patients.{''.join(notes)}{rule}"
    )


def _wang_table(frame: pd.DataFrame, criterion: str) -> pd.DataFrame:
    thresholds = [f"{threshold:g}" for threshold in dict.fromkeys(frame["threshold"])]
    table: list[list[str]] = []
    for finding, finding_rows in frame.groupby("finding", sort=False):
        measures = list(_measures(finding_rows))
        first = [str(finding), f"{finding_rows['annotated'].iloc[0]:.0f}"]
        table += [[*(first if not k else ("", "")), *row] for k, row in enumerate(measures)]
    columns = ["finding", "boxes", CRITERION_NAMES[criterion], *thresholds]
    return pd.DataFrame(table, columns=pd.Index(columns))


def _measures(rows: pd.DataFrame) -> Iterator[list[str]]:
    """The rows of one finding."""
    yield ["Acc.", *_cells(rows["accuracy"])]
    ends = rows[["accuracy_low", "accuracy_high"]]
    if ends.notna().any(axis=None):
        pairs = ends.itertuples(index=False)
        yield ["95 %", *("" if np.isnan(a) else f"{a:.2f} to {b:.2f}" for a, b in pairs)]
    yield ["AFP", *_cells(rows["afp"])]
    yield ["FP per heatmap", *_cells(rows["false_positives_per_heatmap"])]


def _cells(values: pd.Series) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.4f}" for value in values]


def _interval(row: Measurement, digits: str) -> str:
    if row.low is None or row.high is None:
        return ""
    return f"{row.low:{digits}} to {row.high:{digits}}"


def _boxes_per_heatmap(frame: pd.DataFrame) -> str:
    mean = frame[frame["finding"] == "mean"].iloc[0]
    return f"{mean['detections'] / mean['heatmaps']:.1f}" if mean["heatmaps"] else ""
