"""The first lines of a run's summary say which method is better than which control."""

from cxrloc.evaluation.localization.headline import headline_lines
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scores import score_localization
from cxrloc.evaluation.resampling import Resampling
from tests.evaluation.localization.test_scores import DETECTIONS, MAPS, RECORDS

RULES = (MatchRule("iobb", 0.25), MatchRule("iobb", 0.5), MatchRule("iou", 0.25))
PROTOCOL = ScoringProtocol(rules=RULES, resampling=Resampling(100), draws=2)


def test_two_rules_false_positives_controls_and_a_verdict() -> None:
    lines = headline_lines(score_localization(RECORDS, DETECTIONS, PROTOCOL, MAPS))
    assert len(lines) == 7
    assert lines[0].startswith("Accuracy at IoBB > 0.25: 1.000 (1.000 to 1.000), mean of 2")
    assert lines[1].startswith("Accuracy at IoU > 0.25: ")
    assert lines[2].startswith("False positives at IoBB > 0.25: AFP ")
    assert "permuted" in lines[3]
    assert "oracle" not in lines[3]
    better = "At IoBB > 0.25 the boxes are clearly better than the model's own boxes on other "
    assert lines[5].startswith(better)
    assert all(len(line) <= 135 for line in lines)


def test_boxes_without_maps_are_held_against_the_permuted_or_the_prior_box() -> None:
    lines = headline_lines(score_localization(RECORDS, DETECTIONS[:40], PROTOCOL))
    assert lines[-1].partition(" > 0.25 ")[2].partition(":")[0].endswith("drawn on other patients")


def test_no_interval_no_better_and_no_worse() -> None:
    protocol = ScoringProtocol(rules=RULES, resampling=Resampling(0), draws=2)
    lines = headline_lines(score_localization(RECORDS, DETECTIONS, protocol, MAPS))
    assert lines[0].startswith("Accuracy at IoBB > 0.25: 1.000, mean")
    assert lines[-2].startswith(
        "At IoBB > 0.25 the boxes are compared, without an interval, with the"
    )
    assert not any(word in lines[-1] for word in ("better", "worse"))


def test_one_criterion_alone_has_its_lines() -> None:
    protocol = ScoringProtocol((MatchRule("iou", 0.5),), resampling=Resampling(0), draws=1)
    lines = headline_lines(score_localization(RECORDS, DETECTIONS, protocol, MAPS))
    assert [line.partition(" at ")[0] for line in lines[:3]] == [
        "Accuracy",
        "False positives",
        "Controls",
    ]


def test_a_verdict_that_rests_on_some_of_the_findings_says_so() -> None:
    one_nodule = [record for record in RECORDS if record.annotations[0].finding == "Mass"]
    one_nodule += [record for record in RECORDS if record not in one_nodule][:1]
    scores = score_localization(one_nodule, DETECTIONS, PROTOCOL, MAPS)
    assert headline_lines(scores)[-1].endswith(
        "(1 of the 2 findings have an interval; the others stay fixed)"
    )
