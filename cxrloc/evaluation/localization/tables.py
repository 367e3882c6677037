"""The frames behind the CSV files of `bench`: views of measurements; nothing is measured here."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.evaluation.measurement import Measurement

CRITERION_NAMES = {"iobb": "T(IoBB)", "iou": "T(IoU)"}

COLUMNS = (
    *("finding", "criterion", "threshold", "annotated", "hit"),
    *("accuracy", "accuracy_low", "accuracy_high"),
    *("detections", "false_positives", "afp", "heatmaps", "false_positives_per_heatmap"),
)
"""Columns of `localization.csv`; NaN is an empty cell."""

METRIC_COLUMNS = (
    *("finding", "metric", "at", "match", "value", "low", "high"),
    *("n", "divisor", "divided_by", "threshold", "chosen_on", "averaged", "note"),
)
"""Columns of `metrics.csv`; n counts patients."""

_COUNTS = ("annotated", "hit", "detections", "false_positives", "heatmaps")


def rows_of(
    measurements: Iterable[Measurement], subject: str = "", group: str = "all"
) -> list[Measurement]:
    """The measurements of one subject on one group of images."""
    return [row for row in measurements if row.subject == subject and row.group == group]


def grid(
    rows: Iterable[Measurement], metric: str, field: str = "value"
) -> Float[np.ndarray, "kind column"]:
    """One field of one metric: a row per rule, a column per finding and last their mean.

    `field` is "value", "low", "high", "numerator" or "divisor"; missing numbers are NaN. For the
    mean, numerators and divisors are the sums over its findings.
    """
    kinds: dict[str, list[Measurement]] = {}
    for row in rows:
        if row.metric == metric:
            kinds.setdefault(row.match, []).append(row)
    values = [[getattr(row, field) for row in subject_rows] for subject_rows in kinds.values()]
    cells = np.array(values, dtype=float)
    if field in ("numerator", "divisor"):
        cells[:, -1] = cells[:, :-1].sum(axis=1)
    return cells


def localization_frame(rows: Sequence[Measurement]) -> pd.DataFrame:
    """`localization.csv` of one subject: a row per finding and rule, and for the mean.

    For the mean, counts are summed and rates are averaged. Counts that are whole are integers.
    """
    of = {(row.metric, row.finding, row.match): row for row in rows}
    accuracies = [row for row in rows if row.metric == "accuracy"]
    findings = dict.fromkeys(row.finding for row in accuracies if row.finding != "mean")
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for finding in (*findings, "mean"):
        for row in accuracies:
            if row.finding != finding:
                continue
            afp = of["afp", finding, row.match]
            per_heatmap = of.get(("false_positives_per_heatmap", finding, row.match))
            parts = [finding] if finding != "mean" else findings
            cells = {
                "finding": finding,
                "criterion": row.match.partition(" > ")[0],
                "threshold": row.at,
                "accuracy": row.value,
                "accuracy_low": row.low,
                "accuracy_high": row.high,
                "afp": afp.value,
                "false_positives_per_heatmap": per_heatmap and per_heatmap.value,
                **_counts(of, parts, row.match),
            }
            for name, cell in cells.items():
                columns[name].append(cell)
    frame = pd.DataFrame(columns).astype(dict.fromkeys(COLUMNS[2:], float))
    whole = [name for name in _COUNTS if (frame[name] == frame[name].round()).all()]
    return frame.astype(dict.fromkeys(whole, int))


def subjects_frame(
    measurements: Sequence[Measurement], names: Sequence[str], column: str
) -> pd.DataFrame:
    """The rows of several subjects, with their names in the first column ("control", "reading")."""
    parts = {name: localization_frame(rows_of(measurements, name)) for name in names}
    return _stacked(parts, column)


def views_frame(measurements: Sequence[Measurement]) -> pd.DataFrame | None:
    """`views.csv`: the judged boxes on the images of each view; None where no view is known."""
    parts = {view: localization_frame(rows) for view, rows in by_view(measurements).items()}
    return _stacked(parts, "view") if parts else None


def by_view(measurements: Sequence[Measurement]) -> dict[str, list[Measurement]]:
    """The measurements of each view."""
    views: dict[str, list[Measurement]] = {}
    for row in measurements:
        if row.group.startswith("view "):
            views.setdefault(row.group.removeprefix("view "), []).append(row)
    return views


def differences_frame(measurements: Iterable[Measurement], column: str) -> pd.DataFrame:
    """Accuracy differences from each other subject, and whether the interval excludes 0."""
    rows = [row for row in measurements if " - " in row.subject]
    order = {name: k for k, name in enumerate(dict.fromkeys(row.finding for row in rows))}
    subjects = {name: k for k, name in enumerate(dict.fromkeys(row.subject for row in rows))}
    rows.sort(key=lambda row: (subjects[row.subject], order[row.finding]))  # rules stay in order
    cells = [
        (
            row.subject.partition(" - ")[2],
            row.finding,
            row.match.partition(" > ")[0],
            row.at,
            row.value,
            row.low,
            row.high,
            excludes_0(row),
        )
        for row in rows
    ]
    ends = ("difference", "difference_low", "difference_high")
    return pd.DataFrame(cells, columns=pd.Index((column, *COLUMNS[:3], *ends, "excludes_0")))


def excludes_0(row: Measurement) -> bool:
    """Whether the interval of a difference lies on one side of 0; False without an interval."""
    return row.low is not None and row.high is not None and (row.low > 0 or row.high < 0)


def metrics_frame(measurements: Sequence[Measurement]) -> pd.DataFrame:
    """`metrics.csv`: one row per number; what is not defined is an empty cell."""
    rows = [
        [
            "; ".join(row.averaged) if name == "averaged" else getattr(row, name)
            for name in METRIC_COLUMNS
        ]
        for row in measurements
    ]
    return pd.DataFrame(rows, columns=pd.Index(METRIC_COLUMNS))


def _counts(
    of: dict[tuple[str, str, str], Measurement], findings: Iterable[str], match: str
) -> dict[str, float]:
    """The counts of a finding by one rule, or of several findings together."""
    counts = dict.fromkeys(_COUNTS, 0.0)
    for finding in findings:
        accuracy, afp = of["accuracy", finding, match], of["afp", finding, match]
        boxes = of.get(("boxes_per_heatmap", finding, ""))
        counts["annotated"] += accuracy.divisor
        counts["hit"] += accuracy.numerator or 0.0
        counts["false_positives"] += afp.numerator or 0.0
        if boxes is not None:
            counts["detections"] += boxes.numerator or 0.0
            counts["heatmaps"] += boxes.divisor
    return counts


def _stacked(parts: dict[str, pd.DataFrame], column: str) -> pd.DataFrame:
    frames = [frame.assign(**{column: name}) for name, frame in parts.items()]
    return pd.concat(frames, ignore_index=True)[[column, *COLUMNS]]
