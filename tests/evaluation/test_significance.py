import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from cxrloc.evaluation.classification.auc_intervals import (
    rank_by_patient,
    resampled_rank_statistics,
)
from cxrloc.evaluation.resampling import resample_patients
from cxrloc.evaluation.significance import delong, delong_p, holm

BOTH = np.array([-1.0, 1.0])


def made(seed, units=60, levels=None):
    """Truth and scores (tied on `levels` values per unit of score)."""
    truth = np.arange(units) % 3 == 0
    scores = np.random.default_rng(seed).normal(size=units) + truth
    return truth, np.round(scores * levels) / levels if levels else scores


def wins(positive, negative):
    return (positive > negative) + 0.5 * (positive == negative)


@given(st.integers(0, 10_000), st.sampled_from([2, None]))
def test_delong_is_its_definition_pair_by_pair(seed, levels):
    truth, first = made(seed, units=15, levels=levels)
    second = made(seed + 1, units=15, levels=levels)[1]
    areas, covariance = delong(truth, np.array([first, second]), np.arange(15))
    psi = [wins(s[truth][:, None], s[~truth][None, :]) for s in (first, second)]
    m, n = psi[0].shape
    want = np.cov([p.mean(axis=1) for p in psi]) / m + np.cov([p.mean(axis=0) for p in psi]) / n
    np.testing.assert_allclose(areas, [p.mean() for p in psi], atol=1e-12)
    np.testing.assert_allclose(covariance, want, atol=1e-12)


def test_copies_of_an_image_in_one_patient_add_no_certainty():
    truth, scores = made(5, units=30)
    patients = np.arange(30)
    _, alone = delong(truth, scores[None], patients)
    _, clustered = delong(np.tile(truth, 3), np.tile(scores, 3)[None], np.tile(patients, 3))
    _, naive = delong(np.tile(truth, 3), np.tile(scores, 3)[None], np.arange(90))
    np.testing.assert_allclose(clustered, alone, rtol=1e-12)
    assert naive[0, 0] < alone[0, 0] / 2


def test_clustered_variance_is_that_of_the_bootstrap_over_patients():
    generator = np.random.default_rng(3)
    patient = np.repeat(np.arange(150), generator.integers(1, 8, 150))
    truth = generator.random(patient.size) < np.where(patient % 2, 0.5, 0.1)
    scores = generator.normal(size=150)[patient] + 0.5 * generator.normal(size=truth.size) + truth
    _, covariance = delong(truth, scores[None], patient)
    ranking = rank_by_patient(truth, scores, patient, patients=150)
    counts = resample_patients(np.ones((150, 1), dtype=bool), resamples=4000, seed=0)
    areas, _ = resampled_rank_statistics(ranking, counts.astype(float))
    assert covariance[0, 0] == pytest.approx(areas.var(), rel=0.1)
    _, as_if_independent = delong(truth, scores[None], np.arange(truth.size))
    assert as_if_independent[0, 0] < covariance[0, 0] / 1.5


def test_delong_interval_covers_the_true_auc_as_often_as_it_says():
    generator = np.random.default_rng(0)
    truth, patients = np.arange(80) % 2 == 0, np.arange(80)
    true_area = norm.cdf(1 / np.sqrt(2))  # positives are one standard deviation higher
    scores = generator.normal(size=(400, 80)) + truth
    covered = 0
    for row in scores:
        areas, covariance = delong(truth, row[None], patients)
        covered += abs(areas[0] - true_area) < 1.96 * np.sqrt(covariance[0, 0])
    assert 0.92 < covered / 400 < 0.98


def test_delong_p_of_a_model_with_itself_is_not_defined():
    truth, scores = made(1)
    patients = np.arange(60)
    assert delong_p(*delong(truth, np.array([scores, scores]), patients), BOTH) is None


def test_delong_p_is_small_for_a_much_better_model():
    truth, scores = made(1)
    patients = np.arange(60)
    assert delong_p(*delong(truth, np.array([scores + 3 * truth, scores]), patients), BOTH) < 0.01


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


def test_delong_s_p_is_that_of_z() -> None:
    """z = -0.1 / sqrt(0.0025 + 0.0025) = -1.4142, whose two tails are 0.1573."""
    p = delong_p(np.array([0.8, 0.7]), np.diag([0.0025, 0.0025]), BOTH)
    assert p == pytest.approx(2 * norm.sf(2**0.5))
    assert p == pytest.approx(0.1573, abs=1e-4)
