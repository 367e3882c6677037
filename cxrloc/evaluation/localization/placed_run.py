"""One run as arrays: truth, boxes, maps and resamples, which all measures of the run share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool

from cxrloc.errors import UsageError
from cxrloc.evaluation.localization.accuracy import PUBLISHED_RULES
from cxrloc.evaluation.localization.controls import PlacedMaps, place_heatmaps
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.pointing import TOLERANCE
from cxrloc.evaluation.localization.scored_pairs import (
    POPULATIONS,
    PlacedBoxes,
    Population,
    ScoredPairs,
    place_detections,
    scored_pairs,
    sums_by_patient,
)
from cxrloc.evaluation.localization.threshold_choice import ThresholdProtocol
from cxrloc.evaluation.resampling import Draws, Resampling, resample_group
from cxrloc.localization.box_rules import BoxRule
from cxrloc.types import Detection, Heatmaps, Record, View


@dataclass(frozen=True, slots=True)
class ScoringProtocol:
    """How boxes and maps are scored.

    Attributes:
        rules: when a box is correct; every rule gives its own set of rows.
        population: whose heatmaps give boxes.
        box_thresholds: thresholds of the box rule, 0 to 255, for controls that have maps; mIoU is
            also given at each of them.
        box_rule: how a map becomes boxes, a name of `BOX_RULES`.
        finding_thresholds: grey level of each finding for the rule "one-box".
        thresholds_from: the source of the finding thresholds, in words.
        tolerance: tolerance of the pointing game, in pixels of the original image.
        thresholds: the patients on whom thresholds are chosen, for thresholds that are not fixed
            beforehand.
        resampling: how intervals are made; its seed also draws the random controls.
        draws: number of seeded draws over which a random control is averaged.
    """

    rules: tuple[MatchRule, ...] = PUBLISHED_RULES
    population: Population = "annotated"
    box_thresholds: tuple[float, ...] = (60.0, 180.0)
    box_rule: str = "two-threshold"
    finding_thresholds: Mapping[str, float] = field(default_factory=dict)
    thresholds_from: str = ""
    tolerance: float = TOLERANCE
    thresholds: ThresholdProtocol = field(default_factory=ThresholdProtocol)
    resampling: Resampling = field(default_factory=Resampling)
    draws: int = 20


def rule_of(protocol: ScoringProtocol) -> BoxRule:
    """The box rule of a protocol with its thresholds."""
    return BoxRule(protocol.box_rule, protocol.box_thresholds, protocol.finding_thresholds)


def protocol_of_options(
    t_iobb: Sequence[float],
    t_iou: Sequence[float],
    population: str,
    box_thresholds: Sequence[float],
    resampling: Resampling,
    chosen_on: ThresholdProtocol = ThresholdProtocol(),  # noqa: B008 (frozen)
) -> ScoringProtocol:
    """A protocol from the options of a user; default thresholds are those of Wang's tables 4 and 7.

    Raises:
        UsageError: there is no such population, or no box can be correct.
    """
    if population not in POPULATIONS:
        raise UsageError(f"--boxes-for {population}: choose from {', '.join(POPULATIONS)}")
    for option, thresholds in (("--t-iobb", t_iobb), ("--t-iou", t_iou)):
        if any(threshold >= 1 for threshold in thresholds):
            raise UsageError(f"{option} 1: no overlap is above 1; choose a threshold below it")
    rules = [MatchRule("iobb", t) for t in t_iobb] + [MatchRule("iou", t) for t in t_iou]
    return ScoringProtocol(
        rules=tuple(dict.fromkeys(rules)) or PUBLISHED_RULES,
        population=population,
        box_thresholds=tuple(box_thresholds),
        thresholds=chosen_on,
        resampling=resampling,
    )


@dataclass(frozen=True, slots=True, eq=False)
class PlacedRun:
    """The truth, boxes, maps and resamples of one run, as arrays.

    Attributes:
        protocol: how it is scored.
        pairs: images, findings and truth.
        claims: the boxes on scored pairs.
        left_out: boxes on other pairs, which count nowhere.
        maps: the maps of scored pairs; empty where there are none.
        maps_given: whether there were maps at all.
        views: the view of each image, None where it is unknown.
        carries: findings that each patient has truth of.
        draws: resamples of all patients, shared by everything that is measured on all of them.
    """

    protocol: ScoringProtocol
    pairs: ScoredPairs
    claims: PlacedBoxes
    left_out: int
    maps: Sequence[PlacedMaps]
    maps_given: bool
    views: tuple[View | None, ...]
    carries: Bool[np.ndarray, "patient finding"]
    draws: Draws


def place_run(
    records: Sequence[Record],
    detections: Sequence[Detection],
    protocol: ScoringProtocol,
    heatmaps: Sequence[Heatmaps] = (),
    predicted: Collection[tuple[str, str]] = (),
) -> PlacedRun:
    """Truth, boxes, maps and resamples of one run.

    Args:
        records: the images scored, boxes in the pixels of the detections.
        detections: the boxes; those on pairs outside the population are counted and left out.
        protocol: rules, population and intervals.
        heatmaps: the maps from which the boxes come, for metrics and controls that need maps.
        predicted: (image_id, finding) above the operating point, for that population.

    Raises:
        CxrlocError: no annotated box, or a heatmap that is turned against its image.
    """
    pairs = scored_pairs(records, protocol.population, predicted)
    claims, left_out = place_detections(pairs, detections)
    carries = sums_by_patient(pairs, pairs.truth_pair) > 0
    everyone = np.ones(pairs.patients, dtype=bool)
    return PlacedRun(
        protocol=protocol,
        pairs=pairs,
        claims=claims,
        left_out=left_out,
        maps=place_heatmaps(pairs, heatmaps),
        maps_given=bool(heatmaps),
        views=tuple(record.view for record in records),
        carries=carries,
        draws=resample_group(carries, everyone, protocol.resampling),
    )
