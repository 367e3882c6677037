"""Boxes of two runs or more against each other: paired differences, agreement, disagreement."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.evaluation.agreement import rank_correlations
from cxrloc.evaluation.localization.box_accuracy import accuracy, count_boxes
from cxrloc.evaluation.localization.overlap import equal_keys, iou
from cxrloc.evaluation.localization.scored_pairs import (
    Claims,
    ScoredPairs,
    place_detections,
    scored_pairs,
)
from cxrloc.evaluation.localization.scores import ScoringProtocol
from cxrloc.evaluation.resampling import bootstrap, two_sided_p
from cxrloc.evaluation.significance import holm
from cxrloc.types import CxrlocError, Detection, Record


@dataclass(frozen=True, slots=True)
class AccuracyDifference:
    """Accuracy of run B minus that of run A on the same annotated boxes.

    Attributes:
        finding: finding, or "mean".
        criterion: of the matching rule.
        threshold: of the matching rule.
        run_a: name of the run that is subtracted.
        run_b: name of the other run.
        accuracy_a: its accuracy.
        accuracy_b: the other's.
        difference: accuracy_b - accuracy_a.
        low: lower end of the paired bootstrap interval.
        high: upper end.
        p_bootstrap: two-sided, from the same resamples.
        p_holm: `p_bootstrap` adjusted over the findings of the rule (Holm); None for the mean.
        annotated: annotated boxes.
    """

    finding: str
    criterion: str
    threshold: float
    run_a: str
    run_b: str
    accuracy_a: float
    accuracy_b: float
    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_holm: float | None
    annotated: int


@dataclass(frozen=True, slots=True, eq=False)
class DetectionComparison:
    """Two or more runs on the same annotated boxes.

    Attributes:
        runs: names.
        images: images compared.
        patients: patients compared, the unit of the bootstrap.
        left_out: per run, its detections on pairs outside the population.
        differences: all pairs of runs, in the order of `runs`.
        rank_correlations: Spearman's, of the runs' best IoU with each annotated box.
        disagreements: annotated boxes (image, finding, disagreement, each run's best IoU), those
            whose best IoU differs most between runs first.
    """

    runs: tuple[str, ...]
    images: int
    patients: int
    left_out: tuple[int, ...]
    differences: tuple[AccuracyDifference, ...]
    rank_correlations: Float[np.ndarray, "run run"]
    disagreements: pd.DataFrame


def compare_detections(
    runs: Mapping[str, Sequence[Detection]],
    records: Sequence[Record],
    protocol: ScoringProtocol,
    most: int = 50,
) -> DetectionComparison:
    """Compare the boxes of two or more runs on the same images.

    Each resample of patients is scored by all runs, so what they share cancels.

    Args:
        runs: detections by name; differences are later minus earlier.
        records: the images that all runs looked at, boxes in the pixels of the detections.
        protocol: rules, population and resampling, with at least one resample.
        most: length of the list of disagreements.

    Raises:
        CxrlocError: fewer than two runs, or no annotated box.
    """
    if len(runs) < 2:
        raise CxrlocError("a comparison needs two runs or more: name another one")
    pairs = scored_pairs(records, protocol.population)
    placed = [place_detections(pairs, detections) for detections in runs.values()]
    claims = [each for each, _ in placed]
    best = np.array([best_overlaps(pairs, each) for each in claims])  # run box
    correlations, _ = rank_correlations(best[:, :, None])
    return DetectionComparison(
        runs=tuple(runs),
        images=len(pairs.image_ids),
        patients=pairs.patients,
        left_out=tuple(left_out for _, left_out in placed),
        differences=tuple(_differences(tuple(runs), pairs, claims, protocol)),
        rank_correlations=correlations,
        disagreements=_disputed(tuple(runs), pairs, best, most),
    )


def best_overlaps(pairs: ScoredPairs, claims: Claims) -> Float[np.ndarray, " box"]:
    """Of each annotated box the largest IoU with a detected box; 0 where there is none."""
    claim, truth = equal_keys(claims.pair, pairs.truth_pair)
    best = np.zeros(pairs.truth_pair.size)
    np.maximum.at(best, truth, iou(claims.boxes[claim], pairs.truth[truth]))
    return best


def accuracy_differences_frame(differences: Sequence[AccuracyDifference]) -> pd.DataFrame:
    """`localization_differences.csv`: one row per finding, rule and pair of runs."""
    frame = pd.DataFrame([asdict(row) for row in differences])
    return frame.astype({"p_holm": "Float64"})


def _differences(
    names: tuple[str, ...],
    pairs: ScoredPairs,
    claims: Sequence[Claims],
    protocol: ScoringProtocol,
) -> list[AccuracyDifference]:
    counts = [count_boxes(pairs, each, protocol.rules) for each in claims]
    compared = list(combinations(range(len(names)), 2))

    def values(
        weights: Float[np.ndarray, "patient resample"],
    ) -> Float[np.ndarray, "value resample"]:
        rates = [accuracy(each, weights) for each in counts]  # rule column resample
        differences = [rates[b] - rates[a] for a, b in compared]
        return np.concatenate(differences).reshape(-1, weights.shape[1])

    once = np.ones((pairs.patients, 1))
    rates = [accuracy(each, once)[:, :, 0] for each in counts]  # rule column
    sampled = bootstrap(values, counts[0].annotated > 0, protocol.resampling)
    shape = (len(compared), *rates[0].shape)
    low, high = sampled.low.reshape(shape), sampled.high.reshape(shape)
    p_values = np.array([two_sided_p(row) for row in sampled.distribution]).reshape(shape)
    of_findings = counts[0].annotated.sum(axis=0)
    annotated = [*of_findings.tolist(), of_findings.sum()]
    rows = []
    for pair, number in np.ndindex(shape[:2]):
        (a, b), rule = compared[pair], protocol.rules[number]
        p_holm = [*holm(p_values[pair, number, :-1]).tolist(), None]
        for column, finding in enumerate((*pairs.findings, "mean")):
            value_a, value_b = rates[a][number, column], rates[b][number, column]
            rows.append(
                AccuracyDifference(
                    finding=finding,
                    criterion=rule.criterion,
                    threshold=rule.threshold,
                    run_a=names[a],
                    run_b=names[b],
                    accuracy_a=float(value_a),
                    accuracy_b=float(value_b),
                    difference=float(value_b - value_a),
                    low=float(low[pair, number, column]),
                    high=float(high[pair, number, column]),
                    p_bootstrap=float(p_values[pair, number, column]),
                    p_holm=p_holm[column],
                    annotated=int(annotated[column]),
                )
            )
    return rows


def _disputed(
    names: tuple[str, ...], pairs: ScoredPairs, best: Float[np.ndarray, "run box"], most: int
) -> pd.DataFrame:
    spread = np.ptp(best, axis=0)
    order = np.argsort(-spread, kind="stable")[:most]
    image, finding = np.divmod(pairs.truth_pair[order], len(pairs.findings))
    columns = {
        "image": np.array(pairs.image_ids)[image],
        "finding": np.array(pairs.findings)[finding],
        "disagreement": spread[order],
    }
    return pd.DataFrame(columns | dict(zip(names, best[:, order], strict=True)))
