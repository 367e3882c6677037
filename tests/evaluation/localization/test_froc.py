"""FROC agrees with a plain count at every threshold."""

import numpy as np
import pytest

from cxrloc.evaluation.localization.froc import RATES, froc_events, froc_sensitivity
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.overlap import iou
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs
from tests.evaluation.localization.drawn_truth import random_claims

RULE = MatchRule("iou", 0.5)


def counted(
    pairs: ScoredPairs, claims: PlacedBoxes, rate: float, finding: int, patients: set[int]
) -> float:
    """The highest sensitivity with at most `rate` false positives per image, by trying all."""
    assert claims.score is not None
    findings = len(pairs.findings)

    def of(pair: np.ndarray) -> np.ndarray:
        own = np.isin(pairs.patient[pair // findings], list(patients))
        return own & (pair % findings == finding)

    truth, truth_pair = pairs.truth[of(pairs.truth_pair)], pairs.truth_pair[of(pairs.truth_pair)]
    images = np.isin(pairs.patient, list(patients)).sum()
    best = 0.0
    for threshold in np.unique(claims.score):
        called = of(claims.pair) & (claims.score >= threshold)
        right = (iou(claims.boxes[called][:, None], truth) > 0.5) & (
            claims.pair[called][:, None] == truth_pair
        )
        if (~right.any(axis=1)).sum() <= rate * images:
            best = max(best, right.any(axis=0).mean())
    return float(best)


@pytest.mark.parametrize("seed", range(4))
def test_sensitivity_is_that_of_the_best_threshold_within_the_rate(seed: int) -> None:
    pairs, claims = random_claims(10, ("Effusion", "Mass"), seed)
    weights = np.ones((pairs.patients, 2))
    weights[0, 1] = 0.0
    everyone = set(range(pairs.patients))
    for finding, events in enumerate(froc_events(pairs, claims, RULE)):
        values = froc_sensitivity(events, weights)
        for resample, patients in enumerate((everyone, everyone - {0})):
            expected = [counted(pairs, claims, rate, finding, patients) for rate in RATES]
            np.testing.assert_allclose(values[:, resample], expected)


def test_a_box_hit_twice_is_one_find_and_no_false_positive() -> None:
    pairs, _ = random_claims(1, ("Mass",), seed=0)
    truth = pairs.truth[:1]
    claims = PlacedBoxes(
        np.concatenate([truth, truth]), np.zeros(2, dtype=int), np.array([0.9, 0.8])
    )
    (events,) = froc_events(pairs, claims, RULE)
    assert events.found.tolist() == [True] * events.found.size
