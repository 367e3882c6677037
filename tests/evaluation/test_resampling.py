import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap as scipy_bootstrap

from cxrloc.evaluation.classification.auc_intervals import (
    rank_by_patient,
    resampled_rank_statistics,
)
from cxrloc.evaluation.resampling import (
    Resampling,
    bootstrap,
    resample_patients,
    two_sided_p,
)


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 5), st.sampled_from([0.1, 0.5]))
def test_every_resample_keeps_every_class_and_the_number_of_patients(seed, patients, classes, rate):
    carries = np.random.default_rng(seed).random((patients, classes)) < rate
    carries[seed % patients] = True  # each class has a carrier
    counts = resample_patients(carries, resamples=20, seed=seed)
    assert (counts.sum(axis=0) == patients).all()
    assert (carries.T.astype(int) @ counts > 0).all()


def test_a_class_hidden_in_the_strata_of_rarer_ones_is_kept_too():
    # The last class is carried only by patients in the strata of the other two.
    carries = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 1], [0, 1, 0]], dtype=bool)
    counts = resample_patients(carries, resamples=200, seed=0)
    assert (counts[[0, 2]].sum(axis=0) > 0).all()


def test_a_class_that_nobody_carries_is_an_error():
    carries = np.array([[True, False], [True, False]])
    with pytest.raises(ValueError, match="a class without a carrier"):
        resample_patients(carries, resamples=1, seed=0)
    assert resample_patients(carries, resamples=0, seed=0).shape == (2, 0)


def test_one_stratum_is_the_plain_bootstrap():
    counts = resample_patients(np.ones((50, 1), dtype=bool), resamples=2000, seed=1)
    assert counts.mean() == 1
    assert counts.var() == pytest.approx(1 - 1 / 50, rel=0.02)  # multinomial


def test_equal_seeds_give_equal_counts():
    carries = np.eye(6, 2, dtype=bool) | np.array([[True, False]])
    first, again = (resample_patients(carries, 5, seed=3) for _ in range(2))
    other = resample_patients(carries, 5, seed=4)
    assert (first == again).all()
    assert (first != other).any()


def ranked_auc(scores, positives):
    truth = np.arange(scores.size) < positives
    ranking = rank_by_patient(truth, scores, np.arange(scores.size), scores.size)
    return lambda counts: resampled_rank_statistics(ranking, counts)[0][None]


def pairwise_auc(positives, negatives, axis):
    return np.mean(positives[..., :, None] > negatives[..., None, :], axis=(-2, -1))


def test_intervals_are_those_of_scipy_on_the_same_distribution():
    generator = np.random.default_rng(2)
    positives, negatives = generator.normal(1, 1, 12), generator.normal(0, 1, 30)
    scores = np.concatenate([positives, negatives])
    carries = np.repeat(np.eye(2, dtype=bool), [12, 30], axis=0)
    ours = bootstrap(ranked_auc(scores, 12), carries, Resampling(400))

    class Earlier:  # what scipy reads of an earlier result
        bootstrap_distribution = ours.distribution[0]

    theirs = scipy_bootstrap(
        (positives, negatives),
        pairwise_auc,
        n_resamples=0,
        bootstrap_result=Earlier,
        method="percentile",
        vectorized=True,
    ).confidence_interval
    assert ours.estimate[0] == pytest.approx(pairwise_auc(positives, negatives, -1))
    assert (ours.low[0], ours.high[0]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_patients_not_images_are_drawn():
    # 10 images of each of 20 patients, copies of one another: as wide as 20 images.
    generator = np.random.default_rng(4)
    truth = np.arange(20) % 2 == 0
    scores = generator.normal(size=20) + truth
    carries = np.stack([truth, ~truth], axis=1)

    def interval(copies):
        ranking = rank_by_patient(
            np.repeat(truth, copies),
            np.repeat(scores, copies),
            np.repeat(np.arange(20), copies),
            20,
        )
        result = bootstrap(
            lambda counts: resampled_rank_statistics(ranking, counts)[0][None],
            carries,
            Resampling(200),
        )
        return result.low[0], result.high[0]

    assert interval(10) == pytest.approx(interval(1))


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        (np.ones(999), 0.002),  # never crosses 0: the smallest p that 999 resamples can show
        (np.zeros(999), 1.0),
        (np.linspace(-1, 1, 999), 1.0),
    ],
)
def test_bootstrap_p_value_is_never_zero_and_at_most_one(differences, p):
    assert two_sided_p(differences) == pytest.approx(p)
