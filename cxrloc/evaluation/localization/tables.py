"""Views of localization measurements: the frames behind the CSV files, and printed tables.

This module measures nothing. A printed table is a frame of text, which `files.table_writer` turns
into Markdown, LaTeX or a table on the terminal.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.evaluation.localization.measure import ALL_FINDINGS
from cxrloc.evaluation.localization.scores import LocalizationScores
from cxrloc.types import Measurement

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

_POPULATIONS = {
    "annotated": "with an expert box",
    "labelled": "with a positive image-level label",
    "predicted": "with a probability above the operating point",
    "all": "of every image with every finding",
}


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
    values = [[getattr(row, field) for row in own] for own in kinds.values()]
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


BESIDE_COLUMNS = (*COLUMNS, "detection_average_precision", "hit_rate")
"""Columns that can be compared with a published table."""


def beside_frame(scores: LocalizationScores, metrics: Sequence[Measurement]) -> pd.DataFrame:
    """`localization_frame` with the accuracy of prior boxes, with detection AP and hit rates.

    Published numbers mean little without the accuracy of prior boxes on the same images. Hit rates
    have rows of the criterion "point", where 0 pixels outside the truth are tolerated; beside them
    stands the hit rate of the centre of the prior box.
    """
    frame = localization_frame(rows_of(scores.measurements))
    for name in scores.controls:
        if name.startswith("prior_"):
            prior = localization_frame(rows_of(scores.measurements, name))
            frame[f"{name}_accuracy"] = prior["accuracy"]
    precision = {
        (row.finding, row.at): row.value
        for row in metrics
        if row.metric == "detection_average_precision"
    }
    keys = zip(frame["finding"], frame["threshold"].tolist(), frame["criterion"], strict=True)
    frame["detection_average_precision"] = [
        precision.get((str(finding), threshold)) if criterion == "iou" else None
        for finding, threshold, criterion in keys
    ]
    frame = frame.astype({"detection_average_precision": float})
    hits = [row for row in metrics if row.metric == "hit_rate"]
    of_prior = {row.finding: row.value for row in metrics if row.metric == "prior_hit_rate"}
    points = [
        {
            "finding": row.finding,
            "criterion": "point",
            "threshold": 0.0,
            "hit_rate": row.value,
            "hit_rate_low": row.low,
            "hit_rate_high": row.high,
            "prior_medoid_accuracy": of_prior[row.finding],
        }
        for row in hits
    ]
    if not points:
        return frame
    # Points have no counts of boxes; as floats, the others would be printed with four digits.
    counts = dict.fromkeys(frame.select_dtypes(int).columns, "Int64")
    return pd.concat([frame.astype(counts), pd.DataFrame(points)], ignore_index=True)


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
        str(criterion): _wang_table(own, str(criterion))
        for criterion, own in frame.groupby("criterion", sort=False)
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


def _wang_table(frame: pd.DataFrame, criterion: str) -> pd.DataFrame:
    thresholds = [f"{threshold:g}" for threshold in dict.fromkeys(frame["threshold"])]
    table: list[list[str]] = []
    for finding, own in frame.groupby("finding", sort=False):
        measures = list(_measures(own))
        first = [str(finding), f"{own['annotated'].iloc[0]:.0f}"]
        table += [[*(first if not k else ("", "")), *row] for k, row in enumerate(measures)]
    columns = ["finding", "boxes", CRITERION_NAMES[criterion], *thresholds]
    return pd.DataFrame(table, columns=pd.Index(columns))


def _measures(own: pd.DataFrame) -> Iterator[list[str]]:
    """The rows of one finding."""
    yield ["Acc.", *_cells(own["accuracy"])]
    ends = own[["accuracy_low", "accuracy_high"]]
    if ends.notna().any(axis=None):
        pairs = ends.itertuples(index=False)
        yield ["95 %", *("" if np.isnan(a) else f"{a:.2f} to {b:.2f}" for a, b in pairs)]
    yield ["AFP", *_cells(own["afp"])]
    yield ["FP per heatmap", *_cells(own["false_positives_per_heatmap"])]


def _cells(values: pd.Series) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.4f}" for value in values]


def _interval(row: Measurement, digits: str) -> str:
    if row.low is None or row.high is None:
        return ""
    return f"{row.low:{digits}} to {row.high:{digits}}"


def _boxes_per_heatmap(frame: pd.DataFrame) -> str:
    mean = frame[frame["finding"] == "mean"].iloc[0]
    return f"{mean['detections'] / mean['heatmaps']:.1f}" if mean["heatmaps"] else ""
