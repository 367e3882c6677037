"""Comparison of the boxes of runs: paired differences, rank correlations, disagreements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.agreement import rank_correlations
from cxrloc.evaluation.localization.accuracy import accuracy_metric, count_boxes
from cxrloc.evaluation.localization.hits import MatchRule, best_overlaps
from cxrloc.evaluation.localization.measure import Sampled, difference, measurements, sample
from cxrloc.evaluation.localization.placed_run import PlacedRun, ScoringProtocol, place_run
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, place_detections
from cxrloc.evaluation.resampling import two_sided_p
from cxrloc.evaluation.significance import holm
from cxrloc.types import Detection, Record


@dataclass(frozen=True, slots=True, eq=False)
class DetectionComparison:
    """Two or more runs on the same annotated boxes.

    Attributes:
        runs: names.
        images: images compared.
        patients: patients compared, the unit of the bootstrap.
        left_out: per run, its detections on pairs outside the population.
        differences: accuracy of run B minus that of run A on the same annotated boxes, with paired
            intervals, for all pairs of runs, by rule and finding. `p_bootstrap` is two-sided and
            from the same resamples. `p_holm` is `p_bootstrap` adjusted over the findings of the
            rule (Holm); it is missing for the mean.
        rank_correlations: Spearman's correlations between runs, of the best IoU with each annotated
            box.
        disagreements: annotated boxes (image, finding, disagreement, each run's best IoU), those
            whose best IoU differs most between runs first.
    """

    runs: tuple[str, ...]
    images: int
    patients: int
    left_out: tuple[int, ...]
    differences: pd.DataFrame
    rank_correlations: Float[np.ndarray, "run run"]
    disagreements: pd.DataFrame


def compare_detections(
    runs: Mapping[str, Sequence[Detection]],
    records: Sequence[Record],
    protocol: ScoringProtocol,
    most: int = 50,
) -> DetectionComparison:
    """The comparison of the boxes of two or more runs on the same images.

    Each resample of patients is scored by all runs, so variation that the runs share cancels.

    Args:
        runs: detections by name; a difference is a later run minus an earlier one.
        records: the images that all runs looked at, boxes in the pixels of the detections.
        protocol: rules, population and resampling, with at least one resample.
        most: length of the list of disagreements.

    Raises:
        CxrlocError: fewer than two runs, or no annotated box.
    """
    if len(runs) < 2:
        raise CxrlocError("a comparison needs two runs or more: name another one")
    run = place_run(records, (), protocol)
    pairs = run.pairs
    placed = {name: place_detections(pairs, detections) for name, detections in runs.items()}
    claims = {name: run_claims for name, (run_claims, _) in placed.items()}
    best = np.array([best_overlaps(pairs, run_claims) for run_claims in claims.values()])  # run box
    correlations, _ = rank_correlations(best[:, :, None])
    return DetectionComparison(
        runs=tuple(runs),
        images=len(pairs.image_ids),
        patients=pairs.patients,
        left_out=tuple(left_out for _, left_out in placed.values()),
        differences=_differences(run, claims, protocol),
        rank_correlations=correlations,
        disagreements=_disputed(tuple(runs), pairs, best, most),
    )


def _differences(
    run: PlacedRun, claims: Mapping[str, PlacedBoxes], protocol: ScoringProtocol
) -> pd.DataFrame:
    """`localization_differences.csv`: one row per pair of runs, rule and finding."""
    metrics = [
        accuracy_metric(
            run.pairs, count_boxes(run.pairs, run_claims, protocol.rules), protocol.rules
        )
        for run_claims in claims.values()
    ]
    sampled = dict(zip(claims, sample(metrics, run.draws), strict=True))
    frames = [
        _difference_frame(sampled[a], sampled[b], a, b, protocol.rules)
        for a, b in combinations(claims, 2)
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame.astype({"p_holm": "Float64", "annotated": int})


def _difference_frame(
    one: Sampled, other: Sampled, run_a: str, run_b: str, rules: Sequence[MatchRule]
) -> pd.DataFrame:
    paired = difference(other, one, f"{run_b} - {run_a}")
    p_values = np.apply_along_axis(two_sided_p, 2, paired.distribution)  # rule column
    values = [[row.value for row in measurements(each)] for each in (one, other)]
    rows = list(measurements(paired))
    boxes = [row.divisor for row in rows if row.finding != "mean" and row.match == rows[0].match]
    adjusted = [[*holm(rule_p_values[:-1]).tolist(), None] for rule_p_values in p_values]
    columns = {
        "finding": [row.finding for row in rows],
        "criterion": [rule.criterion for rule in rules for _ in range(p_values.shape[1])],
        "threshold": [row.at for row in rows],
        "run_a": run_a,
        "run_b": run_b,
        "accuracy_a": values[0],
        "accuracy_b": values[1],
        "difference": [row.value for row in rows],
        "low": [row.low for row in rows],
        "high": [row.high for row in rows],
        "p_bootstrap": p_values.ravel(),
        "p_holm": [p for rule_p_values in adjusted for p in rule_p_values],
        "annotated": [*boxes, sum(boxes)] * len(rules),
    }
    return pd.DataFrame(columns)


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
