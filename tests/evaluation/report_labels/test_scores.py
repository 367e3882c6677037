"""Precision, recall and F1 against an independent implementation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.report_labels.scores import (
    METRICS,
    LabelScoring,
    outcomes,
    score_labels,
    totals_of,
)
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Label


def scored(pairs: np.ndarray, findings: tuple[str, ...], samples: int = 0) -> list[Measurement]:
    resampling = Resampling(samples, seed=1)
    return score_labels(pairs, LabelScoring(findings, totals_of(findings), resampling=resampling))


@given(st.integers(0, 1000))
def test_scores_agree_with_scikit_learn(seed: int) -> None:
    pairs = np.random.default_rng(seed).random((20, 3, 2)) < 0.5
    findings = ("Mass", "Edema", "Hernia")
    found = {(score.finding, score.metric): score.value for score in scored(pairs, findings)}
    for name, kept in (("Mass", [0]), ("Total", [0, 1, 2]), ("Total without Hernia", [0, 1])):
        claimed, true = pairs[:, kept, 0], pairs[:, kept, 1]
        options = {"average": "micro" if len(kept) > 1 else "binary", "zero_division": np.nan}
        expected = [
            score(true if len(kept) > 1 else true[:, 0],
                  claimed if len(kept) > 1 else claimed[:, 0], **options)
            for score in (precision_score, recall_score, f1_score)
        ]  # fmt: skip
        values = [found[name, metric] for metric in METRICS]
        got = [np.nan if value is None else value for value in values]
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
    found = scored(pairs, findings, samples=500)
    widths = {}
    for score in found:
        assert score.low is not None
        assert score.high is not None
        assert score.value is not None
        assert score.low < score.value < score.high
        widths[score.finding, score.metric] = score.high - score.low
    assert widths["Total", "f1"] < widths["A", "f1"]  # more labels, less chance
    assert found == scored(pairs, findings, samples=500)


def test_a_ratio_without_divisor_is_not_defined_and_has_no_interval() -> None:
    pairs = np.array([[[True, False]], [[False, False]]])  # one claim, nothing to find
    precision, recall, f1, *_ = scored(pairs, ("Mass",), samples=20)
    assert (precision.value, precision.low, precision.high) == (0.0, 0.0, 0.0)
    assert (recall.value, recall.low, recall.high) == (None, None, None)
    assert recall.note == "not defined: no labels in the gold standard"
    assert (f1.numerator, f1.divisor) == (0, 1)
