import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from cxrloc.evaluation.classification.operating_points import (
    choose_operating_point,
    confusion,
    sensitivity,
    specificity,
)

#                 + - + - - + - - - -   from the highest score down
TRUTH = np.array([c == "+" for c in "+-+--+----"])
SCORES = np.arange(10, 0, -1) / 10


def test_the_threshold_has_the_largest_youden_index():
    # At 0.5 the sensitivity is 3/3 and the specificity 4/7; no other threshold has a larger sum.
    assert choose_operating_point(TRUTH, SCORES).threshold == 0.5


def test_of_equal_youden_indices_the_highest_threshold_is_taken():
    #        +  +  -  +  -  -    2/3 - 0 at the second, 1 - 1/3 at the fourth
    truth = np.array([True, True, False, True, False, False])
    assert choose_operating_point(truth, np.arange(6, 0, -1) / 6).threshold == 5 / 6


def test_where_every_call_is_wrong_nothing_is_called_positive():
    point = choose_operating_point(np.array([False, True]), np.array([0.9, 0.1]))
    assert 0.9 < point.threshold < 0.9 + 1e-9


def test_one_class_has_no_operating_point():
    assert choose_operating_point(np.array([True, True]), np.array([0.9, 0.1])) is None


def test_a_point_says_how_and_on_whom_it_was_chosen():
    point = choose_operating_point(TRUTH, SCORES)
    assert (point.rule, point.chosen_on) == ("youden", "other patients")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_confusion_is_that_of_scikit_learn(pairs):
    truth, called = np.array(pairs).T
    counts = confusion(truth, called)
    want = confusion_matrix(truth, called, labels=[False, True])
    assert [
        [counts.true_negatives, counts.false_positives],
        [counts.false_negatives, counts.true_positives],
    ] == want.tolist()


def test_rates_without_their_class_are_not_defined():
    none = confusion(np.array([False]), np.array([True]))
    assert sensitivity(none) is None
    assert specificity(none) == 0
    assert specificity(confusion(np.array([True]), np.array([True]))) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=30))
def test_youden_is_the_best_of_all_thresholds(rows):
    truth, scores = np.array([t for t, _ in rows]), np.array([s / 4 for _, s in rows])
    point = choose_operating_point(truth, scores)
    if point is None:
        return

    def youden(threshold):
        counts = confusion(truth, scores >= threshold)
        return sensitivity(counts) + specificity(counts) - 1

    assert youden(point.threshold) == pytest.approx(max(0, *map(youden, np.unique(scores))))
