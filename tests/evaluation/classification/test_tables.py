import re

import numpy as np
import pytest
from sklearn.metrics import auc as area_under

from cxrloc.evaluation.classification.comparison import compare_predictions
from cxrloc.evaluation.classification.operating_points import choose_operating_points
from cxrloc.evaluation.classification.report import classify_units
from cxrloc.evaluation.classification.tables import (
    auc_frame,
    classification_frame,
    classification_latex,
    classification_markdown,
    confusion_frame,
    differences_frame,
    disagreements_frame,
    rank_correlations_frame,
    reliability_frame,
    roc_frame,
)
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Label, Predictions, Record

FINDINGS = ("Mass", "Hernia")


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    labels = [{"Mass": Label.POSITIVE} if i % 3 == 0 else {} for i in range(60)]
    records = [Record(f"i{i}", f"p{i}", f"s{i}", None, labels=has) for i, has in enumerate(labels)]
    ids = tuple(record.image_id for record in records)
    scores = generator.random((60, 2)) * 0.5
    scores[::3, 0] += 0.3
    other = np.clip(scores + generator.normal(0, 0.1, (60, 2)), 0, 1)
    return records, Predictions(ids, FINDINGS, scores), Predictions(ids, FINDINGS, other)


@pytest.fixture(scope="module")
def report(data):
    records, predictions, _ = data
    return classify_units(score_units(predictions, records), Resampling(50))


def csv_lines(frame):
    return [line.split(",") for line in frame.to_csv(index=False).splitlines()]


def test_undefined_numbers_are_empty_cells_and_never_nan(report):
    text = classification_frame(report).to_csv(index=False)
    assert "nan" not in text.lower()
    (hernia,) = [line for line in csv_lines(auc_frame(report)) if line[0] == "Hernia"]
    assert hernia == [
        "Hernia", "all", "image", "60", "0", "60", "0", "", "", "",
        "not defined: no positive among 60 units",
    ]  # fmt: skip


def test_auc_rows_follow_the_findings_and_end_with_the_mean(report):
    frame = auc_frame(report)
    assert frame["finding"].tolist() == [*FINDINGS, "mean"]
    assert list(frame.columns[-4:]) == ["auc", "auc_low", "auc_high", "note"]


def test_every_printed_number_is_a_row_of_the_frame(report):
    frame = classification_frame(report)
    known = {f"{x:.3f}" for name in ("value", "low", "high") for x in frame[name].dropna()}
    table = [line for line in classification_markdown(report).splitlines() if line.startswith("|")]
    printed = re.findall(r"\d\.\d{3}", "\n".join(table))
    assert printed
    assert set(printed) <= known


def test_the_page_says_unit_group_intervals_and_whose_thresholds(report):
    text = classification_markdown(report)
    for words in (
        "Unit: image (60 of 60 patients); group: all.",
        "95% intervals: percentile bootstrap over patients, 50 resamples, seed 0.",
        "Operating points: youden, the same patients.",
        "Hernia: not defined: no positive among 60 units.",
    ):
        assert words in text


def test_latex_has_one_row_per_finding_and_escapes_names(report):
    text = classification_latex(report)
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert body.count(r"\\") == len(FINDINGS) + 1
    assert body.count("&") == 6 * (len(FINDINGS) + 1)
    assert "pr average precision: area under the precision-recall curve" in text.replace(r"\_", " ")


def test_points_of_the_roc_frame_enclose_the_auc(data, report):
    records, predictions, _ = data
    frame = roc_frame(score_units(predictions, records))
    assert set(frame["finding"]) == {"Mass"}
    (mass,) = [m for m in report.measurements if (m.finding, m.metric) == ("Mass", "auc")]
    area = area_under(frame["false_positive_rate"], frame["sensitivity"])
    assert area == pytest.approx(mass.value)


def test_confusion_counts_add_up_and_agree_with_the_report(data, report):
    records, predictions, _ = data
    units = score_units(predictions, records)
    (row,) = confusion_frame(units, choose_operating_points(units)).to_dict("records")
    counts = ("true_positives", "false_negatives", "false_positives", "true_negatives")
    assert sum(row[name] for name in counts) == 60
    for metric in ("sensitivity", "specificity"):
        (measured,) = [m for m in report.measurements if (m.finding, m.metric) == ("Mass", metric)]
        assert (row[metric], row["threshold"]) == (measured.value, measured.threshold)


def test_reliability_bins_hold_every_unit_of_every_finding(data):
    records, predictions, _ = data
    frame = reliability_frame(score_units(predictions, records))
    assert frame.groupby("finding")["units"].sum().to_dict() == {"Hernia": 60, "Mass": 60}


def test_a_comparison_becomes_three_frames(data):
    records, first, second = data
    compared = compare_predictions(
        {"A": first, "B": second}, records, resampling=Resampling(20), most=5
    )
    differences = differences_frame(compared.differences)
    assert "nan" not in differences.to_csv(index=False).lower()
    assert differences["finding"].tolist() == ["Mass", "mean"] * 2
    correlations = rank_correlations_frame(compared.runs, compared.rank_correlations)
    assert correlations.columns.tolist() == ["run", "A", "B"]
    disputed = disagreements_frame(compared)
    assert disputed.columns.tolist() == ["image", "finding", "truth", "disagreement", "A", "B"]
    assert len(disputed) == 5
