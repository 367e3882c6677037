"""Rows of trust.csv: which values are averaged or left out, and which rows have an interval."""

import pandas as pd

from cxrloc.evaluation.resampling import Resampling
from cxrloc.evaluation.trust.table import mean_over_pairs, not_measured, trust_frame


def test_the_mean_is_over_pairs_and_the_interval_over_patients() -> None:
    row = mean_over_pairs("road", "model", [0.0, 1.0, 1.0], ["a", "b", "b"], Resampling(200))
    assert row.value == 2 / 3
    assert (row.divisor, row.n) == (3, 2)
    assert row.low is not None
    assert row.high is not None
    assert row.low <= row.value <= row.high


def test_one_patient_gives_no_interval() -> None:
    row = mean_over_pairs("road", "model", [0.0, 1.0], ["a", "a"], Resampling(200))
    assert (row.value, row.low, row.high) == (0.5, None, None)


def test_flat_maps_alone_give_no_number() -> None:
    row = mean_over_pairs("road", "model", [None, None], ["a", "b"], Resampling(20))
    assert (row.value, row.note) == (None, "2 flat maps left out")
    assert mean_over_pairs("road", "model", [], [], Resampling(20)).note.startswith("the models")


def test_the_frame_keeps_the_columns_of_trust_csv() -> None:
    frame = trust_frame([not_measured("repeatability", "", "not run")])
    columns = ["test", "subject", "value", "low", "high", "pairs", "patients", "note"]
    assert frame.columns.tolist() == columns
    assert pd.isna(frame.loc[0, "value"])
    assert frame.loc[0, ["pairs", "patients"]].tolist() == [0, 0]
