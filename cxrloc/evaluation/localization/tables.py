"""Reports as data frames (CSV), Markdown and LaTeX; nothing is computed here but the layout."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.evaluation.localization.scores import PairedDifferences
from cxrloc.evaluation.table_rows import latex_row, markdown_row
from cxrloc.types import LocalizationReport, MatchRule

CRITERION_NAMES = {"iobb": "T(IoBB)", "iou": "T(IoU)"}

COLUMNS = (
    "finding",
    "criterion",
    "threshold",
    "annotated",
    "hit",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "detections",
    "false_positives",
    "afp",
    "heatmaps",
    "false_positives_per_heatmap",
)
"""Columns of `localization.csv`; NaN is an empty cell."""

_POPULATIONS = {
    "annotated": "with an expert box",
    "labelled": "with a positive image-level label",
    "predicted": "with a probability above the operating point",
    "all": "of every image with every finding",
}


def report_frame(report: LocalizationReport) -> pd.DataFrame:
    """One row per finding and rule, and for the mean; counts that are whole are integers."""
    rules = len(report.rules)
    frame = _grid_frame(report.rules, report.findings)
    for name in COLUMNS[3:]:
        values = getattr(report, name)
        by_rule = values if values.ndim == 2 else np.tile(values, (rules, 1))
        flat = by_rule.T.reshape(-1)
        counts = name in ("annotated", "hit", "detections", "false_positives", "heatmaps")
        whole = counts and np.array_equal(flat, flat.round())
        frame[name] = flat.astype(int) if whole else flat
    return frame


def reports_frame(reports: Mapping[str, LocalizationReport], column: str) -> pd.DataFrame:
    """Reports below each other, their names in the first column ("control", "view", ...)."""
    frames = [
        report_frame(report).assign(**{column: str(name)}) for name, report in reports.items()
    ]
    return pd.concat(frames, ignore_index=True)[[column, *COLUMNS]]


def differences_frame(differences: Mapping[str, PairedDifferences]) -> pd.DataFrame:
    """Accuracy of the model minus each control's, with the interval and whether it excludes 0."""
    frames = []
    for name, paired in differences.items():
        frame = _grid_frame(paired.rules, paired.findings)
        frame.insert(0, "control", name)
        frame["difference"] = paired.difference.T.reshape(-1)
        frame["difference_low"] = paired.low.T.reshape(-1)
        frame["difference_high"] = paired.high.T.reshape(-1)
        frame["excludes_0"] = (frame["difference_low"] > 0) | (frame["difference_high"] < 0)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def markdown_table(report: LocalizationReport) -> str:
    """Findings as columns, a block of rows per threshold: Wang et al. 2017, tables 4 and 7."""
    lines = []
    for criterion in dict.fromkeys(rule.criterion for rule in report.rules):
        lines += [markdown_row([CRITERION_NAMES[criterion], "", *report.findings])]
        lines += [markdown_row(["---"] * (2 + len(report.findings)))]
        lines += [markdown_row(row) for row in _rows(report, criterion)]
        lines += [""]
    return "\n".join([*lines, report_note(report), ""])


def controls_markdown(
    report: LocalizationReport,
    controls: Mapping[str, LocalizationReport],
    differences: Mapping[str, PairedDifferences],
) -> str:
    """Mean accuracy over findings of the model and of each control, by threshold.

    Behind a control's accuracy stands the model's minus the control's, with its 95 % interval.
    """
    rows = [["", "model", *controls], ["---"] * (2 + len(controls))]
    per_heatmap = [_boxes_per_heatmap(each) for each in (report, *controls.values())]
    rows.append(["boxes per heatmap", *per_heatmap])
    for index, rule in enumerate(report.rules):
        row = [f"{CRITERION_NAMES[rule.criterion]} {rule.threshold:g}"]
        row += _cells(report.accuracy[index, -1:])
        for name, control in controls.items():
            each = differences[name]
            by, low, high = (part[index, -1] for part in (each.difference, each.low, each.high))
            interval = "" if np.isnan(low) else f" ({low:+.3f} to {high:+.3f})"
            row.append(f"{control.accuracy[index, -1]:.4f}; {by:+.3f}{interval}")
        rows.append(row)
    return "\n".join([*map(markdown_row, rows), ""])


def latex_table(report: LocalizationReport) -> str:
    """The table of `markdown_table` for a paper (needs the package booktabs)."""
    lines = []
    for criterion in dict.fromkeys(rule.criterion for rule in report.rules):
        columns = "ll" + "r" * len(report.findings)
        header = [CRITERION_NAMES[criterion], "", *report.findings]
        lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", latex_row(header)]
        for row in _rows(report, criterion):
            lines += [r"\midrule"] if row[0] else []
            lines += [latex_row(row)]
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join([*lines, f"% {report_note(report)}", ""])


def _grid_frame(rules: Sequence[MatchRule], findings: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        [(finding, rule.criterion, rule.threshold) for finding in findings for rule in rules],
        columns=pd.Index(COLUMNS[:3]),
    )


def _rows(report: LocalizationReport, criterion: str) -> Iterator[list[str]]:
    """The boxes, then per threshold Acc. with its interval, and AFP by both divisors."""
    yield ["", "boxes", *(f"{count:.0f}" for count in report.annotated)]
    for index, rule in enumerate(report.rules):
        if rule.criterion == criterion:
            ends = zip(report.accuracy_low[index], report.accuracy_high[index], strict=True)
            yield [f"{rule.threshold:g}", "Acc.", *_cells(report.accuracy[index])]
            if not np.isnan(report.accuracy_low[index]).all():
                yield ["", "95 %", *(f"{low:.2f} to {high:.2f}" for low, high in ends)]
            yield ["", "AFP", *_cells(report.afp[index])]
            yield ["", "FP per heatmap", *_cells(report.false_positives_per_heatmap[index])]


def _cells(values: Float[np.ndarray, " n"]) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.4f}" for value in values]


def _boxes_per_heatmap(report: LocalizationReport) -> str:
    return f"{report.detections[-1] / report.heatmaps[-1]:.1f}" if report.heatmaps[-1] else ""


def report_note(report: LocalizationReport) -> str:
    """What was scored and how its numbers are made, in words."""
    return (
        f"Scored: {report.heatmaps[-1]:.0f} heatmaps of (image, finding) pairs "
        f"{_POPULATIONS[report.population]}, on {report.images} images of {report.patients} "
        f"patients; {report.detections[-1]:.0f} boxes, {report.left_out} on other pairs left out. "
        f"Acc. = annotated boxes hit / annotated boxes. AFP = boxes not correct / "
        f"{report.divisor} annotated boxes of all findings. Intervals: bootstrap over patients."
    )
