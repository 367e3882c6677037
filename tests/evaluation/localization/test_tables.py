"""Data frames of the CSV files, and the tables for human readers."""

import numpy as np
import pytest

from cxrloc.evaluation.localization.hits import MatchRule
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.printed_tables import controls_table, report_note, wang_tables
from cxrloc.evaluation.localization.scores import LocalizationScores, score_localization
from cxrloc.evaluation.localization.tables import (
    COLUMNS,
    differences_frame,
    grid,
    localization_frame,
    rows_of,
    subjects_frame,
)
from cxrloc.evaluation.resampling import Resampling
from cxrloc.files.table_writer import markdown_table
from tests.evaluation.localization.test_scores import DETECTIONS, MAPS, RECORDS, RULES

PROTOCOL = ScoringProtocol(rules=RULES, resampling=Resampling(resamples=50), draws=2)


@pytest.fixture(scope="module")
def scores() -> LocalizationScores:
    return score_localization(RECORDS, DETECTIONS, PROTOCOL, MAPS)


def test_the_frame_has_the_promised_columns_and_a_row_for_each(scores: LocalizationScores) -> None:
    frame = localization_frame(rows_of(scores.measurements))
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == len(RULES) * 3
    assert frame["finding"].unique().tolist() == ["Mass", "Pleural_Thickening", "mean"]
    assert frame[["annotated", "hit", "detections", "heatmaps"]].dtypes.unique() == [np.int64]
    row = frame.set_index(["finding", "criterion", "threshold"]).loc[("Mass", "iobb", 0.5)]
    assert row["accuracy"] == row["hit"] / row["annotated"]
    assert row["afp"] == row["false_positives"] / 40
    controls = subjects_frame(scores.measurements, scores.controls, "control")
    assert tuple(controls.columns) == ("control", *COLUMNS)
    assert len(differences_frame(scores.measurements, "control")) == 5 * len(frame)


def test_counts_of_the_mean_add_up_and_its_rates_are_averaged(scores: LocalizationScores) -> None:
    frame = localization_frame(rows_of(scores.measurements))
    rule = frame[(frame["criterion"] == "iobb") & (frame["threshold"] == 0.5)]
    findings, mean = rule[rule["finding"] != "mean"], rule[rule["finding"] == "mean"].squeeze()
    for name in ("annotated", "hit", "detections", "false_positives", "heatmaps"):
        assert mean[name] == findings[name].sum(), name
    for name in ("accuracy", "afp", "false_positives_per_heatmap"):
        assert mean[name] == pytest.approx(findings[name].mean()), name


def test_tables_to_read_show_thresholds_as_columns_and_both_divisors(
    scores: LocalizationScores,
) -> None:
    tables = wang_tables(rows_of(scores.measurements))
    assert list(tables) == ["iobb", "iou"]
    table = tables["iobb"]
    assert table.columns.tolist() == ["finding", "boxes", "T(IoBB)", "0.5"]
    assert [name for name in table["finding"] if name] == ["Mass", "Pleural_Thickening", "mean"]
    accuracy = grid(rows_of(scores.measurements), "accuracy")
    assert table.iloc[0].tolist()[2:] == ["Acc.", f"{accuracy[0, 0]:.4f}"]
    assert "FP per heatmap" in table["T(IoBB)"].tolist()
    assert "40 annotated boxes of all findings" in report_note(scores)
    beside = controls_table(scores)
    assert beside.iloc[:, 0].tolist() == ["boxes per heatmap", "T(IoBB) 0.5", "T(IoU) 0.25"]
    assert beside.columns[-1] == "oracle_map"
    assert "T(IoU) 0.25" in markdown_table(beside)


def test_rules_asked_for_in_any_order_stay_in_it() -> None:
    rules = (MatchRule("iou", 0.5), MatchRule("iobb", 0.25), MatchRule("iou", 0.1))
    protocol = ScoringProtocol(rules=rules, resampling=Resampling(resamples=0))
    scores = score_localization(RECORDS, DETECTIONS, protocol)
    own = localization_frame(rows_of(scores.measurements))
    mean = own[own["finding"] == "mean"]
    assert [*zip(mean["criterion"], mean["threshold"], strict=True)] == [
        (rule.criterion, rule.threshold) for rule in rules
    ]
