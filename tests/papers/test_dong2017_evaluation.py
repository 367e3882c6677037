"""Dong et al. 2017, section V: decisions by rank, and the average precision of an image's list."""

import numpy as np
import pandas as pd
import pytest

from cxrloc.evaluation.classification.image_rankings import labels_frame, single_findings_frame
from cxrloc.evaluation.classification.populations import select_population
from cxrloc.evaluation.classification.ranking import (
    cumulative_shares,
    image_ranking_precision,
    in_top,
)
from cxrloc.evaluation.classification.report import ReportScope, classify_units
from cxrloc.evaluation.classification.tables import metrics_frame
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.published import beside, published
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Label, Predictions, Record


def test_figure_7_ranks_1_2_and_4_of_three_labels_give_0_9167():
    truth = np.array([[True, True, False, True, False]])
    scores = np.array([[0.5, 0.3, 0.15, 0.05, 0.0]])  # four labels with non-zero probability
    (precision,) = image_ranking_precision(truth, scores, threshold=0.0)
    assert precision == pytest.approx((1 / 1 + 2 / 2 + 3 / 4) / 3)
    printed = published("dong2017:text").set_index("setting")["value"]["worked example"]
    assert round(precision, 4) == printed == 0.9167


def test_figure_8_is_the_share_of_images_at_or_below_a_precision():
    truth = np.array([[True, True, False], [True, True, False], [False, True, True]])
    scores = np.array([[0.9, 0.8, 0.1], [0.9, 0.1, 0.8], [0.9, 0.8, 0.1]])
    #                   ranks 1 2: 1     ranks 1 3: 5/6   ranks 2 3: 7/12
    values, shares = cumulative_shares(image_ranking_precision(truth, scores))
    np.testing.assert_allclose(values, [7 / 12, 5 / 6, 1])
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 1])


def test_table_2_sensitivity_specificity_and_top_3_sensitivity():
    labels = ("normal", "aortosclerosis", "emphysema", "bronchitis")
    #          truth     scores per label       decision
    images = [
        ("normal", [0.7, 0.1, 0.1, 0.1]),  # right
        ("normal", [0.3, 0.4, 0.2, 0.1]),  # aortosclerosis; normal is second
        ("emphysema", [0.4, 0.3, 0.2, 0.1]),  # normal; emphysema is third
        ("emphysema", [0.4, 0.3, 0.1, 0.2]),  # normal; emphysema is fourth
    ]
    records = [
        Record(f"i{i}", f"p{i}", f"s{i}", None, labels={label: Label.POSITIVE})
        for i, (label, _) in enumerate(images)
    ]
    scores = np.array([row for _, row in images])
    predictions = Predictions(tuple(r.image_id for r in records), labels, scores)
    report = classify_units(score_units(predictions, records), Resampling(20))
    value = {(m.finding, m.metric): m.value for m in report.measurements if m.group == "all"}
    assert value["normal", "top1_sensitivity"] == 1 / 2
    assert value["normal", "top1_specificity"] == 0  # both emphysemas are called normal
    assert value["normal", "top3_sensitivity"] == 1
    assert value["emphysema", "top1_sensitivity"] == 0
    assert value["emphysema", "top1_specificity"] == 1
    assert value["emphysema", "top3_sensitivity"] == 1 / 2
    assert value["aortosclerosis", "top1_specificity"] == 3 / 4
    assert ("aortosclerosis", "top1_sensitivity") not in value  # nobody has it


def test_task_3_lists_all_labels_above_a_threshold_and_judges_images_with_two_or_more():
    labels = ("normal", "aortosclerosis", "emphysema", "bronchitis")
    images = [  # truth; probabilities; list above 0.2
        ({"normal"}, [0.7, 0.1, 0.1, 0.1]),  # one label: not judged
        ({"aortosclerosis", "emphysema"}, [0.1, 0.5, 0.3, 0.1]),  # ranks 1 and 2: 1
        ({"aortosclerosis", "bronchitis"}, [0.5, 0.3, 0.05, 0.15]),  # rank 2, not listed: 1/4
    ]
    records = [
        Record(f"i{i}", f"p{i}", f"s{i}", None, labels=dict.fromkeys(truth, Label.POSITIVE))
        for i, (truth, _) in enumerate(images)
    ]
    scores = np.array([row for _, row in images])
    units = score_units(Predictions(("i0", "i1", "i2"), labels, scores), records)
    report = classify_units(units, Resampling(20), scope=ReportScope(list_threshold=0.2))
    (lists,) = [
        row
        for row in report.measurements
        if (row.group, row.metric) == ("all", "image_list_precision")
    ]
    assert (lists.value, lists.divisor, lists.threshold) == (pytest.approx((1 + 1 / 4) / 2), 2, 0.2)
    assert labels_frame(units, 0.2).values.tolist() == [
        ["i0", 1, 0, 0, 0],
        ["i1", 0, 1, 1, 0],
        ["i2", 1, 1, 0, 0],
    ]


def test_lists_of_images_with_one_label_each_have_no_precision():
    records = [Record("i", "p", "s", None, labels={"normal": Label.POSITIVE})]
    units = score_units(Predictions(("i",), ("normal", "emphysema"), np.eye(2)[:1]), records)
    report = classify_units(units, Resampling(20), scope=ReportScope(list_threshold=0.5))
    (lists,) = [row for row in report.measurements if row.metric == "image_list_precision"]
    assert (lists.value, lists.note) == (None, "not defined: none of 1 units has two findings")


def test_task_1_is_scored_at_argmax_of_normal_and_abnormal():
    # Section V.B: two classes by one output p; the most probable of p and 1 - p.
    truth, p = [1, 1, 1, 0, 0], [0.9, 0.5, 0.4, 0.6, 0.1]
    records = [
        Record(f"i{i}", f"p{i}", f"s{i}", None, labels={"No Finding": Label(has)})
        for i, has in enumerate(truth)
    ]
    predictions = Predictions(tuple(r.image_id for r in records), ("No Finding",), np.array([p]).T)
    units = score_units(predictions, records)
    report = classify_units(units, Resampling(20), scope=ReportScope(()))
    (accuracy,) = [m for m in report.measurements if m.metric == "argmax_accuracy"]
    assert (accuracy.value, accuracy.divisor, accuracy.threshold) == (3 / 5, 5, 0.5)
    matrix = single_findings_frame(units).set_index(["finding", "called"])["units"]
    assert matrix.to_dict() == {
        ("No Finding", "No Finding"): 2,  # 0.5 is called normal
        ("No Finding", "Abnormal"): 1,
        ("Abnormal", "No Finding"): 1,
        ("Abnormal", "Abnormal"): 1,
    }
    shown = beside(metrics_frame(report), "dong2017:text", "argmax_accuracy")
    assert shown.iloc[0, -1] == 0.822


def test_of_equal_scores_the_first_finding_is_called_in_the_confusion_matrix():
    records = [
        Record(f"i{k}", f"p{k}", f"s{k}", None, labels={finding: Label.POSITIVE})
        for k, finding in enumerate(("Mass", "Nodule"))
    ]
    units = score_units(
        Predictions(("i0", "i1"), ("Mass", "Nodule"), np.full((2, 2), 0.5)), records
    )
    matrix = single_findings_frame(units).set_index(["finding", "called"])["units"]
    assert matrix.to_dict() == {
        ("Mass", "Mass"): 1,
        ("Mass", "Nodule"): 0,
        ("Nodule", "Mass"): 1,
        ("Nodule", "Nodule"): 0,
    }


def test_the_worked_example_of_figure_7_is_no_benchmark():
    measured = pd.DataFrame({"finding": ["mean"], "image_list_precision": [0.5]})
    shown = beside(measured, "dong2017:text", "image_list_precision")
    assert shown.iloc[0, 2:].tolist() == [0.829]


def test_table_2_is_scored_on_images_with_one_label():
    truth = [("normal",), ("Emphysema",), ("Emphysema", "Mass"), ()]
    records = [
        Record(f"i{i}", f"p{i}", f"s{i}", None, labels=dict.fromkeys(true_label, Label.POSITIVE))
        for i, true_label in enumerate(truth)
    ]
    ids = tuple(record.image_id for record in records)
    units = score_units(
        Predictions(ids, ("normal", "Emphysema", "Mass"), np.eye(4)[:, :3]), records
    )
    assert select_population(units, "single-label").unit_ids == ("i0", "i1")
    assert select_population(units, "multi-label").unit_ids == ("i2",)
    assert select_population(units, "all").unit_ids == ids
    report = classify_units(units, Resampling(20), scope=ReportScope(()))
    (accuracy,) = [m for m in report.measurements if m.metric == "argmax_accuracy"]
    assert (accuracy.value, accuracy.divisor) == (1, 2)


def test_ties_count_against_the_model_in_top_1_and_top_3_of_a_report():
    #          the finding's score, then four others
    rows = [[0.5, 0.5, 0.1, 0.1, 0.1], [0.5, 0.6, 0.7, 0.5, 0.1], [0.5, 0.6, 0.7, 0.4, 0.1]]
    findings = ("Mass", "Nodule", "Edema", "Hernia", "Effusion")
    records = [
        Record(f"i{i}", f"p{i}", f"s{i}", None, labels={"Mass": Label.POSITIVE}) for i in range(3)
    ]
    units = score_units(Predictions(("i0", "i1", "i2"), findings, np.array(rows)), records)
    report = classify_units(units, Resampling(20), scope=ReportScope(()))
    value = {(m.finding, m.metric): m.value for m in report.measurements}
    assert value["Mass", "top1_sensitivity"] == 0  # the first image's highest score is shared
    assert value["Mass", "top3_sensitivity"] == 2 / 3  # the second image's third place is shared
    assert value["Nodule", "top1_specificity"] == 2 / 3  # it may stand first in the first image
    (accuracy,) = [m for m in report.measurements if m.metric == "argmax_accuracy"]
    assert (accuracy.value, accuracy.divisor) == (0, 3)  # nor is the shared highest score right


def test_table_2_never_prints_a_top_3_sensitivity_below_the_sensitivity():
    frame = published("dong2017:II").pivot(
        index=["setting", "finding"], columns="metric", values="value"
    )
    assert (frame["top3_sensitivity"] >= frame["top1_sensitivity"]).all()


def test_a_random_guess_is_in_the_top_3_of_10_three_times_in_ten():
    generator = np.random.default_rng(0)
    scores = generator.random((5000, 10))
    truth = np.arange(5000) % 10
    surely, _ = in_top(scores, 3)
    assert surely[np.arange(5000), truth].mean() == pytest.approx(0.3, abs=0.02)
