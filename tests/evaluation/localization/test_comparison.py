"""Two detectors on the same boxes, drawn so that they can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.localization.comparison import (
    compare_detections,
)
from cxrloc.evaluation.localization.hits import MatchRule, best_overlaps
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scored_pairs import place_detections, scored_pairs
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Annotation, Box, Detection, Record

RULES = (MatchRule("iou", 0.5), MatchRule("iobb", 0.9))
PROTOCOL = ScoringProtocol(rules=RULES, resampling=Resampling(resamples=200))
TRUTH = Box(0.0, 0.0, 10.0, 10.0)
HALF, AWAY = Box(0.0, 0.0, 10.0, 5.0), Box(20.0, 20.0, 30.0, 30.0)


def patients(n: int) -> list[Record]:
    """Odd ones have a Mass, even ones a Nodule, always in the same place."""
    return [
        Record(f"{i}", f"{i}", f"{i}", None, annotations=(Annotation(f"{i}", name, TRUTH),))
        for i, name in enumerate(["Nodule", "Mass"] * (n // 2))
    ]


def claims(records: list[Record], boxes: list[Box]) -> list[Detection]:
    return [
        Detection(record.image_id, record.annotations[0].finding, box, None, 1.0)
        for record, box in zip(records, boxes, strict=True)
    ]


RECORDS = patients(40)
EXACT = claims(RECORDS, [TRUTH] * 40)
NODULES_MISSED = claims(RECORDS, [AWAY, TRUTH] * 20)
HALVES = claims(RECORDS, [HALF] * 40)


def row(compared, finding, criterion, run_b):
    (found,) = [
        r
        for r in compared.differences.itertuples()
        if (r.finding, r.criterion, r.run_b) == (finding, criterion, run_b)
    ]
    return found


def test_differences_are_later_minus_earlier_per_finding_and_rule() -> None:
    runs = {"exact": EXACT, "half": HALVES, "missed": NODULES_MISSED}
    compared = compare_detections(runs, RECORDS, PROTOCOL)
    # Half of a box is IoU 0.5, which is not above 0.5, and lies wholly in the truth: IoBB 1.
    pairs = {(r.run_a, r.run_b) for r in compared.differences.itertuples()}
    assert pairs == {("exact", "half"), ("exact", "missed"), ("half", "missed")}
    by_exact = {
        (r.finding, r.criterion, r.run_b): r.difference
        for r in compared.differences.itertuples()
        if r.run_a == "exact"
    }
    assert by_exact["Mass", "iou", "half"] == by_exact["mean", "iou", "half"] == -1.0
    assert by_exact["Mass", "iobb", "half"] == 0.0
    assert by_exact["Nodule", "iou", "missed"] == -1.0
    assert by_exact["Mass", "iou", "missed"] == 0.0
    assert by_exact["mean", "iou", "missed"] == -0.5


def test_a_sure_difference_has_a_small_p_and_none_has_one() -> None:
    compared = compare_detections({"exact": EXACT, "missed": NODULES_MISSED}, RECORDS, PROTOCOL)
    nodule, mass = (row(compared, name, "iou", "missed") for name in ("Nodule", "Mass"))
    assert (nodule.low, nodule.high) == (-1.0, -1.0)
    assert nodule.p_bootstrap == pytest.approx(2 / 201)
    assert nodule.p_holm == pytest.approx(4 / 201)  # two findings
    assert (mass.difference, mass.p_bootstrap, mass.p_holm) == (0.0, 1.0, 1.0)
    assert row(compared, "mean", "iou", "missed").p_holm is pd.NA


def test_the_interval_is_paired() -> None:
    """Two detectors that miss the same half differ by nothing, however the patients are drawn."""
    compared = compare_detections(
        {"a": NODULES_MISSED, "b": list(NODULES_MISSED)}, RECORDS, PROTOCOL
    )
    assert all((r.low, r.high) == (0.0, 0.0) for r in compared.differences.itertuples())
    np.testing.assert_allclose(compared.rank_correlations, 1.0)


def test_boxes_on_which_runs_differ_most_come_first() -> None:
    one_missed = claims(RECORDS, [TRUTH] * 7 + [AWAY] + [HALF] + [TRUTH] * 31)
    compared = compare_detections({"a": EXACT, "b": one_missed}, RECORDS, PROTOCOL, most=3)
    listed = compared.disagreements
    assert listed["image"].tolist()[:2] == ["7", "8"]
    assert listed["disagreement"].tolist() == [1.0, 0.5, 0.0]
    assert listed[["a", "b"]].to_numpy().tolist() == [[1.0, 0.0], [1.0, 0.5], [1.0, 1.0]]


def test_the_best_of_several_boxes_counts_and_no_box_is_0() -> None:
    pairs = scored_pairs(RECORDS)
    twice, _ = place_detections(pairs, [HALVES[1], EXACT[1]])
    best = best_overlaps(pairs, twice)
    assert (best[1], best[0], best.sum()) == (1.0, 0.0, 1.0)


def test_detections_elsewhere_are_counted() -> None:
    other = [*EXACT, Detection("1", "Nodule", TRUTH, None, 1.0)]
    compared = compare_detections({"a": EXACT, "b": other}, RECORDS, PROTOCOL)
    assert compared.left_out == (0, 1)


def test_a_frame_has_a_row_per_finding_rule_and_pair_of_runs() -> None:
    compared = compare_detections({"a": EXACT, "b": HALVES}, RECORDS, PROTOCOL)
    frame = compared.differences
    assert len(frame) == 3 * 2
    assert "nan" not in frame.to_csv(index=False).lower()
    assert set(frame["annotated"]) == {20, 40}


def test_one_run_alone_is_refused() -> None:
    with pytest.raises(CxrlocError, match="two runs"):
        compare_detections({"a": EXACT}, RECORDS, PROTOCOL)
