"""Scores of a run's boxes and controls, also for each view, and their paired differences."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cxrloc.evaluation.localization.accuracy import (
    BoxCounts,
    accuracy_metric,
    count_boxes,
    false_positive_metrics,
    mean_counts,
)
from cxrloc.evaluation.localization.controls import (
    boxes_of_maps,
    finder_of,
    oracle_maps,
    permuted,
    prior_mean,
    prior_medoid,
    random_maps,
)
from cxrloc.evaluation.localization.measure import (
    difference,
    measure,
    measurements,
    sample,
)
from cxrloc.evaluation.localization.placed_run import PlacedRun, ScoringProtocol, place_run, rule_of
from cxrloc.evaluation.localization.scored_pairs import (
    PlacedBoxes,
    Population,
    only_images,
    sums_by_patient,
)
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import resample_group
from cxrloc.localization.box_rules import describe_rule
from cxrloc.localization.dense_regions import find_regions_dense
from cxrloc.localization.regions import Regions, find_regions, scale_maps
from cxrloc.types import Detection, Heatmaps, Record, View, shown

if TYPE_CHECKING:
    import pandas as pd
    import PIL.Image

SENSITIVITY: dict[str, Callable[..., Regions]] = {
    "dense": find_regions_dense,
    "nearest_neighbour": partial(find_regions_dense, interpolation="nearest"),
    "eight_connected": partial(find_regions_dense, connectivity=8),
    "dense_scaling": partial(find_regions_dense, scale_by="dense"),
}
"""Other readings of the box rule, all on maps upsampled to 1024 x 1024."""

EXACT = "exact"
"""Name of the box rule itself, which is compared with its other readings."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalizationScores:
    """The numbers of one run, and what a reader needs to judge them.

    The measurements are told apart by `subject` (empty for the boxes that are judged, the name of
    a control, or "model - NAME" for the paired difference) and by `group` ("all" or "view PA").

    Attributes:
        population: which (image, finding) pairs gave boxes.
        findings: those with an annotated box.
        images: images scored.
        patients: patients scored, the unit of the bootstrap.
        boxes: annotated boxes of all findings, by which the paper divides false positives.
        heatmaps: scored (image, finding) pairs.
        detections: boxes on scored pairs.
        left_out: boxes on other pairs, which count nowhere.
        controls: names of the controls.
        measurements: every number.
        box_rule: how maps became boxes, in words; empty where there were no maps.
        maps_missing: scored pairs without a heatmap, None where no maps were given.
        maps_degenerate: heatmaps that give no box, flat or not finite; None without maps.
    """

    population: Population
    findings: tuple[str, ...]
    images: int
    patients: int
    boxes: int
    heatmaps: int
    detections: int
    left_out: int
    controls: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    box_rule: str
    maps_missing: int | None
    maps_degenerate: int | None

    def __repr__(self) -> str:
        return (
            f"LocalizationScores({len(self.findings)} findings, {self.boxes} boxes on "
            f"{self.images} images of {self.patients} patients)"
        )

    def table(self) -> "pd.DataFrame":
        """`localization.csv` as a frame: a row per finding and rule, and for the mean."""
        from cxrloc.evaluation.localization.tables import localization_frame, rows_of

        return localization_frame(rows_of(self.measurements))

    def to_latex(self) -> str:
        """The tables of accuracy and false positives for a paper, `table.tex`."""
        from cxrloc.evaluation.localization.result_files import localization_latex

        return localization_latex(self)

    def plot(self) -> "PIL.Image.Image":
        """Accuracy and AFP beside the controls, the panel `localization`."""
        return shown("scores_picture", self)

    def _repr_html_(self) -> str:
        return shown("html", self.table())


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
    return score_run(place_run(records, detections, protocol, heatmaps, predicted))


def score_run(run: PlacedRun) -> LocalizationScores:
    """Accuracy and false positives of boxes and controls, also by view, and their differences."""
    pairs, rules = run.pairs, run.protocol.rules
    controls = {
        name: mean_counts([count_boxes(pairs, draw, rules) for draw in draws])
        for name, draws in _controls(run)
    }
    counts = {"": count_boxes(pairs, run.claims, rules)} | controls
    placed = sum(each.pair.size for each in run.maps)
    usable = sum(scale_maps(each.scores)[1].size for each in run.maps)
    return LocalizationScores(
        population=pairs.population,
        findings=pairs.findings,
        images=len(pairs.image_ids),
        patients=pairs.patients,
        boxes=pairs.truth_pair.size,
        heatmaps=int(pairs.scored.sum()),
        detections=run.claims.pair.size,
        left_out=run.left_out,
        controls=tuple(controls),
        measurements=(*compared(run, counts, ""), *_by_view(run)),
        box_rule=_rule_in_words(run) if run.maps_given else "",
        maps_missing=int(pairs.scored.sum()) - placed if run.maps_given else None,
        maps_degenerate=placed - usable if run.maps_given else None,
    )


def score_sensitivity(run: PlacedRun) -> tuple[Measurement, ...]:
    """Scores under other readings of the box rule, and the differences from the exact rule.

    Slow: every map is upsampled to 1024 x 1024.
    """
    thresholds = run.protocol.box_thresholds

    def counts_by(finder: Callable[..., Regions]) -> BoxCounts:
        claims = boxes_of_maps(run.maps, lambda maps, pair: finder(maps, thresholds))
        return count_boxes(run.pairs, claims, run.protocol.rules)

    finders: dict[str, Callable[..., Regions]] = {EXACT: find_regions} | SENSITIVITY
    counts = {name: counts_by(finder) for name, finder in finders.items()}
    return tuple(compared(run, counts, EXACT))


def compared(run: PlacedRun, counts: Mapping[str, BoxCounts], judged: str) -> Iterator[Measurement]:
    """All numbers of several subjects, and the accuracy of the judged one minus each other one."""
    pairs, rules, draws = run.pairs, run.protocol.rules, run.draws
    accuracy = sample(
        [
            accuracy_metric(pairs, subject_counts, rules, name)
            for name, subject_counts in counts.items()
        ],
        draws,
    )
    for sampled, (name, subject_counts) in zip(accuracy, counts.items(), strict=True):
        yield from measurements(sampled)
        yield from measure(false_positive_metrics(pairs, subject_counts, rules, name), draws)
    of = dict(zip(counts, accuracy, strict=True))
    for name in counts:
        if name != judged:
            subject = difference_of(judged, name)
            yield from measurements(difference(of[judged], of[name], subject))


def difference_of(judged: str, other: str) -> str:
    """The name of a paired difference in `Measurement.subject`.

    >>> difference_of("", "prior_mean"), difference_of("exact", "dense")
    ('model - prior_mean', 'exact - dense')
    """
    return f"{judged or 'model'} - {other}"


def _rule_in_words(run: PlacedRun) -> str:
    chosen = run.protocol.thresholds_from
    words = describe_rule(rule_of(run.protocol))
    return f"{words}; thresholds chosen on {chosen}" if chosen else words


def _controls(run: PlacedRun) -> Iterator[tuple[str, list[PlacedBoxes]]]:
    pairs, maps, protocol = run.pairs, run.maps, run.protocol
    yield "prior_mean", [prior_mean(pairs)]
    yield "prior_medoid", [prior_medoid(pairs)]
    if not maps:
        return
    finder, draws = finder_of(pairs, rule_of(protocol)), range(protocol.draws)
    noise, order = np.random.default_rng(protocol.resampling.seed).spawn(2)
    yield "random", [random_maps(maps, finder, noise) for _ in draws]
    yield "permuted", [permuted(pairs, run.claims, order) for _ in draws]
    yield "oracle_map", [oracle_maps(pairs, maps, finder)]


def _by_view(run: PlacedRun) -> Iterator[Measurement]:
    """Measurements of the judged boxes on the images of each view.

    AFP is divided by the annotated boxes of that view.
    """
    for view in View:
        images = np.array([each is view for each in run.views])
        pairs, claims = only_images(run.pairs, run.claims, images)
        if not pairs.truth_pair.size:
            continue
        carries = sums_by_patient(pairs, pairs.truth_pair) > 0
        patients = np.zeros(pairs.patients, dtype=bool)
        patients[pairs.patient[images]] = True
        draws = resample_group(carries, patients, run.protocol.resampling)
        counts, rules = count_boxes(pairs, claims, run.protocol.rules), run.protocol.rules
        group = f"view {view}"
        metrics = [
            accuracy_metric(pairs, counts, rules, group=group),
            *false_positive_metrics(pairs, counts, rules, group=group),
        ]
        yield from measure(metrics, draws)
