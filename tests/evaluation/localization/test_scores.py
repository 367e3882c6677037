"""A whole table: model, controls, views, intervals and paired differences."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrloc.datasets.boxes import read_boxed_images
from cxrloc.datasets.records import boxed_record
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.evaluation.localization import scores as module
from cxrloc.evaluation.localization.scores import (
    LocalizationScores,
    ScoringProtocol,
    score_localization,
    score_sensitivity,
)
from cxrloc.evaluation.localization.tables import (
    COLUMNS,
    controls_markdown,
    differences_frame,
    latex_table,
    markdown_table,
    report_frame,
    reports_frame,
)
from cxrloc.evaluation.resampling import Resampling
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.models.weights import hashed_patient
from cxrloc.types import Affine, Annotation, Box, Detection, Heatmaps, MatchRule, Record, View

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


def test_maps_that_look_beat_every_control_that_does_not(scores: LocalizationScores) -> None:
    assert list(scores.controls) == [
        "prior_mean",
        "prior_medoid",
        "random",
        "permuted",
        "oracle_map",
    ]
    for name in ("prior_mean", "prior_medoid", "random", "permuted"):
        assert np.all(scores.differences[name].low[0] > 0), name
    assert np.all(scores.controls["oracle_map"].accuracy[1] == 1.0)


def test_a_difference_is_that_of_the_two_accuracies(scores: LocalizationScores) -> None:
    for name, control in scores.controls.items():
        np.testing.assert_allclose(
            scores.differences[name].difference, scores.report.accuracy - control.accuracy
        )


def test_a_model_differs_from_itself_by_nothing() -> None:
    """Resamples are shared: two equal rows have no spread between them."""
    pairs = module.scored_pairs(RECORDS)
    claims, _ = module.place_detections(pairs, DETECTIONS[::2])
    counts = module.count_boxes(pairs, claims, RULES)
    report = module.localization_report(pairs, counts, RULES)
    _, _, differences = module._compare(
        pairs, report, counts, {"itself": counts}, PROTOCOL.resampling
    )
    paired = differences["itself"]
    for values in (paired.difference, paired.low, paired.high):
        assert not values.any()


def test_permuted_boxes_are_as_many_as_the_model_s(scores: LocalizationScores) -> None:
    np.testing.assert_array_equal(scores.controls["permuted"].detections, scores.report.detections)


def test_intervals_hold_the_estimate(scores: LocalizationScores) -> None:
    for report in (scores.report, *scores.controls.values(), *scores.by_view.values()):
        assert np.all(report.accuracy_low <= report.accuracy + 1e-12)
        assert np.all(report.accuracy <= report.accuracy_high + 1e-12)


def test_no_resamples_no_intervals() -> None:
    protocol = ScoringProtocol(rules=RULES, resampling=Resampling(resamples=0))
    report = score_localization(RECORDS, DETECTIONS, protocol).report
    assert np.isnan(report.accuracy_low).all()


def test_views_are_apart_and_add_up(scores: LocalizationScores) -> None:
    views = scores.by_view
    assert list(views) == [View.PA, View.AP]
    assert sum(report.divisor for report in views.values()) == scores.report.divisor
    np.testing.assert_array_equal(sum(report.hit for report in views.values()), scores.report.hit)


def test_boxes_without_maps_have_the_priors_for_controls() -> None:
    scores = score_localization(RECORDS, DETECTIONS, PROTOCOL)
    assert list(scores.controls) == ["prior_mean", "prior_medoid"]
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
    report = score_localization(records, half, protocol).report
    half_widths = (report.accuracy_high - report.accuracy_low)[0, :-1] / 2
    assert np.all((half_widths > 0.065) & (half_widths < 0.115))


def test_equal_seeds_give_equal_tables(scores: LocalizationScores) -> None:
    again = score_localization(RECORDS, DETECTIONS, PROTOCOL, MAPS)
    for name, control in scores.controls.items():
        assert reports_frame({name: control}, "control").equals(
            reports_frame({name: again.controls[name]}, "control")
        )


def test_other_readings_of_the_box_rule_stand_beside_the_exact_one() -> None:
    reports, differences = score_sensitivity(RECORDS[:2], MAPS[:2], PROTOCOL)
    assert list(reports) == ["exact", *differences]
    np.testing.assert_array_equal(reports["dense"].detections, reports["exact"].detections)


def test_the_frame_has_the_promised_columns_and_a_row_for_each(scores: LocalizationScores) -> None:
    frame = report_frame(scores.report)
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == len(RULES) * 3
    assert frame["finding"].unique().tolist() == ["Mass", "Pleural_Thickening", "mean"]
    assert frame[["annotated", "hit", "detections", "heatmaps"]].dtypes.unique() == [np.int64]
    row = frame.set_index(["finding", "criterion", "threshold"]).loc[("Mass", "iobb", 0.5)]
    assert row["accuracy"] == row["hit"] / row["annotated"]
    assert row["afp"] == row["false_positives"] / 40
    controls = reports_frame(scores.controls, "control")
    assert tuple(controls.columns) == ("control", *COLUMNS)
    assert len(differences_frame(scores.differences)) == 5 * len(frame)


def test_tables_to_read_show_findings_as_columns_and_both_divisors(
    scores: LocalizationScores,
) -> None:
    markdown = markdown_table(scores.report)
    assert "| T(IoBB) |  | Mass | Pleural_Thickening | mean |" in markdown
    assert f"| 0.5 | Acc. | {scores.report.accuracy[0, 0]:.4f} |" in markdown
    assert "FP per heatmap" in markdown
    assert "40 annotated boxes of all findings" in markdown
    beside = controls_markdown(scores.report, scores.controls, scores.differences)
    assert "| T(IoU) 0.25 |" in beside
    assert "oracle_map" in beside
    latex = latex_table(scores.report)
    assert latex.count(r"\begin{tabular}") == latex.count(r"\bottomrule") == 2
    assert r"Pleural\_Thickening" in latex


def test_patients_that_trained_the_model_are_named() -> None:
    trained = {hashed_patient("3"), hashed_patient("not here")}
    assert contaminated_patients(RECORDS, trained) == ("3",)


def test_boxes_without_a_known_image_size_are_scored_in_pixels() -> None:
    truths = [Annotation(f"{i}", "Mass", Box(0.0, 0.0, 10.0 + i, 10.0)) for i in range(4)]
    records = [boxed_record(each.image_id, [each]) for each in truths]
    detections = [Detection(each.image_id, "Mass", each.box, None, 1.0) for each in truths]
    scores = score_localization(records, detections, PROTOCOL)
    assert np.all(scores.report.accuracy == 1.0)
    assert np.all(scores.controls["prior_mean"].accuracy == 1.0)
