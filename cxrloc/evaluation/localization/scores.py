"""The whole table: a model's boxes, the controls beside it, and their paired differences."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from jaxtyping import Float

from cxrloc.evaluation.localization.box_accuracy import (
    PUBLISHED_RULES,
    BoxCounts,
    accuracy,
    count_boxes,
    localization_report,
    mean_counts,
)
from cxrloc.evaluation.localization.controls import (
    PlacedMaps,
    RegionFinder,
    boxes_of_maps,
    oracle_maps,
    permuted,
    place_heatmaps,
    prior_mean,
    prior_medoid,
    random_maps,
)
from cxrloc.evaluation.localization.scored_pairs import (
    Claims,
    Population,
    ScoredPairs,
    place_detections,
    scored_pairs,
)
from cxrloc.evaluation.resampling import Resampling, bootstrap
from cxrloc.localization.dense_regions import find_regions_dense
from cxrloc.localization.regions import find_regions, scale_maps
from cxrloc.types import Detection, Heatmaps, LocalizationReport, MatchRule, Record, View

SENSITIVITY: dict[str, RegionFinder] = {
    "dense": find_regions_dense,
    "nearest_neighbour": partial(find_regions_dense, interpolation="nearest"),
    "eight_connected": partial(find_regions_dense, connectivity=8),
    "dense_scaling": partial(find_regions_dense, scale_by="dense"),
}
"""Other readings of the box rule, all on maps upsampled to 1024 x 1024."""


@dataclass(frozen=True, slots=True)
class ScoringProtocol:
    """How boxes are scored.

    Attributes:
        rules: when a box is correct; one set of rows each.
        population: whose heatmaps give boxes.
        box_thresholds: of the box rule, 0 to 255, for controls that have maps.
        resampling: of the intervals; its seed also draws the random controls.
        draws: seeded draws that a random control is averaged over.
    """

    rules: tuple[MatchRule, ...] = PUBLISHED_RULES
    population: Population = "annotated"
    box_thresholds: tuple[float, ...] = (60.0, 180.0)
    resampling: Resampling = field(default_factory=Resampling)
    draws: int = 20


@dataclass(frozen=True, slots=True, eq=False)
class PairedDifferences:
    """Accuracy of the model minus that of a control, over the same resamples of patients."""

    rules: tuple[MatchRule, ...]
    findings: tuple[str, ...]
    difference: Float[np.ndarray, "rule finding"]
    low: Float[np.ndarray, "rule finding"]
    high: Float[np.ndarray, "rule finding"]


@dataclass(frozen=True, slots=True, eq=False)
class LocalizationScores:
    """Everything that a fair table shows.

    Attributes:
        report: the model's (or tool's) boxes.
        by_view: the same on the images of one view, with that view's boxes as divisor.
        controls: reports of `prior_mean`, `prior_medoid` and, where maps exist, `random`,
            `permuted` and `oracle_map`.
        differences: model minus each control.
        maps_missing: scored pairs without a heatmap, None where no maps were given.
        maps_degenerate: heatmaps that give no box, flat or not finite; None without maps.
    """

    report: LocalizationReport
    by_view: Mapping[str, LocalizationReport]
    controls: Mapping[str, LocalizationReport]
    differences: Mapping[str, PairedDifferences]
    maps_missing: int | None
    maps_degenerate: int | None


def score_localization(
    records: Sequence[Record],
    detections: Sequence[Detection],
    protocol: ScoringProtocol,
    heatmaps: Sequence[Heatmaps] = (),
    predicted: Collection[tuple[str, str]] = (),
) -> LocalizationScores:
    """Score boxes by the published protocol, with controls and intervals.

    Args:
        records: the images scored, boxes in the pixels of the detections.
        detections: the boxes; those on pairs outside the population are counted and left out.
        protocol: rules, population and intervals.
        heatmaps: the maps that the boxes come from, for the controls that need them.
        predicted: (image_id, finding) above the operating point, for that population.

    Raises:
        CxrlocError: no annotated box, or a heatmap that is turned against its image.
    """
    pairs = scored_pairs(records, protocol.population, predicted)
    claims, left_out = place_detections(pairs, detections)
    maps = place_heatmaps(pairs, heatmaps)
    controls = {
        name: mean_counts([count_boxes(pairs, draw, protocol.rules) for draw in draws])
        for name, draws in _controls(pairs, claims, maps, protocol)
    }
    counts = count_boxes(pairs, claims, protocol.rules)
    report = localization_report(pairs, counts, protocol.rules, left_out)
    report, reports, differences = _compare(pairs, report, counts, controls, protocol.resampling)
    placed = sum(each.pair.size for each in maps)
    usable = sum(scale_maps(each.scores)[1].size for each in maps)
    return LocalizationScores(
        report=report,
        by_view=_score_views(records, detections, protocol, predicted),
        controls=reports,
        differences=differences,
        maps_missing=int(pairs.scored.sum()) - placed if heatmaps else None,
        maps_degenerate=placed - usable if heatmaps else None,
    )


def score_sensitivity(
    records: Sequence[Record],
    heatmaps: Sequence[Heatmaps],
    protocol: ScoringProtocol,
    predicted: Collection[tuple[str, str]] = (),
) -> tuple[dict[str, LocalizationReport], dict[str, PairedDifferences]]:
    """What other readings of the box rule would give, and the exact rule minus each of them.

    Slow: every map is upsampled to 1024 x 1024.
    """
    pairs = scored_pairs(records, protocol.population, predicted)
    maps = place_heatmaps(pairs, heatmaps)

    def counts_by(finder: RegionFinder) -> BoxCounts:
        claims = boxes_of_maps(maps, protocol.box_thresholds, finder)
        return count_boxes(pairs, claims, protocol.rules)

    counts = counts_by(find_regions)
    readings = {name: counts_by(finder) for name, finder in SENSITIVITY.items()}
    report = localization_report(pairs, counts, protocol.rules)
    report, reports, differences = _compare(pairs, report, counts, readings, protocol.resampling)
    return {"exact": report} | reports, differences


def _controls(
    pairs: ScoredPairs, claims: Claims, maps: Sequence[PlacedMaps], protocol: ScoringProtocol
) -> Iterator[tuple[str, list[Claims]]]:
    yield "prior_mean", [prior_mean(pairs)]
    yield "prior_medoid", [prior_medoid(pairs)]
    if not maps:
        return
    thresholds, draws = protocol.box_thresholds, range(protocol.draws)
    noise, order = np.random.default_rng(protocol.resampling.seed).spawn(2)
    yield "random", [random_maps(maps, thresholds, noise) for _ in draws]
    yield "permuted", [permuted(pairs, claims, order) for _ in draws]
    yield "oracle_map", [oracle_maps(pairs, maps, thresholds)]


def _score_views(
    records: Sequence[Record],
    detections: Sequence[Detection],
    protocol: ScoringProtocol,
    predicted: Collection[tuple[str, str]],
) -> dict[str, LocalizationReport]:
    reports: dict[str, LocalizationReport] = {}
    for view in View:
        of_view = [record for record in records if record.view is view]
        if not any(record.annotations for record in of_view):
            continue
        pairs = scored_pairs(of_view, protocol.population, predicted)
        claims, left_out = place_detections(pairs, detections)
        counts = count_boxes(pairs, claims, protocol.rules)
        report = localization_report(pairs, counts, protocol.rules, left_out)
        reports[view], _, _ = _compare(pairs, report, counts, {}, protocol.resampling)
    return reports


def _compare(
    pairs: ScoredPairs,
    report: LocalizationReport,
    counts: BoxCounts,
    others: Mapping[str, BoxCounts],
    resampling: Resampling,
) -> tuple[LocalizationReport, dict[str, LocalizationReport], dict[str, PairedDifferences]]:
    """The reports with intervals, and paired differences, from one bootstrap."""
    rules, findings = report.rules, report.findings

    def values(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        model = accuracy(counts, weights)
        rest = [accuracy(other, weights) for other in others.values()]
        rows = [model, *rest, *(model - other for other in rest)]
        return np.concatenate(rows).reshape(-1, weights.shape[1])

    shape = (1 + 2 * len(others), len(rules), len(findings))
    estimate = values(np.ones((pairs.patients, 1))).reshape(shape)
    low = high = np.full(shape, np.nan)
    if resampling.resamples:
        sampled = bootstrap(values, counts.annotated > 0, resampling)
        low, high = sampled.low.reshape(shape), sampled.high.reshape(shape)
    reports, differences = {}, {}
    for index, (name, other) in enumerate(others.items(), start=1):
        reports[name] = replace(
            localization_report(pairs, other, rules),
            accuracy_low=low[index],
            accuracy_high=high[index],
        )
        row = index + len(others)
        differences[name] = PairedDifferences(rules, findings, estimate[row], low[row], high[row])
    return replace(report, accuracy_low=low[0], accuracy_high=high[0]), reports, differences
