"""Every localization metric of maps and boxes, each number with its interval and its threshold.

Definitions, each with a drawn example:

| metric | where |
| --- | --- |
| `hit_rate`, `pointing_game`; of a reader's points `reader_*` | `pointing` |
| `miou`, `pixel_average_precision` | `mask_overlap` |
| `max_box_accuracy`, `max_box_accuracy_v2`, `max_box_accuracy_v2_mean` | `box_selection` |
| `box_accuracy_over_*`, `image_accuracy` | `box_hits` |
| `froc_sensitivity`, `froc_score` | `froc` |
| `detection_average_precision`, `detection_average_precision_coco` | `detection_ap` |
| `detection_sensitivity`, `detection_precision`, `detection_f1` | `box_metrics` |
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool

from cxrloc.datasets.chexlocalize import Point
from cxrloc.evaluation.localization.box_metrics import box_metrics, operating_metrics
from cxrloc.evaluation.localization.controls import PlacedMaps, place_heatmaps
from cxrloc.evaluation.localization.map_metrics import (
    Ladder,
    area_ladder,
    box_ladders,
    chosen_metrics,
    metric_at,
    pixel_precision_metric,
    pointing_metrics,
    reader_metrics,
)
from cxrloc.evaluation.localization.mask_overlap import LEVELS, map_areas
from cxrloc.evaluation.localization.metric import (
    ALL_FINDINGS,
    Metric,
    measure,
    sums_by_patient,
)
from cxrloc.evaluation.localization.pointing import TOLERANCE, place_points
from cxrloc.evaluation.localization.scored_pairs import (
    Population,
    ScoredPairs,
    place_detections,
    scored_pairs,
)
from cxrloc.evaluation.localization.threshold_choice import (
    FIXED,
    ORACLE,
    ThresholdProtocol,
    tuning_patients,
)
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import CxrlocError, Detection, Heatmaps, Measurement, Record

COLUMNS = (
    *("finding", "metric", "at", "match", "value", "low", "high"),
    *("n", "divisor", "divided_by", "threshold", "chosen_on"),
)
"""Columns of `metrics.csv`; n counts patients."""


@dataclass(frozen=True, slots=True)
class MetricsProtocol:
    """How maps and boxes are scored.

    Attributes:
        population: which (image, finding) pairs are scored.
        box_thresholds: fixed thresholds at which mIoU is given too.
        tolerance: of the pointing game, in pixels of the original image.
        thresholds: on whom other thresholds are chosen.
        resampling: of the intervals.
    """

    population: Population = "annotated"
    box_thresholds: tuple[float, ...] = (60.0, 180.0)
    tolerance: float = TOLERANCE
    thresholds: ThresholdProtocol = field(default_factory=ThresholdProtocol)
    resampling: Resampling = field(default_factory=Resampling)


def score_maps(
    records: Sequence[Record],
    detections: Sequence[Detection],
    protocol: MetricsProtocol,
    heatmaps: Sequence[Heatmaps] = (),
    predicted: Collection[tuple[str, str]] = (),
) -> list[Measurement]:
    """Every metric that the maps and boxes allow.

    Numbers without a chosen threshold come from all patients; those with one from the patients
    that it was not chosen on or, marked as the oracle's, from all.

    Args:
        records: the images scored, with truth in pixels of the detections.
        detections: boxes with scores; those outside the population are left out.
        protocol: population, thresholds, intervals.
        heatmaps: the maps; without them there are the metrics of boxes alone.
        predicted: (image_id, finding) above the operating point, for that population.

    Raises:
        CxrlocError: no annotated box, or a heatmap that is turned against its image.
    """
    pairs = scored_pairs(records, protocol.population, predicted)
    claims, _ = place_detections(pairs, detections)
    maps = place_heatmaps(pairs, heatmaps)
    levels = np.union1d(LEVELS, protocol.box_thresholds)
    fixed, ladders = _of_maps(pairs, maps, protocol) if maps else ([], [])
    carries = sums_by_patient(pairs, pairs.truth_pair) > 0

    def chosen(on: Bool[np.ndarray, " patient"], name: str) -> list[Metric]:
        from_maps = chosen_metrics(pairs, ladders, levels, on, name)
        return [*from_maps, *operating_metrics(pairs, claims, on, name)]

    everyone = np.ones(pairs.patients, dtype=bool)
    fixed += box_metrics(pairs, claims)
    rows = measure(fixed, everyone, carries, protocol.resampling)
    tuning = tuning_patients(carries, protocol.thresholds)
    if tuning.any():
        name = f"{int(tuning.sum())} tuning patients, not scored in this row"
        rows += measure(chosen(tuning, name), ~tuning, carries, protocol.resampling)
    if protocol.thresholds.oracle:
        rows += measure(chosen(everyone, ORACLE), everyone, carries, protocol.resampling)
    return rows


def score_points(
    records: Sequence[Record],
    points: Sequence[Point],
    protocol: MetricsProtocol,
    predicted: Collection[tuple[str, str]] = (),
) -> list[Measurement]:
    """`reader_hit_rate` and `reader_pointing_game` of the points that a reader set.

    Points on other images or findings are left out; a pair with truth and no point is a miss.

    Raises:
        CxrlocError: none of the points is on these images, or no annotated box.
    """
    pairs = scored_pairs(records, protocol.population, predicted)
    placed = place_points(pairs, points)
    if not placed.pair.size:
        raise CxrlocError(f"none of {len(points)} points is on an image and finding with truth")
    metrics = reader_metrics(pairs, placed, protocol.tolerance)
    everyone = np.ones(pairs.patients, dtype=bool)
    carries = sums_by_patient(pairs, pairs.truth_pair) > 0
    return measure([*metrics], everyone, carries, protocol.resampling)


def metrics_frame(measurements: Sequence[Measurement]) -> pd.DataFrame:
    """`metrics.csv`: one row per number; what is not defined is an empty cell."""
    rows = [[getattr(row, name) for name in COLUMNS] for row in measurements]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def metrics_markdown(measurements: Sequence[Measurement]) -> str:
    """The means over findings as a table; each says who chose its threshold."""
    rows = metrics_rows(measurements)
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def metrics_rows(measurements: Sequence[Measurement]) -> list[list[str]]:
    """Headings, then the means over findings as cells."""
    rows = [["metric", "at", "match", "mean", "95 %", "n", "threshold", "chosen on"]]
    for row in measurements:
        if row.finding in ("mean", *ALL_FINDINGS):
            at, threshold = (f"{x:g}" if x is not None else "" for x in (row.at, row.threshold))
            known = row.low is not None and row.high is not None
            interval = f"{row.low:.3f} to {row.high:.3f}" if known else ""
            name = row.metric if row.finding == "mean" else f"{row.metric}, {row.finding}"
            cells = [name, at, row.match, f"{row.value:.4f}", interval, str(row.n), threshold]
            rows.append([*cells, row.chosen_on])
    return rows


def _of_maps(
    pairs: ScoredPairs, maps: Sequence[PlacedMaps], protocol: MetricsProtocol
) -> tuple[list[Metric], list[Ladder]]:
    """Metrics of maps without a choice, and the ladders of those that need one."""
    levels = np.union1d(LEVELS, protocol.box_thresholds)
    areas = map_areas(pairs, maps, levels)
    overlap = area_ladder(pairs, areas)
    fixed = [
        *pointing_metrics(pairs, maps, protocol.tolerance),
        pixel_precision_metric(pairs, areas),
        *(
            metric_at(pairs, overlap, int(np.searchsorted(levels, each)), each, FIXED)
            for each in protocol.box_thresholds
        ),
    ]
    return fixed, [overlap, *box_ladders(pairs, maps, levels)]
