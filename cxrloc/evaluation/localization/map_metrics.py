"""Metrics of maps: pointing, mIoU, PxAP and MaxBoxAcc, at fixed and at chosen thresholds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from cxrloc.evaluation.localization.box_selection import DELTAS, selected_iou
from cxrloc.evaluation.localization.controls import PlacedMaps, prior_medoid
from cxrloc.evaluation.localization.mask_overlap import MapAreas, area_iou, pixel_average_precision
from cxrloc.evaluation.localization.measure import Kind, Metric, ratio
from cxrloc.evaluation.localization.pointing import Points, highest_points, pairs_hit
from cxrloc.evaluation.localization.scored_pairs import ScoredPairs, sums_by_patient
from cxrloc.evaluation.localization.threshold_choice import best_level
from cxrloc.evaluation.resampling import Statistic

_PAIRS = "image and finding pairs with truth"


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """A ratio of sums at every level of a threshold; one of the levels will be chosen.

    Attributes:
        kind: the metric that the ratio gives.
        numerator: sums by patient and finding.
        denominator: sums by patient and finding.
        divided_by: the denominator in words.
    """

    kind: Kind
    numerator: Float[np.ndarray, "patient finding level"]
    denominator: Float[np.ndarray, "patient finding level"]
    divided_by: str


def pointing_metrics(
    pairs: ScoredPairs, maps: Sequence[PlacedMaps], tolerance: float
) -> Iterator[Metric]:
    """`hit_rate` (Saporta et al. 2022) and `pointing_game` (Zhang et al. 2016, with tolerance).

    `prior_hit_rate` is the hit rate without any map: of the centre of the box of `prior_medoid`.
    """
    points, prior = highest_points(maps), prior_medoid(pairs)
    centres = Points((prior.boxes[:, :2] + prior.boxes[:, 2:]) / 2, prior.pair)
    yield _pointing(pairs, centres, "prior_hit_rate", 0.0)
    yield _pointing(pairs, points, "hit_rate", 0.0)
    yield _pointing(pairs, points, "pointing_game", tolerance)


def reader_metrics(pairs: ScoredPairs, points: Points, tolerance: float) -> Iterator[Metric]:
    """Hit rate and pointing game of a reader's points: `reader_hit_rate`, `reader_pointing_game`.

    Source: Saporta et al. 2022, who compare the hit rate of maps with that of a radiologist's
    most representative points.
    """
    yield _pointing(pairs, points, "reader_hit_rate", 0.0)
    yield _pointing(pairs, points, "reader_pointing_game", tolerance)


def _pointing(pairs: ScoredPairs, points: Points, name: str, within: float) -> Metric:
    pair = np.unique(pairs.truth_pair)
    bottom = sums_by_patient(pairs, pair)
    top = sums_by_patient(pairs, pair[pairs_hit(pairs, points, within)])
    return Metric((Kind(name, within),), ratio(top, bottom), bottom, _PAIRS, pairs.findings)


def pixel_precision_metric(pairs: ScoredPairs, areas: MapAreas) -> Metric:
    """`pixel_average_precision` (PxAP, Choe et al. 2020), which needs no threshold."""
    truth = sums_by_patient(pairs, areas.pair, areas.truth)
    return Metric(
        (Kind("pixel_average_precision"),),
        _pixel_precision_statistic(pairs, areas),
        truth,
        "area of the truth, in images",
        pairs.findings,
    )


def area_ladder(pairs: ScoredPairs, areas: MapAreas) -> Ladder:
    """`miou` at every level: mean IoU over pairs that have truth, an area above it, or both."""
    overlap = area_iou(areas)
    return Ladder(
        Kind("miou"),
        sums_by_patient(pairs, areas.pair, np.nan_to_num(overlap)),
        sums_by_patient(pairs, areas.pair, (~np.isnan(overlap)).astype(float)),
        "image and finding pairs with truth or a thresholded map",
    )


def outline_miou(
    pairs: ScoredPairs,
    areas: MapAreas,
    levels: Float[np.ndarray, " level"],
    on: Bool[np.ndarray, " patient"],
    chosen_on: str,
) -> list[Metric]:
    """`outline_miou`: mIoU over pairs with truth, each finding at a threshold of its own.

    Source: Saporta et al. 2022 (CheXlocalize), Extended Data Fig. 1: maps are scaled by their own
    extremes, and each finding takes the threshold with its highest mIoU on the validation set, here
    on the patients `on`. A finding that these patients lack takes the level that is best over all
    others.
    Departs: the threshold is one of all levels, not only of those from 0.2 to 0.8 of the range. A
    pair whose map has no area above the threshold counts as 0; the authors' program leaves such
    pairs out by default.

    The result is empty if every truth is a box.
    """
    if all(shape is None for shape in pairs.shapes):
        return []
    of_truth = np.isin(areas.pair, pairs.truth_pair)
    pair = areas.pair[of_truth]
    top = sums_by_patient(pairs, pair, np.nan_to_num(area_iou(areas)[of_truth]))
    bottom = sums_by_patient(pairs, pair, np.ones((pair.size, levels.size)))
    common = best_level(top, bottom, on)
    if common is None:
        return []
    columns = np.arange(len(pairs.findings))
    finding_levels = [best_level(top[:, [column]], bottom[:, [column]], on) for column in columns]
    level = np.array([common if best is None else best for best in finding_levels])
    return [
        Metric(
            (Kind("outline_miou"),),
            ratio(top[:, columns, level], bottom[:, :, 0]),
            bottom[:, :, 0],
            _PAIRS,
            pairs.findings,
            levels[level],
            chosen_on,
        )
    ]


def box_ladders(
    pairs: ScoredPairs, maps: Sequence[PlacedMaps], levels: Float[np.ndarray, " level"]
) -> list[Ladder]:
    """`max_box_accuracy` and `max_box_accuracy_v2` at each delta (Choe et al. 2020)."""
    selected = selected_iou(pairs, maps, levels)
    kinds = {"max_box_accuracy": selected.largest, "max_box_accuracy_v2": selected.best}
    bottom = sums_by_patient(pairs, selected.pair, np.ones_like(selected.best))
    return [
        Ladder(
            Kind(name, at, f"iou >= {at:g}"),
            sums_by_patient(pairs, selected.pair, (overlap >= at).astype(float)),
            bottom,
            _PAIRS,
        )
        for name, overlap in kinds.items()
        for at in DELTAS
    ]


def metric_at(
    pairs: ScoredPairs, ladder: Ladder, level: int, threshold: float, chosen_on: str
) -> Metric:
    """The metric at one level of its ladder."""
    top, bottom = ladder.numerator[:, :, level], ladder.denominator[:, :, level]
    return Metric(
        (ladder.kind,),
        ratio(top, bottom),
        bottom,
        ladder.divided_by,
        pairs.findings,
        np.full(len(pairs.findings), threshold),
        chosen_on,
    )


def chosen_metrics(
    pairs: ScoredPairs,
    ladders: Sequence[Ladder],
    levels: Float[np.ndarray, " level"],
    on: Bool[np.ndarray, " patient"],
    chosen_on: str,
) -> list[Metric]:
    """Each metric at the level that is best on some patients, and the mean of V2 over delta."""
    chosen, second_version = [], []
    for ladder in ladders:
        level = best_level(ladder.numerator, ladder.denominator, on)
        if level is None:
            continue
        chosen.append(metric_at(pairs, ladder, level, float(levels[level]), chosen_on))
        if ladder.kind.metric == "max_box_accuracy_v2":
            second_version.append(ladder.numerator[:, :, level])
            bottom = ladder.denominator[:, :, level]
    if second_version:
        top = np.mean(second_version, axis=0)
        kind = Kind("max_box_accuracy_v2_mean")
        chosen.append(
            Metric((kind,), ratio(top, bottom), bottom, _PAIRS, pairs.findings, None, chosen_on)
        )
    return chosen


def _pixel_precision_statistic(pairs: ScoredPairs, areas: MapAreas) -> Statistic:
    above, common, truth, images = (
        sums_by_patient(pairs, areas.pair, values)
        for values in (areas.above, areas.common, areas.truth, np.ones(areas.pair.size))
    )

    def values(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        # finding level resample -> finding resample level
        drawn, found = (
            np.tensordot(sums, weights, axes=(0, 0)).swapaxes(1, 2) for sums in (above, common)
        )
        return pixel_average_precision(drawn, found, truth.T @ weights, images.T @ weights)

    return values
