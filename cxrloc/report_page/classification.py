"""The data of the page that `cxrloc classify --html` writes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxrloc.datasets.records import judges
from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.operating_points import OperatingPoint
from cxrloc.evaluation.classification.ranking import Roc, roc
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.localization.boxes import SCORE
from cxrloc.report_page.pictures import (
    Pair,
    images_data,
    maps_data,
    quantised_maps,
    style_data,
    top_pairs,
    truth_of,
)
from cxrloc.types import Heatmaps, Label, Record

METRICS = ("auc", "pr_average_precision")
"""Metrics of the table. The page adds sensitivity and specificity at the reader's threshold."""

_MOST_POINTS = 1000  # points of a curve: a screen does not show more


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationRun:
    """A scored run.

    Attributes:
        units: what was scored.
        points: operating points by finding.
        report: its scores.
        bands: intervals of the ROC curves, as in `roc_bands.csv`.
        records: the images to show, boxes in the pixels of their images.
        probabilities: of each (image_id, finding) of these images.
        heatmaps: of these images; empty without a model.
        raw: probability before calibration of each (image_id, finding) with a map.
    """

    units: ScoredUnits
    points: Mapping[str, OperatingPoint]
    report: ClassificationReport
    bands: pd.DataFrame
    records: Sequence[Record]
    probabilities: Mapping[Pair, float]
    heatmaps: Sequence[Heatmaps]
    raw: Mapping[Pair, float]


def classification_data(run: ClassificationRun, pictures: Mapping[str, str]) -> dict[str, Any]:
    """The data of a page, in the form that its scripts read.

    Args:
        run: what to show.
        pictures: data URIs of the radiographs, by image; an image without one is shown black.
    """
    truth = truth_of(run.records)
    positive = {
        (record.image_id, finding)
        for record in run.records
        for finding, label in record.labels.items()
        if label is Label.POSITIVE
    }
    called = {
        pair
        for pair, probability in run.probabilities.items()
        if pair[1] in run.points and probability >= run.points[pair[1]].threshold
    }
    pairs = truth.keys() | positive | called | top_pairs(run.probabilities)
    quantised = quantised_maps(run.heatmaps, pairs)
    maps, places = maps_data(quantised)
    report = run.report
    return {
        "kind": "classify",
        "findings": list(report.findings),
        "style": style_data(),
        "images": images_data(run.records, pictures),
        "maps": maps,
        "pairs": _pairs(run, truth, places),
        "resampling": None,
        "state": {
            "thresholds": [60.0, 180.0] if quantised else [],
            "group": "all",
            "curveFinding": report.findings[0],
            "operating": {name: point.threshold for name, point in run.points.items()},
        },
        "metrics": METRICS,
        "groups": list(dict.fromkeys(row.group for row in report.measurements)),
        "measurements": [
            {
                "finding": row.finding,
                "group": row.group,
                "metric": row.metric,
                "value": row.value,
                "low": row.low,
                "high": row.high,
                "n": row.n,
                "positives": row.positives,
                "note": row.note,
            }
            for row in report.measurements
            if row.metric in METRICS
        ],
        "points": {name: asdict(point) for name, point in run.points.items()},
        "curves": _curves(run),
        "note": (
            f"Unit: {report.unit}; {report.units} of {report.patients} patients. Intervals: "
            f"{report.level:.0%}, percentile bootstrap over patients, {report.resamples} "
            "resamples. Sensitivity and specificity follow the threshold of each finding."
            + (f" {SCORE}" if quantised else "")
        ),
    }


def _pairs(
    run: ClassificationRun,
    truth: Mapping[Pair, list[list[float]]],
    places: Mapping[Pair, dict[str, Any]],
) -> list[dict[str, Any]]:
    """Every finding on every image shown; `present` is None where the label is uncertain."""
    return [
        {
            "image": index,
            "finding": finding,
            "findingIndex": column,
            "present": _present(record, finding),
            "probability": run.probabilities[record.image_id, finding],
            "raw": run.raw.get((record.image_id, finding)),
            "truth": truth.get((record.image_id, finding), []),
            "map": places.get((record.image_id, finding)),
        }
        for index, record in enumerate(run.records)
        for column, finding in enumerate(run.report.findings)
        if (record.image_id, finding) in run.probabilities
    ]


def _present(record: Record, finding: str) -> bool | None:
    unnamed = Label.NEGATIVE if judges(record, finding) else Label.UNCERTAIN
    label = record.labels.get(finding, unnamed)
    return None if label is Label.UNCERTAIN else label is Label.POSITIVE


def _curves(run: ClassificationRun) -> dict[str, dict[str, Any]]:
    """ROC curves of the findings that have one, with counts, thresholds and bands."""
    curves = {}
    for column, finding in enumerate(run.units.findings):
        known = run.units.known[:, column]
        truth = run.units.truth[known, column]
        curve = roc(truth, run.units.scores[known, column])
        if curve is None:
            continue
        kept = _kept_points(curve)
        band = run.bands[run.bands["finding"] == finding]
        columns = ["false_positive_rate", "sensitivity_low", "sensitivity_high"]
        curves[finding] = {
            # At the first point of a curve no image is positive, so its threshold is not finite.
            "thresholds": [None, *curve.thresholds[kept][1:].tolist()],
            "falsePositiveRate": curve.false_positive_rate[kept].tolist(),
            "sensitivity": curve.sensitivity[kept].tolist(),
            "positives": int(truth.sum()),
            "negatives": int((~truth).sum()),
            "band": band[columns].to_numpy(dtype=float).tolist(),
        }
    return curves


def _kept_points(curve: Roc) -> np.ndarray:
    """Indices of the points to keep: all, or evenly spaced ones of a long curve with both ends."""
    count = curve.thresholds.size
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).round().astype(int))
