"""The tidy table of all metrics: counts, intervals, and where each threshold comes from."""

from dataclasses import replace

import numpy as np
import pytest

from cxrloc.evaluation.localization.box_metrics import NO_SCORES
from cxrloc.evaluation.localization.metrics import score_metrics
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.localization.tables import metrics_frame
from cxrloc.evaluation.localization.threshold_choice import (
    FIXED,
    ORACLE,
    ThresholdProtocol,
    tuning_patients,
)
from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.resampling import Resampling
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.types import Detection, Heatmaps, Outline, Record
from tests.evaluation.localization.drawn_truth import drawn_record, whole_map

RESAMPLING = Resampling(resamples=60)
PROTOCOL = ScoringProtocol(thresholds=ThresholdProtocol(oracle=True), resampling=RESAMPLING)

Key = tuple[str, str, float | None, str]


def peaked(count: int = 40) -> tuple[list[Record], list[Heatmaps], list[Detection]]:
    """Two images a patient, a box each, and maps that peak near it."""
    generator = np.random.default_rng(0)
    centres = np.arange(10) * 10 + 5
    records, maps = [], []
    for i in range(count):
        x, y = generator.uniform(0, 60, 2)
        finding = ("Mass", "Nodule")[i % 4 // 2]
        records.append(
            drawn_record(f"{i}", [x, y, x + 40, y + 40], finding=finding, patient=f"{i // 2}")
        )
        dx, dy = generator.normal(0, 12, 2)
        distance = np.hypot(centres[:, None] - y - 20 - dy, centres - x - 20 - dx)
        maps.append(whole_map(f"{i}", np.exp(-distance / 20), finding=finding))
    probabilities = generator.random(count).tolist()
    detections = [
        detection
        for each, probability in zip(maps, probabilities, strict=True)
        for detection in detections_from_heatmaps(each, [probability], (60.0, 180.0))
    ]
    return records, maps, detections


def key_of(row: Measurement) -> Key:
    choice = f"{FIXED}: {row.threshold:g}" if row.chosen_on == FIXED else row.chosen_on
    return row.finding, row.metric, row.at, choice


def keyed(rows: list[Measurement]) -> dict[Key, Measurement]:
    by_key = {key_of(row): row for row in rows}
    assert len(by_key) == len(rows), "a row is told by finding, metric, parameter and choice"
    return by_key


RECORDS, MAPS, DETECTIONS = peaked()
ROWS = score_metrics(place_run(RECORDS, DETECTIONS, PROTOCOL, MAPS))
TUNED = "6 tuning patients, not scored in this row"


def test_every_metric_is_there_once_with_counts_and_interval() -> None:
    rows = keyed(ROWS)
    assert {row.metric for row in ROWS} == {
        "hit_rate",
        "prior_hit_rate",
        "pointing_game",
        "pixel_average_precision",
        "miou",
        "max_box_accuracy",
        "max_box_accuracy_v2",
        "max_box_accuracy_v2_mean",
        "box_accuracy_over_detected",
        "box_accuracy_over_annotated",
        "box_accuracy_over_smaller",
        "box_accuracy_over_union",
        "image_accuracy",
        "centre_containment",
        "froc_sensitivity",
        "froc_score",
        "detection_average_precision",
        "detection_average_precision_coco",
        "rodeo",
        "rodeo_localization",
        "rodeo_shape",
        "rodeo_classification",
        "detection_sensitivity",
        "detection_precision",
        "detection_f1",
    }
    for row in ROWS:
        assert 0 <= row.value <= 1
        assert row.low is not None
        assert row.high is not None
        assert row.low <= row.high
    hits = rows["Mass", "hit_rate", 0.0, ""]
    assert (hits.n, hits.divisor, hits.divided_by) == (
        10,
        20.0,
        "image and finding pairs with truth",
    )
    mean = rows["mean", "hit_rate", 0.0, ""]
    other = rows["Nodule", "hit_rate", 0.0, ""]
    assert mean.value == pytest.approx((hits.value + other.value) / 2)
    assert (mean.n, mean.divisor, mean.divided_by) == (20, 2, "findings")


def test_a_chosen_threshold_is_scored_on_the_other_patients_and_the_oracle_s_is_marked() -> None:
    rows = keyed(ROWS)
    chosen = {"miou", "max_box_accuracy", "max_box_accuracy_v2", "max_box_accuracy_v2_mean"}
    chosen |= {"detection_sensitivity", "detection_precision", "detection_f1"}
    for row in ROWS:
        if row.metric in chosen:
            assert row.chosen_on in (TUNED, ORACLE, FIXED)
        else:
            assert row.chosen_on == ""
            assert row.threshold is None
    tuned, oracle = (rows["mean", "miou", None, by] for by in (TUNED, ORACLE))
    assert (tuned.n, oracle.n) == (14, 20)
    fixed = [row for row in ROWS if row.metric == "miou" and row.chosen_on == FIXED]
    assert {row.threshold for row in fixed} == {60.0, 180.0}
    assert oracle.value >= max(row.value for row in fixed if row.finding == "mean")


def test_a_tuned_number_is_that_of_its_threshold_on_the_rest() -> None:
    tuned = keyed(ROWS)["mean", "miou", None, TUNED]
    assert tuned.threshold is not None
    # Scored alone at that threshold, every patient counts: the rest by weight 1, tuning by none.
    rest = rest_of_patients()
    protocol = ScoringProtocol(
        box_thresholds=(tuned.threshold,),
        thresholds=ThresholdProtocol(tuning_share=0.0),
        resampling=Resampling(resamples=0),
    )
    rows = score_metrics(place_run(rest, DETECTIONS, protocol, MAPS))
    (alone,) = (r for r in rows if r.metric == "miou" and r.finding == "mean")
    assert alone.value == pytest.approx(tuned.value)
    assert alone.chosen_on == FIXED
    assert (alone.low, alone.high) == (None, None)


def rest_of_patients() -> list[Record]:
    carries = np.array([[i % 2 == 0, i % 2 == 1] for i in range(20)])
    tuning = tuning_patients(carries, PROTOCOL.thresholds)
    return [record for record in RECORDS if not tuning[int(record.patient_id)]]


def test_boxes_without_maps_have_the_metrics_of_boxes_alone() -> None:
    rows = score_metrics(place_run(RECORDS, DETECTIONS, PROTOCOL))
    with_maps = keyed(ROWS)
    assert "miou" not in {row.metric for row in rows}
    for row in rows:
        assert row.value == pytest.approx(with_maps[key_of(row)].value)


def test_images_count_once_for_all_their_findings() -> None:
    rows = [row for row in ROWS if row.metric == "image_accuracy" and row.at == 0.3]
    assert [row.finding for row in rows] == ["Mass", "Nodule", "mean", "all findings"]
    assert rows[-1].divisor == len(RECORDS)


def test_a_single_finding_has_its_mean_too() -> None:
    records = [record for record in RECORDS if record.annotations[0].finding == "Mass"]
    rows = score_metrics(
        place_run(records, DETECTIONS, ScoringProtocol(resampling=RESAMPLING), MAPS)
    )
    assert {row.finding for row in rows} == {"Mass", "mean", "all findings"}


def test_the_frame_has_a_row_per_number_and_no_value_is_hidden() -> None:
    frame = metrics_frame(ROWS)
    assert len(frame) == len(ROWS)
    assert list(frame.columns) == [
        "finding",
        "metric",
        "at",
        "match",
        "value",
        "low",
        "high",
        "n",
        "divisor",
        "divided_by",
        "threshold",
        "chosen_on",
        "averaged",
        "note",
    ]
    assert frame["value"].notna().all()


def test_few_patients_leave_nothing_to_tune_on() -> None:
    rows = score_metrics(
        place_run(RECORDS[:1], DETECTIONS, ScoringProtocol(resampling=RESAMPLING), MAPS)
    )
    assert {row.chosen_on for row in rows} == {"", FIXED}


def test_detections_without_a_score_have_no_froc_and_no_average_precision() -> None:
    """One blank score is enough: the boxes cannot be put in order any more."""
    unscored = [replace(DETECTIONS[0], score=None), *DETECTIONS[1:]]
    rows = score_metrics(place_run(RECORDS, unscored, PROTOCOL))
    ordered = [r for r in rows if r.metric.startswith(("froc", "detection_average_precision"))]
    assert len({row.metric for row in ordered}) == 4
    assert all(row.value is None and row.low is None for row in ordered)
    assert {row.note for row in ordered} == {NO_SCORES}
    assert not any(row.metric.startswith(("detection_f1", "detection_sens")) for row in rows)
    hits = [row.value for row in rows if row.metric == "box_accuracy_over_union"]
    assert hits == [
        row.value
        for row in score_metrics(place_run(RECORDS, DETECTIONS, PROTOCOL))
        if row.metric == "box_accuracy_over_union"
    ]


# A map of four columns: 0, 0, 100, 255. The truth of Mass is the last column, so that a threshold
# above 100 fits; the truth of Nodule is the last two columns, so that one below 100 fits.
COLUMNS = {"Mass": 1, "Nodule": 2}


def steps(image_id: str, finding: str, columns: int) -> tuple[Record, Heatmaps]:
    corners = ((100 - 25 * columns, 0), (100, 0), (100, 100), (100 - 25 * columns, 100))
    box = [100 - 25 * columns, 0, 100, 100]
    record = drawn_record(image_id, box, finding=finding, shape=Outline((corners,)))
    return record, whole_map(image_id, np.tile(np.repeat([0.0, 0, 100, 255], 8), (8, 1)), finding)


def test_each_finding_has_its_own_threshold_for_its_drawn_truth() -> None:
    made = [steps(f"{n}{finding}", finding, k) for n in range(4) for finding, k in COLUMNS.items()]
    records, maps = [record for record, _ in made], [each for _, each in made]
    protocol = replace(PROTOCOL, thresholds=ThresholdProtocol(tuning_share=0.5))
    scored = score_metrics(place_run(records, [], protocol, maps))
    mass, nodule, mean = (row for row in scored if row.metric == "outline_miou")
    assert nodule.threshold < 100 < mass.threshold
    # The surface between two cells of 3.125 pixels is bilinear, so the border lies within them.
    assert mass.value == pytest.approx(1.0, abs=0.07)
    assert nodule.value == pytest.approx(1.0, abs=0.07)
    assert mean.value == pytest.approx((mass.value + nodule.value) / 2)
    assert (mass.n, mass.divisor) == (2, 2)
    # At the threshold of the nodule, the mass would have IoU 1/2.
    (at_60,) = (
        row for row in scored if (row.metric, row.finding, row.threshold) == ("miou", "Mass", 60.0)
    )
    assert at_60.value == pytest.approx(0.5, abs=0.07)


def test_a_truth_of_boxes_has_no_miou_of_outlines() -> None:
    assert "outline_miou" not in {row.metric for row in ROWS}
