import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrloc.evaluation.classification.auc_intervals import (
    rank_by_patient,
    resampled_rank_statistics,
)


def made(seed, units=60, patients=20, levels=None):
    """Truth, scores (tied on `levels` values) and patients; both classes present."""
    generator = np.random.default_rng(seed)
    truth = np.arange(units) % 3 == 0
    scores = generator.normal(size=units) + truth
    if levels:
        scores = np.round(scores * levels) / levels
    return truth, scores, generator.integers(0, patients, units)


@given(st.integers(0, 10_000), st.sampled_from([1, 3, None]))
def test_resampled_auc_and_average_precision_are_those_of_scikit_learn(seed, levels):
    truth, scores, patient = made(seed, levels=levels)
    counts = np.random.default_rng(seed).integers(1, 4, (20, 3)).astype(float)
    counts[:3] = 0  # patients who were not drawn
    ranking = rank_by_patient(truth, scores, patient, patients=20)
    areas, precisions = resampled_rank_statistics(ranking, counts)
    for column in range(3):
        repeats = counts[patient, column].astype(int)
        drawn = np.repeat(truth, repeats), np.repeat(scores, repeats)
        assert areas[column] == pytest.approx(roc_auc_score(*drawn), abs=1e-12)
        assert precisions[column] == pytest.approx(average_precision_score(*drawn), abs=1e-12)


def test_a_resample_without_the_highest_patients_has_no_division_by_zero():
    truth, scores = np.array([True, True, False]), np.array([0.9, 0.5, 0.1])
    ranking = rank_by_patient(truth, scores, np.array([0, 1, 2]), patients=3)
    areas, precisions = resampled_rank_statistics(ranking, np.array([[0.0], [2.0], [1.0]]))
    assert (areas.tolist(), precisions.tolist()) == ([1.0], [1.0])
