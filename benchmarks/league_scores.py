"""The numbers of one row of the league."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from embed_nih_small import labels_of
from league_heads import Head, as_features
from league_images import SHIFT

from cxrloc.evaluation.classification.auc_intervals import (
    rank_by_patient,
    resampled_rank_statistics,
)
from cxrloc.evaluation.localization.accuracy import (
    accuracy_metric,
    count_boxes,
    false_positive_metrics,
    mean_counts,
)
from cxrloc.evaluation.localization.box_metrics import box_metrics
from cxrloc.evaluation.localization.controls import permuted, prior_medoid
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.map_metrics import pointing_metrics
from cxrloc.evaluation.localization.measure import measure, sample
from cxrloc.evaluation.localization.placed_run import PlacedRun, ScoringProtocol, place_run
from cxrloc.evaluation.resampling import Resampling, bootstrap, interval
from cxrloc.evaluation.trust.map_stability import map_rank_correlation, on_grid
from cxrloc.inference.localized import cell_affine
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.localization.heatmaps import HEATMAPS
from cxrloc.models.model import Model
from cxrloc.types import Affine, Heatmaps, Record

RULES = tuple(
    MatchRule(criterion, at)
    for criterion, levels in (("iobb", (0.25, 0.5)), ("iou", (0.1, 0.3, 0.5)))
    for at in levels
)
CONTROLS = ("permuted", "prior_medoid")
DRAWS = 10  # of the permuted maps

Number = list[float | None]
"""Value, low and high; the last two are None where there is no interval."""


class Scored(NamedTuple):
    """What all rows of a fold are scored on: features, with the channels last, and records."""

    ranked: np.ndarray
    ranked_records: Sequence[Record]
    boxed: np.ndarray
    boxed_records: Sequence[Record]
    mirrored: np.ndarray
    shifted: np.ndarray


def score(
    head: Head, method: str, model: Model, scored: Scored
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The numbers of one row, and its mean accuracies and those of its controls (`accuracies`)."""
    logits, maps = maps_of(head, method, scored.ranked)
    cells = cells_of(model, head, maps)
    run = run_on_boxes(head, method, model, scored)
    reached = accuracies(run)
    trunk, old = model.network, model.network.get_submodule("prediction")
    parameters = [sum(value.numel() for value in part.parameters()) for part in (trunk, old, head)]
    block = as_features(scored.boxed[:1])
    numbers = {
        "auc": auc_of(scored.ranked_records, model.card.findings, logits),
        **{name: with_interval(values) for name, values in compared(reached).items()},
        **box_numbers(run),
        "mirrored": agreement(maps, maps_of(head, method, scored.mirrored)[1], cells, "mirror"),
        "shifted": agreement(maps, maps_of(head, method, scored.shifted)[1], cells, "shift"),
    }
    result = {
        "images": len(scored.ranked_records),
        "boxes": len(run.pairs.truth_pair),
        "parameters": parameters[0] - parameters[1] + parameters[2],
        "milliseconds": milliseconds(partial(HEATMAPS[method], head, block)),
        "numbers": numbers,
    }
    return result, reached


def maps_of(head: Head, method: str, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and maps of all findings."""
    logits, maps = [], []
    for start in range(0, len(features), 16):
        own = HEATMAPS[method](head, as_features(features[start : start + 16]))
        logits.append(own[0].detach().numpy())
        maps.append(own[1].detach().numpy())
    return np.concatenate(logits), np.concatenate(maps)


def cells_of(model: Model, head: Head, maps: np.ndarray) -> Affine:
    """The place of the maps' cells in an image of the size of the network's input."""
    side = model.preprocessing.size
    return cell_affine((1, 1, side, side), maps.shape, head.shift)


def run_on_boxes(head: Head, method: str, model: Model, scored: Scored) -> PlacedRun:
    """The boxes and maps of the images with boxes, placed for scoring."""
    findings, side = model.card.findings, model.preprocessing.size
    logits, maps = maps_of(head, method, scored.boxed)
    heatmaps = [
        Heatmaps(record.image_id, findings, own, cells_of(model, head, maps), side, side)
        for record, own in zip(scored.boxed_records, maps, strict=True)
    ]
    protocol = ScoringProtocol(rules=RULES)
    probabilities = torch.from_numpy(logits).sigmoid().double().numpy()
    detections = [
        detection
        for each, own in zip(heatmaps, probabilities, strict=True)
        for detection in detections_from_heatmaps(each, own.tolist(), protocol.box_thresholds)
    ]
    return place_run(scored.boxed_records, detections, protocol, heatmaps)


def accuracies(run: PlacedRun) -> dict[str, np.ndarray]:
    """Mean accuracy of own boxes and of controls, as (rule, 1 + resamples), the estimate first.

    Equal patients give equal resamples, so rows and controls can be compared resample by resample.
    """
    pairs, rules = run.pairs, run.protocol.rules
    rng = np.random.default_rng(run.protocol.resampling.seed)
    boxes = {
        "own": [run.claims],
        "permuted": [permuted(pairs, run.claims, rng) for _ in range(DRAWS)],
        "prior_medoid": [prior_medoid(pairs)],
    }
    counts = {
        name: mean_counts([count_boxes(pairs, draw, rules) for draw in draws])
        for name, draws in boxes.items()
    }
    sampled = sample([accuracy_metric(pairs, own, rules) for own in counts.values()], run.draws)
    return {
        name: np.column_stack([each.estimate[:, -1], each.distribution[:, -1]])
        for name, each in zip(boxes, sampled, strict=True)
    }


def compared(reached: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each accuracy by its name and rule, as in the table, and own minus permuted."""
    every = reached | {"own - permuted": reached["own"] - reached["permuted"]}
    return {
        f"{name} {rule.criterion} > {rule.threshold:g}": row
        for name, values in every.items()
        for rule, row in zip(RULES, values, strict=True)
    }


def with_interval(values: np.ndarray) -> Number:
    """The first value, and the 95 % interval of the other values."""
    low, high = interval(values[1:], 0.95)
    return [float(values[0]), float(low), float(high)]


def box_numbers(run: PlacedRun) -> dict[str, Number]:
    """The other numbers of boxes and maps that the table shows."""
    pairs, claims, protocol = run.pairs, run.claims, run.protocol
    metrics = [
        *pointing_metrics(pairs, run.maps, protocol.tolerance),
        *box_metrics(pairs, claims),
        *false_positive_metrics(pairs, count_boxes(pairs, claims, RULES), RULES),
    ]
    wanted = {
        ("hit_rate", "mean", ""): "pointing",
        ("centre_containment", "Nodule", "centre in a detected box"): "nodule centres",
        ("afp", "mean", "iou > 0.1"): "afp at iou .1",
        ("boxes_per_heatmap", "mean", ""): "boxes per map",
    }
    names = {metric for metric, _, _ in wanted}
    shown = [metric for metric in metrics if metric.kinds[0].metric in names]
    return {
        wanted[key]: [row.value, row.low, row.high]
        for row in measure(shown, run.draws)
        if (key := (row.metric, row.finding, row.match)) in wanted
    }


def auc_of(records: Sequence[Record], findings: Sequence[str], logits: np.ndarray) -> Number:
    """Mean AUC over the findings, with its interval by patients."""
    truth = labels_of(records, findings)
    known = truth.any(axis=0)  # without a positive image a finding has no AUC
    truth, logits = truth[:, known], logits[:, known]
    names, patient = np.unique([record.patient_id for record in records], return_inverse=True)
    rankings = [
        rank_by_patient(one, scores, patient, names.size)
        for one, scores in zip(truth.T, logits.T, strict=True)
    ]
    carries = np.zeros((names.size, truth.shape[1]), dtype=bool)
    np.logical_or.at(carries, patient, truth)

    def mean(counts: np.ndarray) -> np.ndarray:
        return np.mean([resampled_rank_statistics(r, counts)[0] for r in rankings], 0)[None]

    found = bootstrap(mean, carries, Resampling())
    return [float(each[0]) for each in (found.estimate, found.low, found.high)]


def agreement(maps: np.ndarray, others: np.ndarray, cells: Affine, change: str) -> Number:
    """Mean rank correlation of the maps with those of the changed images, brought back."""
    side = cells.xx * maps.shape[-1]
    back = Affine(xx=-1.0, x0=side) if change == "mirror" else Affine(x0=-float(SHIFT))
    to_image = Affine(
        xx=back.xx * cells.xx, x0=back.xx * cells.x0 + back.x0, yy=cells.yy, y0=cells.y0
    )
    # Only the first images are changed.
    found = [
        map_rank_correlation(own, on_grid(other, to_image, cells, own.shape))
        for image, changed in zip(maps, others, strict=False)
        for own, other in zip(image, changed, strict=True)
    ]
    return [float(np.mean([value for value in found if value is not None])), None, None]


def milliseconds(compute: Callable[[], object], repeats: int = 9) -> float:
    """Median time of a computation: that of the processor, also under load."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        compute()
        times.append(1000 * (time.process_time() - started))
    return float(np.median(times))
