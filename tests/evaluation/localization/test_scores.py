"""A whole table: model, controls, views, intervals and paired differences."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrloc.datasets.boxes import read_boxed_images
from cxrloc.datasets.records import boxed_record
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.evaluation.localization.accuracy import count_boxes
from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol, place_run
from cxrloc.evaluation.localization.scores import (
    EXACT,
    SENSITIVITY,
    LocalizationScores,
    compared,
    difference_of,
    score_localization,
    score_sensitivity,
)
from cxrloc.evaluation.localization.tables import by_view, grid, rows_of
from cxrloc.evaluation.resampling import Resampling
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.types import Affine, Annotation, Box, Detection, Heatmaps, Record, View

RULES = (MatchRule("iobb", 0.5), MatchRule("iou", 0.25))
PROTOCOL = ScoringProtocol(rules=RULES, resampling=Resampling(resamples=200), draws=3)


def spread_masses() -> list[Record]:
    """Forty images of twenty patients, a 30 x 30 box on each, anywhere."""
    generator = np.random.default_rng(0)
    records = []
    for i in range(40):
        x, y = generator.uniform(0, 70, 2)
        finding = ("Mass", "Pleural_Thickening")[i % 2]
        truth = Annotation(f"{i}", finding, Box(x, y, x + 30, y + 30))
        view = View.PA if i % 4 < 2 else View.AP
        records.append(
            Record(
                f"{i}",
                f"{i // 2}",
                f"{i}",
                None,
                view=view,
                annotations=(truth,),
                annotation_frame=(100, 100),
            )
        )
    return records


def maps_of(records: list[Record]) -> list[Heatmaps]:
    """Maps that peak on the box."""
    centres = np.arange(20) + 0.5
    heatmaps = []
    for record in records:
        box = record.annotations[0].box
        x, y = (box.x_min + box.x_max) / 10, (box.y_min + box.y_max) / 10
        distance = np.hypot(centres[:, None] - y, centres - x)
        findings = (record.annotations[0].finding,)
        scores = np.exp(-distance)[None]
        to_image = Affine(xx=5.0, yy=5.0)
        heatmaps.append(Heatmaps(record.image_id, findings, scores, to_image, 100, 100))
    return heatmaps


RECORDS = spread_masses()
MAPS = maps_of(RECORDS)
DETECTIONS = [
    detection
    for each in MAPS
    for detection in detections_from_heatmaps(each, [1.0], PROTOCOL.box_thresholds)
]


@pytest.fixture(scope="module")
def scores() -> LocalizationScores:
    return score_localization(RECORDS, DETECTIONS, PROTOCOL, MAPS)


def of(scores: LocalizationScores, subject: str, field: str = "value") -> np.ndarray:
    """Accuracy by rule and finding."""
    return grid(rows_of(scores.measurements, subject), "accuracy", field)


def test_maps_that_look_beat_every_control_that_does_not(scores: LocalizationScores) -> None:
    names = ("prior_mean", "prior_medoid", "random", "permuted", "oracle_map")
    assert scores.controls == names
    for name in names[:-1]:
        assert np.all(of(scores, difference_of("", name), "low")[0] > 0), name
    assert np.all(of(scores, "oracle_map")[1] == 1.0)


def test_a_difference_is_that_of_the_two_accuracies(scores: LocalizationScores) -> None:
    for name in scores.controls:
        paired = of(scores, difference_of("", name))
        np.testing.assert_allclose(paired, of(scores, "") - of(scores, name))


def test_a_model_differs_from_itself_by_nothing() -> None:
    """Resamples are shared: two equal rows have no spread between them."""
    run = place_run(RECORDS, DETECTIONS[::2], PROTOCOL)
    counts = count_boxes(run.pairs, run.claims, RULES)
    rows = rows_of(compared(run, {"": counts, "itself": counts}, ""), "model - itself")
    for field in ("value", "low", "high"):
        assert not grid(rows, "accuracy", field).any()


def test_permuted_boxes_are_as_many_as_the_model_s(scores: LocalizationScores) -> None:
    boxes = [
        grid(rows_of(scores.measurements, name), "boxes_per_heatmap", "numerator")
        for name in ("permuted", "")
    ]
    np.testing.assert_array_equal(*boxes)


def test_intervals_hold_the_estimate(scores: LocalizationScores) -> None:
    own = [rows_of(scores.measurements, name) for name in ("", *scores.controls)]
    for rows in (*own, *by_view(scores.measurements).values()):
        low, value, high = (grid(rows, "accuracy", field) for field in ("low", "value", "high"))
        assert np.all(low <= value + 1e-12)
        assert np.all(value <= high + 1e-12)


def test_no_resamples_no_intervals() -> None:
    protocol = ScoringProtocol(rules=RULES, resampling=Resampling(resamples=0))
    scores = score_localization(RECORDS, DETECTIONS, protocol)
    assert np.isnan(of(scores, "", "low")).all()
    assert not any(row.note for row in scores.measurements)


def test_views_are_apart_and_add_up(scores: LocalizationScores) -> None:
    views = by_view(scores.measurements)
    assert list(views) == [View.PA, View.AP]
    for field in ("numerator", "divisor"):
        parts = sum(grid(rows, "accuracy", field) for rows in views.values())
        np.testing.assert_array_equal(parts, of(scores, "", field))
    divisors = [grid(rows, "afp", "divisor")[0, 0] for rows in views.values()]
    assert sum(divisors) == scores.boxes == 40


def test_boxes_without_maps_have_the_priors_for_controls() -> None:
    scores = score_localization(RECORDS, DETECTIONS, PROTOCOL)
    assert scores.controls == ("prior_mean", "prior_medoid")
    assert scores.maps_missing is None


def test_missing_and_degenerate_maps_are_counted() -> None:
    to_image = Affine(xx=5.0, yy=5.0)
    flat = Heatmaps(RECORDS[0].image_id, ("Mass",), np.ones((1, 20, 20)), to_image, 100, 100)
    scores = score_localization(RECORDS, DETECTIONS, PROTOCOL, [flat, *MAPS[2:]])
    assert (scores.maps_missing, scores.maps_degenerate) == (1, 1)


def test_half_widths_on_the_published_boxes_are_7_to_11_points(shared: Path) -> None:
    records = read_boxed_images(shared / "data" / "chestxray14" / "BBox_List_2017.csv")
    records = [replace(each, patient_id=each.image_id[:8]) for each in records]
    generator = np.random.default_rng(0)
    every = [annotation for record in records for annotation in record.annotations]
    half = [
        Detection(truth.image_id, truth.finding, truth.box, None, 1.0)
        for truth in every
        if generator.random() < 0.5
    ]
    protocol = ScoringProtocol(rules=(MatchRule("iou", 0.5),))
    scores = score_localization(records, half, protocol)
    half_widths = (of(scores, "", "high") - of(scores, "", "low"))[0, :-1] / 2
    assert np.all((half_widths > 0.065) & (half_widths < 0.115))


def test_equal_seeds_give_equal_tables(scores: LocalizationScores) -> None:
    again = score_localization(RECORDS, DETECTIONS, PROTOCOL, MAPS)
    assert again.measurements == scores.measurements


def test_other_readings_of_the_box_rule_stand_beside_the_exact_one() -> None:
    rows = score_sensitivity(place_run(RECORDS[:2], DETECTIONS, PROTOCOL, MAPS[:2]))
    subjects = list(dict.fromkeys(row.subject for row in rows))
    assert subjects[:5] == [EXACT, *SENSITIVITY]
    assert subjects[5:] == [difference_of(EXACT, name) for name in SENSITIVITY]
    boxes = [
        grid(rows_of(rows, name), "boxes_per_heatmap", "numerator") for name in ("dense", EXACT)
    ]
    np.testing.assert_array_equal(*boxes)


def test_patients_that_trained_the_model_are_named() -> None:
    trained = {"3", "not here"}
    assert contaminated_patients(RECORDS, trained) == ("3",)


def test_boxes_without_a_known_image_size_are_scored_in_pixels() -> None:
    truths = [Annotation(f"{i}", "Mass", Box(0.0, 0.0, 10.0 + i, 10.0)) for i in range(4)]
    records = [boxed_record(each.image_id, [each]) for each in truths]
    detections = [Detection(each.image_id, "Mass", each.box, None, 1.0) for each in truths]
    scores = score_localization(records, detections, PROTOCOL)
    assert np.all(of(scores, "") == 1.0)
    assert np.all(of(scores, "prior_mean") == 1.0)
