"""Thresholds of "one-box" come from a card or from patients who are not scored."""

from dataclasses import replace

import numpy as np
import pytest

from cxrloc.errors import UsageError
from cxrloc.evaluation.localization.box_rule_choice import by_box_rule
from cxrloc.evaluation.localization.claims import Claims
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.localization.printed_tables import report_note
from cxrloc.evaluation.localization.scores import score_run
from cxrloc.evaluation.localization.threshold_choice import ThresholdProtocol
from cxrloc.evaluation.resampling import Resampling
from tests.evaluation.localization.drawn_truth import drawn_record, whole_map

PROTOCOL = ScoringProtocol(resampling=Resampling(20), draws=2)


def steps(count: int = 10) -> Claims:
    """Maps with a hot quarter inside a warm half; the truth is the warm half.

    Above 60 the box is the half with IoU near 1, above 180 only the quarter.
    """
    scores = np.zeros((20, 20))
    scores[:, :10] = 110.0
    scores[:, :5] = 255.0
    records = [drawn_record(f"{i}", [0, 0, 50, 100]) for i in range(count)]
    maps = [whole_map(f"{i}", scores) for i in range(count)]
    probabilities = {(f"{i}", "Mass"): 0.5 for i in range(count)}
    return Claims(records, (), maps, probabilities)


def test_the_published_rule_changes_nothing() -> None:
    claims = steps()
    assert by_box_rule(claims, PROTOCOL, {}) == (claims, PROTOCOL)


def test_tuning_patients_choose_and_are_not_scored() -> None:
    asked = replace(PROTOCOL, box_rule="one-box")
    claims, protocol = by_box_rule(steps(), asked, {})
    assert len(claims.records) == len(claims.heatmaps) == len(claims.detections) == 7
    assert {d.image_id for d in claims.detections} == {r.image_id for r in claims.records}
    assert 0 < protocol.finding_thresholds["Mass"] < 110.0
    assert protocol.thresholds_from == "3 tuning patients, who are not scored"
    scores = score_run(place_run(claims.records, claims.detections, protocol, claims.heatmaps))
    (mean,) = (
        row.value
        for row in scores.measurements
        if (row.metric, row.finding, row.match) == ("accuracy", "mean", "iou > 0.7")
        and not row.subject
        and row.group == "all"
    )
    assert mean == 1.0
    note = report_note(scores)
    assert "Box rule: one-box" in note
    assert "3 tuning patients, who are not scored" in note
    per_heatmap = [r for r in scores.measurements if r.metric == "boxes_per_heatmap"]
    assert {row.value for row in per_heatmap if row.subject in ("random", "oracle_map")} == {1.0}


def test_thresholds_of_the_card_need_no_tuning_patients() -> None:
    asked = replace(PROTOCOL, box_rule="one-box", thresholds=ThresholdProtocol(0.0))
    claims, protocol = by_box_rule(steps(), asked, {"Mass": 180.0})
    assert len(claims.records) == 10
    assert protocol.finding_thresholds == {"Mass": 180.0}
    assert "card" in protocol.thresholds_from
    (box, *_) = (d.box for d in claims.detections)
    assert box.x_max < 30.0


def test_without_card_and_tuning_patients_there_is_no_one_box() -> None:
    asked = replace(PROTOCOL, box_rule="one-box", thresholds=ThresholdProtocol(0.0))
    with pytest.raises(UsageError, match="give --tuning a share above 0"):
        by_box_rule(steps(), asked, {})


def test_the_hottest_share_scores_everybody() -> None:
    claims, _ = by_box_rule(steps(), replace(PROTOCOL, box_rule="hottest-share"), {})
    assert len(claims.detections) == len(claims.records) == 10
