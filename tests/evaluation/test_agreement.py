import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from cxrloc.evaluation.agreement import disagreements, rank_correlations


@given(st.integers(0, 10_000))
def test_rank_correlations_are_those_of_scipy_averaged_over_findings(seed):
    scores = np.random.default_rng(seed).integers(0, 6, (3, 15, 4)).astype(float)  # tied
    matrix, defined = rank_correlations(scores)
    want = np.mean([spearmanr(scores[:, :, f].T).statistic for f in np.flatnonzero(defined)], 0)
    np.testing.assert_allclose(matrix, want, atol=1e-12)


def test_a_constant_model_leaves_the_finding_out():
    scores = np.random.default_rng(0).random((2, 10, 2))
    scores[1, :, 0] = 0.5
    matrix, defined = rank_correlations(scores)
    assert defined.tolist() == [False, True]
    assert matrix[0, 1] == pytest.approx(spearmanr(scores[0, :, 1], scores[1, :, 1]).statistic)


def test_without_any_order_there_is_no_correlation():
    assert np.isnan(rank_correlations(np.zeros((2, 10, 1)))[0]).all()


def test_models_on_other_scales_agree_when_their_order_does():
    scores = np.array([[[0.1], [0.5], [0.9]], [[0.01], [0.02], [0.03]]])
    assert disagreements(scores, most=3)[2].tolist() == [0, 0, 0]


def test_the_pair_that_one_ranks_first_and_the_other_last_comes_first():
    first = np.array([[0.9, 0.1], [0.5, 0.2], [0.4, 0.3], [0.3, 0.4]])
    second = np.array([[0.1, 0.1], [0.5, 0.2], [0.4, 0.3], [0.3, 0.4]])
    unit, finding, value = disagreements(np.array([first, second]), most=1)
    assert (unit.tolist(), finding.tolist(), value.tolist()) == ([0], [0], [0.75])
