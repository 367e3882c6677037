"""Thresholds are chosen on patients that are not scored with them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.localization.threshold_choice import (
    ThresholdProtocol,
    best_level,
    best_score,
    tuning_patients,
)


@given(share=st.floats(0, 0.99), seed=st.integers(0, 100))
def test_the_tuning_part_takes_its_share_of_every_finding(share: float, seed: int) -> None:
    carries = np.repeat(np.eye(3, dtype=bool), (5, 20, 60), axis=0)
    tuning = tuning_patients(carries, ThresholdProtocol(share, seed=seed))
    np.testing.assert_array_equal(
        carries[tuning].sum(axis=0), [round(share * n) for n in (5, 20, 60)]
    )


def test_equal_seeds_choose_equal_patients() -> None:
    carries = np.ones((40, 1), dtype=bool)
    one, same, other = (
        tuning_patients(carries, ThresholdProtocol(0.3, seed=seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_leaves_patients_to_score(share: float) -> None:
    with pytest.raises(CxrlocError, match="tuning share"):
        ThresholdProtocol(share)


def test_a_level_is_chosen_by_the_mean_over_findings_not_over_patients() -> None:
    # Three patients of the first finding are best at level 0, one of the second at level 1.
    numerator = np.zeros((4, 2, 2))
    numerator[:3, 0] = [0.6, 0.5]
    numerator[3, 1] = [0.1, 0.9]
    denominator = np.zeros((4, 2, 2))
    denominator[:3, 0] = denominator[3, 1] = 1.0
    everyone = np.ones(4, dtype=bool)
    assert best_level(numerator, denominator, everyone) == 1
    assert best_level(numerator, denominator, everyone & (np.arange(4) < 3)) == 0
    assert best_level(numerator, denominator, ~everyone) is None


def test_the_best_score_takes_all_detections_of_equal_score() -> None:
    matched = np.array([True, False, True])
    assert best_score(matched, np.array([0.9, 0.5, 0.5]), boxes=2.0) == 0.5
    assert best_score(matched[:0], np.empty(0), boxes=2.0) == np.inf
