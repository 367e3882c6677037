"""Pham et al. 2019, section 4.6: radiologists' operating points under the model's ROC curve."""

import numpy as np
import pytest

from cxrloc.evaluation.classification.ranking import points_under_roc, reader_points, roc
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.published import published
from cxrloc.types import Label, Predictions, Record

#                 the model's order, best first; readers call it (1) or not (0)
TRUTH = np.array([c == "+" for c in "++-+--+---"])
SCORES = np.arange(10, 0, -1) / 10
READERS = np.array(
    [
        [c == "1" for c in "1110000000"],  # sensitivity 2/4 at 1/6: the model has 3/4 there
        [c == "1" for c in "1101001000"],  # 4/4 at 0/6: better than any model
        [c == "1" for c in "0110100001"],  # 1/4 at 3/6
    ]
)


def test_two_of_three_readers_lie_under_the_curve():
    under = points_under_roc(roc(TRUTH, SCORES), *reader_points(TRUTH, READERS))
    assert under.tolist() == [True, False, True]


def test_the_paper_averages_that_count_over_findings():
    points = reader_points(TRUTH, READERS)
    counts = [points_under_roc(roc(TRUTH, scores), *points).sum() for scores in (SCORES, -SCORES)]
    assert np.mean(counts) == 1.0  # "2.6 out of 3" in the paper, over five findings


def test_a_study_scores_the_maximum_over_its_images():
    records = [Record(name, "p", "study", None, labels={"Edema": Label.POSITIVE}) for name in "ab"]
    predictions = Predictions(("a", "b"), ("Edema",), np.array([[0.2], [0.7]]))
    assert score_units(predictions, records, "study").scores.tolist() == [[0.7]]
    assert score_units(predictions, records, "study", "mean").scores[0, 0] == pytest.approx(0.45)


@pytest.mark.parametrize("name", ["pham2019:1", "pham2019:2"])
def test_printed_means_are_those_of_the_five_findings(name):
    for _, rows in published(name).groupby("setting"):
        is_mean = rows["finding"] == "mean"
        assert (~is_mean).sum() == 5
        printed, computed = rows["value"][is_mean].item(), rows["value"][~is_mean].mean()
        assert printed == pytest.approx(computed, abs=0.0011)  # some are cut, not rounded
