"""The measured numbers in the form in which they can stand beside published localization tables."""

from collections.abc import Sequence

import pandas as pd

from cxrloc.evaluation.localization.scores import LocalizationScores
from cxrloc.evaluation.localization.tables import COLUMNS, localization_frame, rows_of
from cxrloc.evaluation.measurement import Measurement

BESIDE_COLUMNS = (*COLUMNS, "detection_average_precision", "hit_rate", "outline_miou")
"""Columns that can be compared with a published table."""


def beside_frame(scores: LocalizationScores, metrics: Sequence[Measurement]) -> pd.DataFrame:
    """`localization_frame` with the accuracy of prior boxes, with detection AP, hit rates and mIoU.

    Published numbers mean little without the accuracy of prior boxes on the same images. Hit rates
    have rows of the criterion "point", where 0 pixels outside the truth are tolerated; beside them
    stands the hit rate of the centre of the prior box. mIoU with drawn truth has rows of the
    criterion "outline"; its thresholds were chosen on tuning patients, or else on the scored ones.
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
    points += [
        {
            "finding": row.finding,
            "criterion": "outline",
            "threshold": 0.0,
            "outline_miou": row.value,
            "outline_miou_low": row.low,
            "outline_miou_high": row.high,
        }
        for row in _of_one_choice(metrics, "outline_miou")
    ]
    if not points:
        return frame
    # Points have no counts of boxes; as floats, the others would be printed with four digits.
    counts = dict.fromkeys(frame.select_dtypes(int).columns, "Int64")
    return pd.concat([frame.astype(counts), pd.DataFrame(points)], ignore_index=True)


def _of_one_choice(metrics: Sequence[Measurement], name: str) -> list[Measurement]:
    """The rows of a metric, of the first of the choices of its threshold."""
    rows = [row for row in metrics if row.metric == name]
    return [row for row in rows if row.chosen_on == rows[0].chosen_on]
