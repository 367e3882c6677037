"""Classification reports and comparisons as data frames (CSV), Markdown and LaTeX.

This module only lays out numbers. A number that is not defined, and an interval that does
not exist, is an empty cell. Every cell of a printed table is a row of `classification_frame`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.evaluation.classification.calibration import reliability
from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.comparison import Comparison, Difference
from cxrloc.evaluation.classification.operating_points import (
    Confusion,
    OperatingPoint,
    confusion,
    sensitivity,
    specificity,
)
from cxrloc.evaluation.classification.ranking import roc
from cxrloc.evaluation.classification.report import METRICS
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.evaluation.measurement import Measurement
from cxrloc.files.keys import keyed_patient
from cxrloc.files.latex import PACKAGES, latex_tables
from cxrloc.files.table_writer import markdown_table, with_notes
from cxrloc.text import for_markdown

PRINTED = ("auc", "pr_average_precision", "sensitivity", "specificity")
"""Metrics of the printed table, if no others are asked for."""

MEASURED = (
    *("finding", "group", "metric", "value", "low", "high", "n", "positives", "divisor"),
    *("threshold", "chosen_on", "note"),
)
"""Fields of a `Measurement` that are columns of `classification.csv`."""

LIST_METRIC = "image_list_precision"
"""Metric that is printed in addition if a report judges lists."""


def classification_frame(report: ClassificationReport) -> pd.DataFrame:
    """Every number of a report: one row each, with n, divisor, low and high.

    The report's remarks are put before the note of every row, so that no row loses them.
    """
    rows = [[getattr(row, name) for name in MEASURED] for row in report.measurements]
    frame = pd.DataFrame(rows, columns=pd.Index(MEASURED))
    frame = frame.astype(dict.fromkeys(("value", "low", "high", "threshold"), "Float64"))
    frame = frame.astype(dict.fromkeys(("n", "positives", "divisor"), int))
    frame = with_notes(frame, report.remarks)
    frame.insert(0, "unit", report.unit)
    frame.insert(1, "aggregation", report.aggregation)
    return frame


def auc_frame(report: ClassificationReport) -> pd.DataFrame:
    """`auc.csv`: finding, group, unit, n, positives, negatives, auc, auc_low, auc_high, note."""
    frame = classification_frame(report)
    listed = frame["finding"].isin([*report.findings, "mean"])
    frame = frame[listed & (frame["metric"] == "auc")].reset_index(drop=True)
    # A mean has no number of negatives: its n counts units, but its positives count labels of all
    # findings.
    negatives = (frame["n"] - frame["positives"]).astype("Int64").mask(frame["finding"] == "mean")
    frame = frame.assign(negatives=negatives)
    frame = frame.rename(columns={"value": "auc", "low": "auc_low", "high": "auc_high"})
    counts = ["n", "positives", "negatives", "divisor"]
    return frame[["finding", "group", "unit", *counts, "auc", "auc_low", "auc_high", "note"]]


def roc_frame(units: ScoredUnits) -> pd.DataFrame:
    """`roc.csv`: every point of every finding's ROC curve; findings with one class have none."""
    frames = []
    for column, finding in enumerate(units.findings):
        known = units.known[:, column]
        curve = roc(units.truth[known, column], units.scores[known, column])
        if curve is not None:
            frames.append(
                pd.DataFrame(
                    {
                        "finding": finding,
                        # The first point calls nothing positive: it has no finite threshold.
                        "threshold": pd.array([pd.NA, *curve.thresholds[1:]], dtype="Float64"),
                        "false_positive_rate": curve.false_positive_rate,
                        "sensitivity": curve.sensitivity,
                    }
                )
            )
    names = pd.Index(["finding", "threshold", "false_positive_rate", "sensitivity"])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def reliability_frame(units: ScoredUnits) -> pd.DataFrame:
    """`reliability.csv`: the non-empty bins of every finding's reliability curve."""
    frames = []
    for column, finding in enumerate(units.findings):
        known = units.known[:, column]
        curve = reliability(units.truth[known, column], units.scores[known, column])
        frames.append(pd.DataFrame({"finding": finding, **asdict(curve)}))
    return pd.concat(frames, ignore_index=True)


def confusion_frame(units: ScoredUnits, points: Mapping[str, OperatingPoint]) -> pd.DataFrame:
    """`confusion.csv`: the two-class matrix of each finding that has an operating point."""
    rows: list[dict[str, object]] = []
    for column, finding in enumerate(units.findings):
        if finding not in points:
            continue
        known = units.known[:, column]
        called = units.scores[known, column] >= points[finding].threshold
        counts = confusion(units.truth[known, column], called)
        rates = {"sensitivity": sensitivity(counts), "specificity": specificity(counts)}
        rows.append({"finding": finding, **asdict(points[finding]), **asdict(counts), **rates})
    names = [field.name for kind in (OperatingPoint, Confusion) for field in fields(kind)]
    frame = pd.DataFrame(rows, columns=pd.Index(["finding", *names, "sensitivity", "specificity"]))
    return frame.astype({"sensitivity": "Float64", "specificity": "Float64"})


def differences_frame(differences: Sequence[Difference]) -> pd.DataFrame:
    """`differences.csv`: paired differences of two runs or more, one row each."""
    return _frame([asdict(row) for row in differences], Difference)


def rank_correlations_frame(
    runs: Sequence[str], correlations: Float[np.ndarray, "run run"]
) -> pd.DataFrame:
    """`rank_correlations.csv`: Spearman's correlation of all pairs of runs, a square table."""
    frame = pd.DataFrame(correlations, columns=pd.Index(runs))
    frame.insert(0, "run", runs)
    return frame


def disagreements_frame(comparison: Comparison, patient_ids: bool = False) -> pd.DataFrame:
    """`disagreements.csv`: units whose ranks differ most between runs, with a score column per run.

    Units that are patients are named by keyed hashes, unless their ids are asked for.
    """
    hidden = comparison.unit == "patient" and not patient_ids
    names = [comparison.unit, "finding", "truth", "disagreement", *comparison.runs]
    return pd.DataFrame(
        [
            {
                comparison.unit: keyed_patient(row.unit_id) if hidden else row.unit_id,
                "finding": row.finding,
                "truth": row.truth,
                "disagreement": row.disagreement,
                **dict(zip(comparison.runs, row.scores, strict=True)),
            }
            for row in comparison.disagreements
        ],
        columns=pd.Index(names),
    )


def headlines(report: ClassificationReport) -> list[str]:
    """The main numbers in words: means over findings, and the accuracy of single labels."""
    lines = []
    for row in report.measurements:
        if row.group != "all" or row.finding in report.findings or row.metric not in _HEADLINES:
            continue
        over = f", {row.finding} ({len(row.averaged)} findings)" if row.averaged else ""
        lines.append(f"{_HEADLINES[row.metric]}{over}: {_with_interval(row)}")
    return lines


_HEADLINES = {
    "auc": "AUC",
    "pr_average_precision": "Average precision",
    "image_ranking_precision": "Ranking precision of each image's findings",
    "argmax_accuracy": "Accuracy of the highest score, images with one finding",
}


def printed_frame(
    report: ClassificationReport, metrics: Sequence[str] = PRINTED, group: str = "all"
) -> pd.DataFrame:
    """The printed table: a row per finding and mean, each metric with its interval as text."""
    metrics = _printed(report, metrics)
    by_place = {(r.finding, r.metric): r for r in report.measurements if r.group == group}
    means = [r.finding for r in report.measurements if r.averaged or r.finding == "mean"]
    rows = []
    for finding in dict.fromkeys((*report.findings, *means)):
        found = [by_place.get((finding, metric)) for metric in metrics]
        first = next((row for row in found if row is not None), None)
        if first is not None:
            positives = None if finding in means else first.positives
            cells = [_with_interval(row) for row in found]
            rows.append([finding, first.n, positives, *cells])
    frame = pd.DataFrame(rows, columns=pd.Index(["finding", "n", "positives", *metrics]))
    return frame.astype({"positives": "Int64"})


def metrics_frame(report: ClassificationReport, group: str = "all") -> pd.DataFrame:
    """One row per finding and mean: n, positives, each metric with its low and high.

    The column `averaged` holds the findings over which a mean is taken.
    """
    rows: dict[str, dict[str, object]] = {}
    for measured in report.measurements:
        if measured.group != group:
            continue
        first = {"finding": measured.finding, "n": measured.n, "positives": measured.positives}
        row = rows.setdefault(measured.finding, {**first, "averaged": ()})
        row["averaged"] = measured.averaged or row["averaged"]
        for end, value in (("", measured.value), ("_low", measured.low), ("_high", measured.high)):
            row[f"{measured.metric}{end}"] = value
    return pd.DataFrame(list(rows.values())).convert_dtypes()


def classification_markdown(
    report: ClassificationReport, metrics: Sequence[str] = PRINTED, group: str = "all"
) -> str:
    """Findings as rows, a metric with its interval per column, and what the numbers mean."""
    table = markdown_table(printed_frame(report, metrics, group))
    notes = map(for_markdown, _notes(report, metrics, group))
    return "\n".join([table, *notes, ""])


def classification_latex(
    report: ClassificationReport, metrics: Sequence[str] = PRINTED, group: str = "all"
) -> str:
    """The table of `classification_markdown` for a paper."""
    table = latex_tables(
        printed_frame(report, metrics, group),
        "Classification of each finding.",
        _notes(report, metrics, group),
    )
    return f"{PACKAGES}\n{table}"


def _frame(rows: Sequence[dict[str, object]], of: type) -> pd.DataFrame:
    """Rows with the columns of a dataclass; numbers that may be missing are nullable."""
    names = [field.name for field in fields(of)]
    frame = pd.DataFrame(rows, columns=pd.Index(names))
    optional = {f.name: "Float64" for f in fields(of) if f.type in (float, float | None)}
    return frame.astype(optional)


def _printed(report: ClassificationReport, metrics: Sequence[str]) -> Sequence[str]:
    """The metrics that were asked for, and the precision of lists if lists were judged."""
    return metrics if report.list_threshold is None else [*metrics, LIST_METRIC]


def _with_interval(row: Measurement | None) -> str:
    if row is None or row.value is None:
        return "not defined" if row is not None else ""
    if row.low is None or row.high is None:
        return f"{row.value:.3f}"
    return f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"


def _notes(report: ClassificationReport, metrics: Sequence[str], group: str) -> list[str]:
    scored = f"Unit: {report.unit}"
    if report.unit != "image":
        scored += f", {report.aggregation} of its images"
    scored += f" ({report.units} of {report.patients} patients); group: {group}."
    intervals = "No intervals."
    if report.resamples:
        intervals = (
            f"In brackets {report.level:.0%} intervals: percentile bootstrap over patients, "
            f"{report.resamples} resamples, seed {report.seed}."
        )
    metrics = _printed(report, metrics)
    meanings = " ".join(f"{metric}: {METRICS[metric]}." for metric in metrics)
    chosen = sorted(
        {r.chosen_on for r in report.measurements if r.metric in metrics and r.chosen_on}
    )
    thresholds = [f"Operating points: {'; '.join(chosen)}."] if chosen else []
    if report.list_threshold is not None:
        thresholds.append(f"Threshold of the lists: {report.list_threshold:g}.")
    rows = [r for r in report.measurements if r.group == group and r.metric in metrics and r.note]
    remarks: dict[str, list[str]] = {}
    for row in rows:
        remarks.setdefault(row.note, []).append(row.finding)
    footnotes = sorted(f"{', '.join(dict.fromkeys(who))}: {note}." for note, who in remarks.items())
    remarks_of_all = [f"All numbers: {remark}." for remark in report.remarks]
    return [*remarks_of_all, scored, intervals, meanings, *thresholds, *footnotes]
