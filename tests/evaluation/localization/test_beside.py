"""Measured numbers beside published ones: prior boxes, average precision, hit rates and mIoU."""

import numpy as np
import pytest

from cxrloc.evaluation.localization.beside import beside_frame
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.metrics import score_metrics
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.localization.scores import score_run
from cxrloc.evaluation.localization.tables import grid, rows_of
from cxrloc.evaluation.localization.threshold_choice import ThresholdProtocol
from cxrloc.evaluation.resampling import Resampling
from cxrloc.files.table_writer import in_words
from cxrloc.types import Outline
from tests.evaluation.localization.drawn_truth import drawn_record, whole_map
from tests.evaluation.localization.test_scores import DETECTIONS, RECORDS, RULES

PROTOCOL = ScoringProtocol(rules=RULES, resampling=Resampling(resamples=50), draws=2)


def test_beside_published_numbers_stand_the_prior_boxes_and_average_precision() -> None:
    rules = (MatchRule("iou", 0.3), MatchRule("iobb", 0.5))
    protocol = ScoringProtocol(rules=rules, resampling=Resampling(resamples=0), draws=1)
    run = place_run(RECORDS, DETECTIONS, protocol)
    frame = beside_frame(score_run(run), score_metrics(run)).set_index(["finding", "criterion"])
    prior = grid(rows_of(score_run(run).measurements, "prior_medoid"), "accuracy")
    assert frame.loc[("Mass", "iou"), "prior_medoid_accuracy"] == prior[0, 0]
    assert 0 < frame.loc[("mean", "iou"), "detection_average_precision"] <= 1
    assert np.isnan(frame.loc[("mean", "iobb"), "detection_average_precision"])
    assert "point" not in frame.index.get_level_values("criterion")  # these boxes have no maps


def test_hit_rates_stand_beside_that_of_the_centre_of_the_prior_box() -> None:
    """The boxes of the four patients are equal, but for that of a patient on the other side."""
    box, other = (10, 10, 30, 30), (70, 70, 90, 90)
    corners = {"a": box, "b": box, "c": box, "d": other}
    records = [drawn_record(name, place) for name, place in corners.items()]
    records += [drawn_record(f"n{name}", box, finding="Nodule") for name in "xy"]
    peak = np.zeros((10, 10))
    peak[8, 8] = 1.0
    maps = [whole_map(name, peak) for name in corners]
    maps += [whole_map(f"n{name}", peak, finding="Nodule") for name in "xy"]
    run = place_run(records, [], PROTOCOL, maps)
    frame = beside_frame(score_run(run), score_metrics(run))
    points = frame[frame["criterion"] == "point"].set_index("finding")
    assert points["hit_rate"].to_dict() == {"Mass": 0.25, "Nodule": 0.0, "mean": 0.125}
    assert points["prior_medoid_accuracy"].to_dict() == {"Mass": 0.75, "Nodule": 1.0, "mean": 0.875}
    assert points["hit_rate_low"].notna().all()
    many = frame.assign(annotated=frame["annotated"] * 10_000)
    assert {*in_words(many)["annotated"]} == {"40000", "20000", "60000", ""}


def test_the_miou_of_drawn_truth_has_rows_of_its_own() -> None:
    square = Outline((((0, 0), (50, 0), (50, 50), (0, 50)),))
    records = [drawn_record(name, [0, 0, 50, 50], shape=square) for name in "abcd"]
    peak = np.zeros((20, 20))
    peak[:10, :10] = 1.0
    protocol = ScoringProtocol(
        rules=RULES, resampling=Resampling(0), thresholds=ThresholdProtocol(0.5, oracle=True)
    )
    run = place_run(records, [], protocol, [whole_map(name, peak) for name in "abcd"])
    rows = beside_frame(score_run(run), score_metrics(run))
    drawn = rows[rows["criterion"] == "outline"].set_index("finding")
    # One row per finding, that of the tuning patients and not that of the oracle.
    assert drawn.index.tolist() == ["Mass", "mean"]
    assert drawn.loc["Mass", "outline_miou"] == pytest.approx(1.0, abs=0.1)
