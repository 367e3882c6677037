"""The counting rule of Wang et al. 2017 on sets that can be counted by hand."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrloc.cli.bench import bench as bench_command
from cxrloc.cli.heatmap import heatmap as heatmap_command
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.localization.accuracy import (
    PUBLISHED_RULES,
    accuracy_metric,
    count_boxes,
    measure_counts,
)
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scored_pairs import Population, place_detections, scored_pairs
from cxrloc.evaluation.localization.tables import grid
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.published import published
from cxrloc.types import Annotation, Box, Detection, Label, Record


def record(
    image_id: str, boxes: dict[str, list[Box]], patient: str = "", labels: tuple[str, ...] = ()
) -> Record:
    annotations = tuple(Annotation(image_id, name, box) for name in boxes for box in boxes[name])
    positive = dict.fromkeys([*boxes, *labels], Label.POSITIVE)
    return Record(
        image_id, patient or image_id, image_id, None, labels=positive, annotations=annotations
    )


def detect(image_id: str, finding: str, *corners: float) -> Detection:
    return Detection(image_id, finding, Box(*map(float, corners)), threshold=None, score=1.0)


def score(
    records: list[Record],
    detections: list[Detection],
    rule: MatchRule,
    population: Population = "annotated",
    predicted: tuple[tuple[str, str], ...] = (),
) -> list[Measurement]:
    pairs = scored_pairs(records, population, predicted)
    claims, _ = place_detections(pairs, detections)
    return measure_counts(pairs, count_boxes(pairs, claims, [rule]), [rule])


def hits(rows: list[Measurement]) -> list[float]:
    return grid(rows, "accuracy", "numerator")[0].tolist()


def false_positives(rows: list[Measurement]) -> list[float]:
    return grid(rows, "afp", "numerator")[0].tolist()


TRUTH = Box(0.0, 0.0, 8.0, 4.0)


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        (MatchRule("iobb", 0.49), 1),
        (MatchRule("iobb", 0.5), 0),  # IoBB is 0.5: strictly above is asked for
        (MatchRule("iou", 0.33), 1),
        (MatchRule("iou", 0.34), 0),  # IoU is 1/3
    ],
)
def test_a_box_is_correct_strictly_above_the_threshold(rule: MatchRule, hit: int) -> None:
    report = score([record("a", {"Mass": [TRUTH]})], [detect("a", "Mass", 4, 0, 12, 4)], rule)
    assert hits(report) == [hit, hit]
    assert false_positives(report) == [1 - hit, 1 - hit]


def test_iou_of_exactly_a_quarter_is_not_above_a_quarter() -> None:
    records = [record("a", {"Mass": [Box(0.0, 0.0, 4.0, 4.0)]})]
    detections = [detect("a", "Mass", 0, 0, 2, 2)]
    assert hits(score(records, detections, MatchRule("iou", 0.25))) == [0, 0]
    assert hits(score(records, detections, MatchRule("iou", 0.24))) == [1, 1]


def test_several_correct_boxes_are_one_hit_and_the_others_are_false() -> None:
    detections = [
        detect("a", "Mass", 0, 0, 8, 4),
        detect("a", "Mass", 0, 0, 4, 4),
        detect("a", "Mass", 20, 20, 30, 30),
        detect("a", "Mass", 40, 40, 50, 50),
    ]
    report = score([record("a", {"Mass": [TRUTH]})], detections, MatchRule("iobb", 0.5))
    assert (hits(report)[0], false_positives(report)[0]) == (1, 2)
    assert grid(report, "boxes_per_heatmap", "numerator").tolist() == [[4, 4]]


def test_one_box_may_hit_two_annotations_of_its_pair() -> None:
    boxes = [Box(0.0, 0.0, 4.0, 4.0), Box(4.0, 0.0, 8.0, 4.0)]
    report = score(
        [record("a", {"Mass": boxes})],
        [detect("a", "Mass", 0, 0, 8, 4)],
        MatchRule("iobb", 0.4),
    )
    assert hits(report)[0] == 2
    assert grid(report, "accuracy", "divisor")[0, 0] == 2
    assert grid(report, "boxes_per_heatmap", "divisor")[0, 0] == 1
    assert false_positives(report)[0] == 0


def test_a_box_is_compared_with_its_own_image_and_finding_only() -> None:
    records = [record("a", {"Mass": [TRUTH]}), record("b", {"Nodule": [TRUTH], "Mass": [TRUTH]})]
    detections = [detect("b", "Mass", 0, 0, 8, 4)]
    report = score(records, detections, MatchRule("iou", 0.5))
    accuracy = [row for row in report if row.metric == "accuracy"]
    assert [row.finding for row in accuracy] == ["Mass", "Nodule", "mean"]
    assert accuracy[-1].averaged == ("Mass", "Nodule")
    assert hits(report) == [1, 0, 1]
    assert [row.value for row in accuracy] == [0.5, 0.0, 0.25]  # the mean weighs findings equally


def test_false_positives_are_divided_by_all_boxes_and_per_heatmap() -> None:
    """Three images, four pairs and five boxes: each divisor gives another number."""
    two = [TRUTH, Box(100.0, 100.0, 110.0, 110.0)]
    records = [record("a", {"Mass": two, "Nodule": [TRUTH]})]
    records += [record("b", {"Nodule": [TRUTH]}), record("c", {"Nodule": [TRUTH]})]
    detections = [detect("a", "Mass", 20, 20, 30, 30), detect("a", "Mass", 30, 20, 40, 30)]
    report = score(records, detections, MatchRule("iou", 0.5))
    assert grid(report, "afp", "divisor")[0, :-1].tolist() == [5, 5]
    assert grid(report, "afp").tolist() == [[2 / 5, 0.0, 1 / 5]]
    assert grid(report, "false_positives_per_heatmap").tolist() == [[2.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("population", "predicted", "heatmaps", "false", "left_out"),
    [
        ("annotated", (), [1, 1, 2], [1, 0, 1], 3),
        ("labelled", (), [2, 1, 3], [2, 0, 2], 2),
        ("predicted", (("b", "Nodule"),), [0, 1, 1], [0, 0, 0], 4),
        ("predicted", (("a", "Nodule"), ("b", "Nodule")), [0, 2, 2], [0, 1, 1], 3),
        ("all", (), [2, 2, 4], [2, 1, 3], 1),
    ],
)
def test_a_population_chooses_the_heatmaps_and_never_the_annotated_boxes(
    population: Population,
    predicted: tuple[tuple[str, str], ...],
    heatmaps: list[int],
    false: list[int],
    left_out: int,
) -> None:
    records = [
        record("a", {"Mass": [TRUTH]}),
        record("b", {"Nodule": [TRUTH]}, labels=("Mass",)),
    ]
    detections = [
        detect("a", "Mass", 20, 20, 30, 30),  # annotated, wrong
        detect("b", "Mass", 20, 20, 30, 30),  # labelled, not annotated
        detect("a", "Nodule", 20, 20, 30, 30),  # neither
        detect("unknown", "Mass", 20, 20, 30, 30),  # no such image
    ]
    report = score(records, detections, MatchRule("iou", 0.5), population, predicted)
    assert grid(report, "accuracy", "divisor")[0].tolist() == [1, 1, 2]
    assert false_positives(report) == false
    per_heatmap = {row.finding: row.divisor for row in report if row.metric == "boxes_per_heatmap"}
    assert [per_heatmap.get(name, 0) for name in ("Mass", "Nodule")] == heatmaps[:2]
    pairs = scored_pairs(records, population, predicted)
    assert place_detections(pairs, detections)[1] == left_out


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(CxrlocError, match="nothing to score"):
        scored_pairs([record("a", {})])
    with pytest.raises(CxrlocError, match="same image"):
        scored_pairs([record("a", {"Mass": [TRUTH]})] * 2)


def by_hand(
    records: list[Record], detections: list[Detection], rule: MatchRule, finding: str
) -> tuple[int, int]:
    """Hits and false positives of one finding, in plain loops."""

    def correct(detection: Detection, truth: Annotation) -> bool:
        d, t = detection.box, truth.box
        width = max(0.0, min(d.x_max, t.x_max) - max(d.x_min, t.x_min))
        height = max(0.0, min(d.y_max, t.y_max) - max(d.y_min, t.y_min))
        area_d = (d.x_max - d.x_min) * (d.y_max - d.y_min)
        area_t = (t.x_max - t.x_min) * (t.y_max - t.y_min)
        common = width * height
        divisor = area_d if rule.criterion == "iobb" else area_d + area_t - common
        return common / divisor > rule.threshold

    hit = false_positives = 0
    for each in records:
        truths = [t for t in each.annotations if t.finding == finding]
        claims = [
            d for d in detections if truths and (d.image_id, d.finding) == (each.image_id, finding)
        ]
        hit += sum(any(correct(d, t) for d in claims) for t in truths)
        false_positives += sum(not any(correct(d, t) for t in truths) for d in claims)
    return hit, false_positives


@given(st.integers(0, 10_000))
def test_counts_are_those_of_plain_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)

    def random_box() -> Box:
        x, y, width, height = generator.integers(1, 12, 4).astype(float)
        return Box(x, y, x + width, y + height)

    records = [
        record(
            str(i),
            {name: [random_box() for _ in range(generator.integers(1, 3))] for name in names},
            patient=str(i // 2),
        )
        for i, names in enumerate([("Mass",), ("Nodule", "Mass"), ("Nodule",), ("Mass",)])
    ]
    detections = [
        Detection(str(generator.integers(4)), name, random_box(), None, 1.0)
        for name in generator.choice(["Mass", "Nodule"], 12).tolist()
    ]
    pairs = scored_pairs(records)
    claims, _ = place_detections(pairs, detections)
    counts = count_boxes(pairs, claims, PUBLISHED_RULES)
    for i, rule in enumerate(PUBLISHED_RULES):
        for j, finding in enumerate(pairs.findings):
            found = (counts.hit[:, i, j].sum(), counts.false_positives[:, i, j].sum())
            assert found == by_hand(records, detections, rule, finding)


def test_a_patient_drawn_twice_counts_twice() -> None:
    records = [
        record("a0", {"Mass": [TRUTH]}, patient="a"),
        record("a1", {"Mass": [TRUTH]}, patient="a"),
        record("b", {"Mass": [TRUTH]}),
    ]
    pairs = scored_pairs(records)
    claims, _ = place_detections(pairs, [detect("a0", "Mass", 0, 0, 8, 4)])
    counts = count_boxes(pairs, claims, [MatchRule("iou", 0.5)])
    weights = np.array([[1.0, 2.0, 0.0], [1.0, 0.0, 2.0]])
    values = accuracy_metric(pairs, counts, [MatchRule("iou", 0.5)]).values
    assert values is not None
    np.testing.assert_allclose(values(weights), [[1 / 3, 2 / 4, 0.0]])


def test_the_default_rules_are_those_of_tables_4_and_7() -> None:
    """Wang et al. 2017: IoBB up to .9 with .25 among them, IoU up to .7; strict thresholds."""
    by_table = {"wang2017:4": "iobb", "wang2017:7": "iou"}
    printed = [
        MatchRule(criterion, float(threshold))
        for name, criterion in by_table.items()
        for threshold in published(name)["threshold"].unique()
    ]
    assert tuple(printed) == PUBLISHED_RULES == ScoringProtocol().rules
    assert MatchRule("iobb", 0.25) in PUBLISHED_RULES
    assert MatchRule("iou", 0.7) in PUBLISHED_RULES


def test_the_default_thresholds_of_the_box_rule_are_60_and_180() -> None:
    assert ScoringProtocol().box_thresholds == (60.0, 180.0)
    for command in (bench_command, heatmap_command):
        assert inspect.signature(command).parameters["threshold"].default == [60.0, 180.0]
