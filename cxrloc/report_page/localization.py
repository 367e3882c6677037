"""The data of the page that `cxrloc bench --html` writes, with Python's counts of its maps."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from cxrloc.evaluation.localization.accuracy import BoxCounts, count_boxes, measure_counts
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, rule_of
from cxrloc.evaluation.localization.printed_tables import report_note
from cxrloc.evaluation.localization.scored_pairs import (
    ScoredPairs,
    place_detections,
    scored_pairs,
)
from cxrloc.evaluation.localization.scores import LocalizationScores
from cxrloc.evaluation.localization.tables import grid, rows_of
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling, resample_patients
from cxrloc.localization.box_rules import describe_rule
from cxrloc.localization.boxes import SCORE, detections_from_heatmaps
from cxrloc.report_page.pictures import (
    Pair,
    images_data,
    maps_data,
    quantised_maps,
    style_data,
    top_pairs,
    truth_of,
)
from cxrloc.types import Detection, Heatmaps, Record


@dataclass(frozen=True, slots=True, eq=False)
class LocalizationRun:
    """A scored run.

    Attributes:
        records: the images scored, boxes in the pixels of their images.
        detections: every box.
        heatmaps: from which the boxes were made; empty where boxes were given.
        probabilities: of each (image_id, finding) with a map.
        predicted: (image_id, finding) above the operating point.
        protocol: how boxes were made and scored.
        scores: its scores.
    """

    records: Sequence[Record]
    detections: Sequence[Detection]
    heatmaps: Sequence[Heatmaps]
    probabilities: Mapping[Pair, float]
    predicted: frozenset[Pair]
    protocol: ScoringProtocol
    scores: LocalizationScores


def localization_data(run: LocalizationRun, pictures: Mapping[str, str]) -> dict[str, Any]:
    """The data of a page, in the form that its scripts read.

    Args:
        run: what to show.
        pictures: data URIs of the radiographs, by image; an image without one is shown black.
    """
    pairs = scored_pairs(run.records, run.protocol.population, run.predicted)
    quantised = _quantised(run, pairs)
    makes_boxes = bool(quantised) and run.protocol.box_rule == "two-threshold"
    detections = _from_maps(run, quantised) if makes_boxes else run.detections
    claims, _ = place_detections(pairs, detections)
    counts = count_boxes(pairs, claims, run.protocol.rules)
    expected = measure_counts(pairs, counts, run.protocol.rules)
    measured = run.scores.measurements
    maps, places = maps_data(quantised)
    return {
        "kind": "bench",
        "findings": list(pairs.findings),
        "style": style_data(),
        "images": images_data(run.records, pictures),
        "maps": maps,
        "pairs": _pairs(run, pairs, places, () if makes_boxes else detections),
        "rules": [asdict(rule) for rule in run.protocol.rules],
        "state": _state(run, makes_boxes),
        "resampling": _resampling(counts, run.protocol.resampling),
        "expected": {
            "hit": grid(expected, "accuracy", "numerator").tolist(),
            "falsePositives": grid(expected, "afp", "numerator").tolist(),
        },
        "controls": {name: _control(rows_of(measured, name)) for name in run.scores.controls},
        "note": " ".join([report_note(run.scores), *([SCORE] if run.heatmaps else [])]),
        "quantisation": _quantisation_note(rows_of(measured), expected)
        if makes_boxes
        else _given_note(run),
    }


def _quantised(run: LocalizationRun, pairs: ScoredPairs) -> list[Heatmaps]:
    """The maps in the page: of scored or annotated pairs, and of each image's top findings."""
    pairs_shown = {
        (pairs.image_ids[i], pairs.findings[j]) for i, j in np.argwhere(pairs.scored).tolist()
    }
    pairs_shown |= truth_of(run.records).keys() | top_pairs(run.probabilities)
    return quantised_maps(run.heatmaps, pairs_shown)


def _from_maps(run: LocalizationRun, quantised: Sequence[Heatmaps]) -> Sequence[Detection]:
    """The boxes that the page makes of its maps, by the rule "two-threshold"."""
    detections: list[Detection] = []
    for each in quantised:
        probabilities = [run.probabilities[each.image_id, finding] for finding in each.findings]
        detections += detections_from_heatmaps(each, probabilities, run.protocol.box_thresholds)
    return detections


def _pairs(
    run: LocalizationRun,
    pairs: ScoredPairs,
    places: Mapping[Pair, dict[str, Any]],
    detections: Sequence[Detection],
) -> list[dict[str, Any]]:
    """Every pair with a map, an expert's box or a scored box, by image and then by finding.

    `detections` are the boxes that the page does not make from its maps.
    """
    row = {image_id: index for index, image_id in enumerate(pairs.image_ids)}
    column = {finding: index for index, finding in enumerate(pairs.findings)}
    truth = truth_of(run.records)
    boxes: dict[Pair, list[dict[str, Any]]] = {}
    for each in detections:
        corners = [each.box.x_min, each.box.y_min, each.box.x_max, each.box.y_max]
        claim = {"box": corners, "threshold": each.threshold, "score": each.score}
        boxes.setdefault((each.image_id, each.finding), []).append(claim)
    scored = {(pairs.image_ids[i], pairs.findings[j]) for i, j in np.argwhere(pairs.scored)}
    shown = scored | places.keys() | truth.keys() | {pair for pair in boxes if pair[0] in row}
    order = sorted(shown, key=lambda pair: (row[pair[0]], column.get(pair[1], len(column)), pair))
    return [
        {
            "image": row[pair[0]],
            "finding": pair[1],
            "findingIndex": column.get(pair[1], -1),
            "patient": int(pairs.patient[row[pair[0]]]),
            "scored": pair in scored,
            "probability": run.probabilities.get(pair),
            "truth": truth.get(pair, []),
            "map": places.get(pair),
            "boxes": boxes.get(pair),
        }
        for pair in order
    ]


def _state(run: LocalizationRun, makes_boxes: bool) -> dict[str, Any]:
    """The page's first state: the run's box thresholds, and T(IoU) and T(IoBB) nearest to 0.5.

    If the page makes no boxes, it has no thresholds to move.
    """
    nearest = {
        criterion: min(
            (rule.threshold for rule in run.protocol.rules if rule.criterion == criterion),
            key=lambda threshold: abs(threshold - 0.5),
            default=0.5,
        )
        for criterion in ("iou", "iobb")
    }
    criteria = {rule.criterion for rule in run.protocol.rules}
    return {
        "thresholds": list(run.protocol.box_thresholds) if makes_boxes else [],
        "t": nearest,
        "criterion": "iou" if criteria == {"iou"} else "iobb",
        "curveFinding": "mean",
        "metric": "accuracy",
    }


def _resampling(counts: BoxCounts, resampling: Resampling) -> dict[str, Any] | None:
    """How often each patient is in each resample, so that the page has the same intervals."""
    if not resampling.resamples:
        return None
    drawn = resample_patients(counts.annotated > 0, resampling.resamples, resampling.seed)
    return {
        "count": resampling.resamples,
        "level": resampling.level,
        "drawn": b64encode(drawn.astype(np.uint8).tobytes()).decode(),
    }


def _control(rows: Sequence[Measurement]) -> dict[str, Any]:
    detections = grid(rows, "boxes_per_heatmap", "numerator")
    return {
        "accuracy": grid(rows, "accuracy").tolist(),
        "low": _nullable(grid(rows, "accuracy", "low")),
        "high": _nullable(grid(rows, "accuracy", "high")),
        "afp": grid(rows, "afp").tolist(),
        "falsePositives": grid(rows, "afp", "numerator").tolist(),
        "detections": detections[0].tolist(),
    }


def _nullable(values: Float[np.ndarray, "rule finding"]) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in values]


def _given_note(run: LocalizationRun) -> str:
    """A sentence on the origin of the boxes, if the page does not make them from its maps."""
    if not run.heatmaps:
        return "The boxes are those of the list that was scored."
    rule = describe_rule(rule_of(run.protocol))
    return f"The boxes are those of the run, by the rule {rule}; they do not move with a slider."


def _quantisation_note(run: Sequence[Measurement], quantised: Sequence[Measurement]) -> str:
    differences = np.abs(
        [
            grid(run, metric, "numerator") - grid(quantised, metric, "numerator")
            for metric in ("accuracy", "afp")
        ]
    )[..., :-1]
    changed, most = int((differences > 0).sum()), int(differences.max())
    if not changed:
        return "The maps here have 16 bits; that changes no count of localization.csv."
    return (
        f"The maps here have 16 bits; that changes {changed} of the {differences.size} counts of "
        f"localization.csv, by at most {most}."
    )
