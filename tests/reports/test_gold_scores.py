"""Scores against gold labels, and the published ones beside them."""

import pandas as pd

from cxrloc.reports.gold_scores import score_against_gold, with_published
from cxrloc.types import Label

YES, NO = Label.POSITIVE, Label.NEGATIVE


def test_a_report_without_text_is_not_called_normal() -> None:
    labels = {"a": {"normal": YES}, "b": {}, "c": {"normal": NO, "Mass": YES}}
    gold = {report: {"normal": YES, "Mass": NO} for report in labels}
    frame = score_against_gold(labels, gold, "chestxray14", seed=0).frame
    (normal,) = frame[frame["finding"] == "Normal"].to_dict("records")
    assert (normal["true_positives"], normal["false_negatives"]) == (1, 2)


def test_published_scores_stand_beside_the_reading_of_the_paper() -> None:
    labels = {"a": {"Mass": YES}}
    scores = score_against_gold(labels, {"a": {"Mass": YES}}, "chestxray14", seed=0)
    systems = ("Wang 2017 on OpenI", "MetaMap on OpenI")
    published = pd.DataFrame(
        [
            {"setting": system, "finding": "Mass", "metric": metric, "value": value}
            for system, value in zip(systems, (0.5, 0.25), strict=True)
            for metric in ("precision", "recall", "f1")
        ]
    )
    frame = with_published(scores, published).frame.set_index(["uncertain_as", "finding"])
    assert frame.loc[("negative", "Mass"), ["wang2017_f1", "metamap_f1"]].tolist() == [0.5, 0.25]
    assert pd.isna(frame.loc[("positive", "Mass"), "wang2017_f1"])
