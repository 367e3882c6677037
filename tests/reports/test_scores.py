"""Precision, recall and F1 against an independent implementation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from cxrloc.reports.scores import outcomes, score_labels, total_intervals
from cxrloc.types import CxrlocError, Label


@given(st.integers(0, 1000))
def test_scores_agree_with_scikit_learn(seed: int) -> None:
    pairs = np.random.default_rng(seed).random((20, 3, 2)) < 0.5
    findings = ("Mass", "Edema", "Hernia")
    found = {score.finding: score for score in score_labels(pairs, findings)}
    for name, kept in (("Mass", [0]), ("Total", [0, 1, 2]), ("Total without Hernia", [0, 1])):
        claimed, true = pairs[:, kept, 0], pairs[:, kept, 1]
        options = {"average": "micro" if len(kept) > 1 else "binary", "zero_division": np.nan}
        expected = [
            score(true if len(kept) > 1 else true[:, 0],
                  claimed if len(kept) > 1 else claimed[:, 0], **options)
            for score in (precision_score, recall_score, f1_score)
        ]  # fmt: skip
        one = found[name]
        got = [np.nan if r is None else r for r in (one.precision, one.recall, one.f1)]
        np.testing.assert_allclose(got, expected)


def test_uncertain_counts_as_negative_or_beside_it_as_positive() -> None:
    labels = {"a": {"Mass": Label.UNCERTAIN}, "b": {"Mass": Label.POSITIVE}, "c": {}}
    gold = {"a": {"Mass": Label.POSITIVE}, "b": {"Mass": Label.NEGATIVE}}
    strict = outcomes(labels, gold, ("Mass",), frozenset({Label.POSITIVE}))
    loose = outcomes(labels, gold, ("Mass",), frozenset({Label.POSITIVE, Label.UNCERTAIN}))
    assert strict[:, 0].tolist() == [[False, True], [True, False]]
    assert loose[:, 0].tolist() == [[True, True], [True, False]]


def test_a_gold_report_without_labels_is_an_error() -> None:
    with pytest.raises(CxrlocError, match="1 reports of the gold labels are missing, as 'a'"):
        outcomes({}, {"a": {}}, ("Mass",), frozenset({Label.POSITIVE}))


def test_intervals_hold_the_total_and_repeat() -> None:
    pairs = np.random.default_rng(0).random((300, 4, 2)) < 0.4
    total = score_labels(pairs, ("A", "B", "C", "D"))[4]
    found = total_intervals(pairs, 500, seed=1)
    low, high = found["f1"]
    assert total.f1 is not None
    assert low < total.f1 < high
    assert found == total_intervals(pairs, 500, seed=1)
