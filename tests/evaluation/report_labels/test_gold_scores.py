"""Scores against gold labels: which reports are normal, and which labels a total sums."""

from cxrloc.evaluation.report_labels.gold_scores import (
    TABLE_2_TOTAL,
    score_against_gold,
    scores_frame,
)
from cxrloc.types import Label

YES, NO = Label.POSITIVE, Label.NEGATIVE


def test_a_report_without_text_is_not_called_normal() -> None:
    labels = {"a": {"normal": YES}, "b": {}, "c": {"normal": NO, "Mass": YES}}
    gold = {report: {"normal": YES, "Mass": NO} for report in labels}
    frame = scores_frame(score_against_gold(labels, gold, "chestxray14", seed=0).measurements)
    (normal,) = frame[frame["finding"] == "Normal"].to_dict("records")
    assert (normal["true_positives"], normal["false_negatives"]) == (1, 2)


def test_the_total_of_table_2_sums_its_eight_findings_and_normal() -> None:
    """Mass and two normal reports are right; Hernia and Edema are in no column of table 2."""
    labels = {
        "a": {"Mass": YES, "Hernia": YES, "normal": NO},
        "b": {"normal": YES, "Edema": NO},
        "c": {"normal": YES},
        "d": {"normal": NO, "Nodule": YES},
    }
    gold = {
        "a": {"Mass": YES, "Edema": YES, "normal": NO},
        "b": {"normal": YES},
        "c": {"normal": YES},
        "d": {"normal": YES},
    }
    scores = score_against_gold(labels, gold, "chestxray14", seed=0)
    total = {s.metric: s for s in scores.measurements if s.finding == TABLE_2_TOTAL}
    assert (total["precision"].numerator, total["precision"].divisor) == (3, 4)
    assert (total["recall"].numerator, total["recall"].divisor) == (3, 4)
    assert len(total["f1"].averaged) == 9
