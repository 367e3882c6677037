"""Precision, recall and F1 against an independent implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from cxrloc.reports.scores import outcomes, score_intervals, score_labels
from cxrloc.types import CxrlocError, Label


@settings(deadline=None)
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


def test_intervals_hold_every_score_and_repeat() -> None:
    findings = ("A", "Hernia", "C")
    pairs = np.random.default_rng(0).random((300, 3, 2)) < 0.4
    found = score_intervals(pairs, findings, 500, seed=1)
    for score, intervals in zip(score_labels(pairs, findings), found, strict=True):
        for name, interval in intervals.items():
            assert interval is not None
            assert interval[0] < getattr(score, name) < interval[1]
    total, single = (found[row]["f1"] for row in (3, 0))
    assert total is not None
    assert single is not None
    assert total[1] - total[0] < single[1] - single[0]  # more labels, less chance
    assert found == score_intervals(pairs, findings, 500, seed=1)


def test_a_ratio_without_divisor_has_no_interval() -> None:
    pairs = np.array([[[True, False]], [[False, False]]])  # one claim, nothing to find
    (mass, *_) = score_intervals(pairs, ("Mass",), 20, seed=0)
    assert mass == {"precision": (0.0, 0.0), "recall": None, "f1": (0.0, 0.0)}
