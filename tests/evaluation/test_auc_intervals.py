import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrloc.evaluation.auc_intervals import (
    delong,
    delong_p,
    holm,
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


def wins(positive, negative):
    return (positive > negative) + 0.5 * (positive == negative)


@given(st.integers(0, 10_000), st.sampled_from([2, None]))
def test_delong_is_its_definition_pair_by_pair(seed, levels):
    truth, first, _ = made(seed, units=15, levels=levels)
    second = made(seed + 1, units=15, levels=levels)[1]
    areas, covariance = delong(truth, np.array([first, second]), [str(i) for i in range(15)])
    psi = [wins(s[truth][:, None], s[~truth][None, :]) for s in (first, second)]
    m, n = psi[0].shape
    want = np.cov([p.mean(axis=1) for p in psi]) / m + np.cov([p.mean(axis=0) for p in psi]) / n
    np.testing.assert_allclose(areas, [p.mean() for p in psi], atol=1e-12)
    np.testing.assert_allclose(covariance, want, atol=1e-12)


def test_copies_of_an_image_in_one_patient_add_no_certainty():
    truth, scores, _ = made(5, units=30)
    patients = [str(i) for i in range(30)]
    _, alone = delong(truth, scores[None], patients)
    _, clustered = delong(np.tile(truth, 3), np.tile(scores, 3)[None], patients * 3)
    _, naive = delong(np.tile(truth, 3), np.tile(scores, 3)[None], [str(i) for i in range(90)])
    np.testing.assert_allclose(clustered, alone, rtol=1e-12)
    assert naive[0, 0] < alone[0, 0] / 2


def test_delong_interval_covers_the_true_auc_as_often_as_it_says():
    generator = np.random.default_rng(0)
    truth, patients = np.arange(80) % 2 == 0, [str(i) for i in range(80)]
    true_area = norm.cdf(1 / np.sqrt(2))  # positives are one standard deviation higher
    scores = generator.normal(size=(400, 80)) + truth
    covered = 0
    for row in scores:
        areas, covariance = delong(truth, row[None], patients)
        covered += abs(areas[0] - true_area) < 1.96 * np.sqrt(covariance[0, 0])
    assert 0.92 < covered / 400 < 0.98


def test_delong_p_of_a_model_with_itself_is_not_defined():
    truth, scores, _ = made(1)
    patients = [str(i) for i in range(60)]
    assert delong_p(*delong(truth, np.array([scores, scores]), patients)) is None


def test_delong_p_is_small_for_a_much_better_model():
    truth, scores, _ = made(1)
    patients = [str(i) for i in range(60)]
    assert delong_p(*delong(truth, np.array([scores + 3 * truth, scores]), patients)) < 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_is_at_most_bonferroni(p_values):
    p_values = np.array(p_values)
    adjusted = holm(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1, p_values * p_values.size) + 1e-12).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.3]))
def test_holm_rejects_what_its_steps_reject(p_values, level):
    p_values = np.array(p_values)
    rejected = np.zeros(p_values.size, dtype=bool)
    for step, test in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[test] * (p_values.size - step) > level:
            break
        rejected[test] = True
    assert ((holm(p_values) <= level) == rejected).all()
