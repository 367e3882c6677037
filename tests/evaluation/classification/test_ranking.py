import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import (
    label_ranking_average_precision_score,
    roc_auc_score,
    roc_curve,
    top_k_accuracy_score,
)
from torchmetrics.functional.classification import (
    binary_auroc,
    multilabel_ranking_average_precision,
)

from cxrloc.evaluation.classification.ranking import (
    auc,
    cumulative_shares,
    image_ranking_precision,
    in_top,
    points_under_roc,
    reader_points,
    roc,
)

# Few distinct values, so that ties are the rule.
TIED = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=40).filter(
    lambda rows: len({positive for positive, _ in rows}) == 2
)


def arrays(rows):
    truth, scores = zip(*rows, strict=True)
    return np.array(truth), np.array(scores) / 4


@given(TIED)
def test_roc_is_that_of_scikit_learn(rows):
    truth, scores = arrays(rows)
    curve = roc(truth, scores)
    expected = roc_curve(truth, scores, drop_intermediate=False)
    ours = (curve.false_positive_rate, curve.sensitivity, curve.thresholds)
    for got, want in zip(ours, expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


@given(TIED)
def test_auc_is_that_of_scikit_learn_scipy_and_torchmetrics(rows):
    truth, scores = arrays(rows)
    ours = auc(truth, scores)
    u = mannwhitneyu(scores[truth], scores[~truth]).statistic
    assert ours == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert ours == pytest.approx(u / truth.sum() / (~truth).sum(), abs=1e-12)
    reference = binary_auroc(torch.from_numpy(scores), torch.from_numpy(truth).long())
    assert ours == pytest.approx(float(reference), abs=1e-6)


@given(TIED)
def test_auc_of_reversed_scores_is_the_rest(rows):
    truth, scores = arrays(rows)
    assert auc(truth, scores) + auc(truth, -scores) == pytest.approx(1)


@pytest.mark.parametrize("only", [True, False])
@pytest.mark.parametrize("measure", [auc, roc])
def test_one_class_alone_is_not_defined(measure, only):
    assert measure(np.full(3, only), np.array([0.1, 0.2, 0.3])) is None


@given(st.integers(0, 10_000))
def test_image_ranking_precision_is_label_ranking_average_precision(seed):
    generator = np.random.default_rng(seed)
    truth = generator.random((12, 6)) < 0.3
    scores = generator.integers(0, 5, (12, 6)) / 4  # many ties
    ours = image_ranking_precision(truth, scores)
    labelled = truth.any(axis=1)
    if labelled.any():
        want = label_ranking_average_precision_score(truth[labelled], scores[labelled])
        assert ours.mean() == pytest.approx(want, abs=1e-12)
        torch_scores = torch.from_numpy(scores[labelled])
        target = torch.from_numpy(truth[labelled]).long()
        reference = multilabel_ranking_average_precision(torch_scores, target, num_labels=6)
        assert ours.mean() == pytest.approx(float(reference), abs=1e-6)


def test_images_without_findings_are_left_out_of_the_ranking_precision():
    truth = np.array([[False, False], [True, False]])
    assert image_ranking_precision(truth, np.array([[0.9, 0.1], [0.9, 0.1]])).tolist() == [1.0]


def test_a_finding_that_is_not_on_the_list_adds_nothing():
    truth, scores = np.array([[True, True]]), np.array([[0.9, 0.2]])
    assert image_ranking_precision(truth, scores, threshold=0.5).tolist() == [0.5]


def test_cumulative_shares_end_at_all():
    values, shares = cumulative_shares(np.array([1.0, 0.25, 1.0]))
    assert values.tolist() == [0.25, 1.0]
    assert shares.tolist() == [pytest.approx(1 / 3), 1.0]


def test_top_k_without_ties_is_that_of_scikit_learn():
    generator = np.random.default_rng(3)
    scores, label = generator.random((50, 10)), generator.integers(0, 10, 50)
    for k in (1, 3, 9):
        surely, possibly = in_top(scores, k)
        assert (surely == possibly).all()
        want = top_k_accuracy_score(label, scores, k=k, labels=range(10))
        assert surely[np.arange(50), label].mean() == pytest.approx(want)


def test_a_constant_score_is_surely_nowhere_and_possibly_everywhere():
    surely, possibly = in_top(np.full((2, 5), 0.5), 3)
    assert not surely.any()
    assert possibly.all()


@pytest.mark.parametrize(
    ("point", "under"),
    [
        ((0.0, 0.49), True),  # below the upper end of the first vertical step
        ((0.0, 0.50), False),  # on it
        ((0.25, 0.49), True),  # below the flat part
        ((0.25, 0.51), False),  # above it
        ((0.5, 0.99), True),  # below the upper end of the second step
        ((1.0, 1.0), False),  # the corner belongs to the curve
    ],
)
def test_a_point_is_under_the_curve_only_strictly(point, under):
    #  1.0 |     ____     scores .9 + .6 - .5 + .1 -
    #  0.5 |____|
    #      0   .5   1
    curve = roc(np.array([True, False, True, False]), np.array([0.9, 0.6, 0.5, 0.1]))
    x, y = point
    assert points_under_roc(curve, np.array([x]), np.array([y])).tolist() == [under]


@given(TIED)
def test_upper_ends_of_the_curve_are_not_under_it_and_all_lower_points_are(rows):
    curve = roc(*arrays(rows))
    x = np.unique(curve.false_positive_rate)
    upper = np.array([curve.sensitivity[curve.false_positive_rate == at].max() for at in x])
    assert not points_under_roc(curve, x, upper).any()
    assert points_under_roc(curve, x, upper - 1e-9).all()


def test_a_binary_reader_has_the_auc_of_its_operating_point():
    truth = np.array([True, True, False, False, False])
    reading = np.array([[True, False, True, False, False]])
    false_positive_rate, sensitivity = reader_points(truth, reading)
    area = auc(truth, reading[0].astype(float))
    assert area == pytest.approx((sensitivity[0] + 1 - false_positive_rate[0]) / 2)


def test_a_score_at_the_threshold_is_not_on_the_list():
    truth, scores = np.array([[True, True]]), np.array([[0.9, 0.5]])
    assert image_ranking_precision(truth, scores, threshold=0.5).tolist() == [0.5]
    assert image_ranking_precision(truth, scores, threshold=0.49).tolist() == [1.0]
