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


@pytest.mark.parametrize(
    ("rule", "target", "threshold"),
    [
        ("youden", 0, 0.5),  # sensitivity 3/3, specificity 4/7
        ("sensitivity", 2 / 3, 0.8),  # two of three positives are enough
        ("sensitivity", 0.67, 0.5),  # just more than two of three takes the third
        ("specificity", 1.0, 1.0),  # only above the first negative
        ("specificity", 6 / 7, 0.8),  # one false positive allowed
        ("specificity", 0.86, 1.0),  # just more than 6/7 allows none
    ],
)
def test_rules_pick_the_threshold_that_a_hand_would(rule, target, threshold):
    assert choose_operating_point(TRUTH, SCORES, rule, target).threshold == threshold


def test_of_equal_youden_indices_the_highest_threshold_is_taken():
    #        +  +  -  +  -  -    2/3 - 0 at the second, 1 - 1/3 at the fourth
    truth = np.array([True, True, False, True, False, False])
    assert choose_operating_point(truth, np.arange(6, 0, -1) / 6).threshold == 5 / 6


def test_full_specificity_may_call_nothing_positive():
    point = choose_operating_point(
        np.array([False, True]), np.array([0.9, 0.1]), "specificity", target=1.0
    )
    assert 0.9 < point.threshold < 0.9 + 1e-9


def test_one_class_has_no_operating_point():
    assert choose_operating_point(np.array([True, True]), np.array([0.9, 0.1])) is None


def test_a_point_says_how_and_on_whom_it_was_chosen():
    point = choose_operating_point(TRUTH, SCORES, "sensitivity", 0.9)
    assert (point.rule, point.chosen_on) == ("sensitivity >= 0.9", "other patients")


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
