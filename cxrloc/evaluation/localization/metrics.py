"""Every localization metric of maps and boxes, each number with its interval and its threshold.

Definitions, each with a drawn example:

| metric | where |
| --- | --- |
| `hit_rate`, `prior_hit_rate`, `pointing_game`; of a reader's points `reader_*` | `pointing` |
| `miou`, `pixel_average_precision` | `mask_overlap` |
| `max_box_accuracy`, `max_box_accuracy_v2`, `max_box_accuracy_v2_mean` | `box_selection` |
| `box_accuracy_over_*`, `image_accuracy`, `centre_containment` | `hits` |
| `outline_accuracy`, where the truth is drawn as polygons or masks | `outlines` |
| `outline_miou`, where the truth is drawn and maps are scored | `map_metrics` |
| `froc_sensitivity`, `froc_score` | `froc` |
| `detection_average_precision`, `detection_average_precision_coco` | `detection_ap` |
| `rodeo`, `rodeo_localization`, `rodeo_shape`, `rodeo_classification` | `rodeo` |
| `detection_sensitivity`, `detection_precision`, `detection_f1` | `box_metrics` |
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.datasets.chexlocalize import Point
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.localization.box_metrics import box_metrics, operating_metrics
from cxrloc.evaluation.localization.map_metrics import (
    Ladder,
    area_ladder,
    box_ladders,
    chosen_metrics,
    metric_at,
    outline_miou,
    pixel_precision_metric,
    pointing_metrics,
    reader_metrics,
)
from cxrloc.evaluation.localization.mask_overlap import LEVELS, MapAreas, map_areas
from cxrloc.evaluation.localization.measure import Metric, measure
from cxrloc.evaluation.localization.outlines import outline_metrics
from cxrloc.evaluation.localization.placed_run import PlacedRun
from cxrloc.evaluation.localization.pointing import place_points
from cxrloc.evaluation.localization.threshold_choice import FIXED, ORACLE, tuning_patients
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import resample_group


def score_metrics(run: PlacedRun) -> list[Measurement]:
    """Every metric that the maps and boxes of a run allow.

    Numbers without a chosen threshold come from all patients. Numbers with a chosen threshold come
    from the patients on whom it was not chosen; those that are marked as the oracle's come from all
    patients.
    """
    pairs, protocol = run.pairs, run.protocol
    levels = np.union1d(LEVELS, protocol.box_thresholds)
    areas = map_areas(pairs, run.maps, levels) if run.maps else None
    fixed, ladders = _of_maps(run, areas, levels) if areas else ([], [])

    def chosen(on: Bool[np.ndarray, " patient"], name: str) -> list[Metric]:
        from_maps = chosen_metrics(pairs, ladders, levels, on, name)
        if areas:
            from_maps += outline_miou(pairs, areas, levels, on, name)
        return [*from_maps, *operating_metrics(pairs, run.claims, on, name)]

    fixed += box_metrics(pairs, run.claims)
    fixed += outline_metrics(pairs, run.claims, protocol.rules)
    rows = measure(fixed, run.draws)
    tuning = tuning_patients(run.carries, protocol.thresholds)
    if tuning.any():
        name = f"{int(tuning.sum())} tuning patients, not scored in this row"
        others = resample_group(run.carries, ~tuning, protocol.resampling)
        rows += measure(chosen(tuning, name), others)
    if protocol.thresholds.oracle:
        everyone = np.ones(pairs.patients, dtype=bool)
        rows += measure(chosen(everyone, ORACLE), run.draws)
    return rows


def score_points(run: PlacedRun, points: Sequence[Point]) -> list[Measurement]:
    """`reader_hit_rate` and `reader_pointing_game` of the points that a reader set.

    Points on other images or findings are left out; a pair with truth but without a point is a
    miss.

    Raises:
        CxrlocError: none of the points is on these images.
    """
    placed = place_points(run.pairs, points)
    if not placed.pair.size:
        raise CxrlocError(f"none of {len(points)} points is on an image and finding with truth")
    return measure(reader_metrics(run.pairs, placed, run.protocol.tolerance), run.draws)


def _of_maps(
    run: PlacedRun, areas: MapAreas, levels: Float[np.ndarray, " level"]
) -> tuple[list[Metric], list[Ladder]]:
    """Metrics of maps that need no chosen threshold, and the ladders of those that need one."""
    pairs, maps, protocol = run.pairs, run.maps, run.protocol
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
