import numpy as np

from cxrloc.evaluation.classification.report import ReportScope, classify_units
from cxrloc.evaluation.classification.report_rows import (
    FEW_CARRIERS,
    FEW_UNITS,
    NONE_AVERAGED,
    NONE_VARIES,
)
from cxrloc.evaluation.classification.unit_statistics import averaged_findings, share_statistic
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Label, Predictions, Record

FINDINGS = ("Mass", "Edema", "No Finding")


def made(*labels, findings=FINDINGS):
    records = [
        Record(f"i{i}", f"p{i}", f"s{i}", None, labels=dict.fromkeys(label, Label.POSITIVE))
        for i, label in enumerate(labels)
    ]
    ids = tuple(record.image_id for record in records)
    scores = np.random.default_rng(0).random((len(ids), len(findings)))
    return score_units(Predictions(ids, findings, scores), records)


def test_a_mean_is_over_findings_and_a_named_mean_over_all_that_it_names():
    units, defined = made(["Mass"], ["Edema"], []), np.arange(3)
    named = {"paper": FINDINGS, "same": ("Edema", "Mass"), "missing": ("Mass", "Hernia")}
    means = averaged_findings(units, defined, named)
    assert {name: columns.tolist() for name, columns in means.items()} == {
        "mean": [0, 1],
        "paper": [0, 1, 2],
    }


def test_a_resample_without_any_unit_of_a_share_gives_no_number():
    units = made(["Mass"], ["Edema"])
    statistic = share_statistic(units, hits=np.array([[1.0, 0.0]]), among=np.array([[1.0, 0.0]]))
    values = statistic(np.array([[1.0, 0.0], [1.0, 2.0]]))  # the second resample lacks patient 0
    assert values[0, 0] == 1
    assert np.isnan(values[0, 1])


def test_patients_who_are_in_every_resample_give_no_interval():
    # Each of the three patients with Mass is alone in the stratum of a finding that is rarer.
    labels = ["Mass", "Edema"], ["Mass", "Hernia"], ["Mass", "Fibrosis"], [], []
    units = made(*labels, findings=("Mass", "Edema", "Hernia", "Fibrosis"))
    report = classify_units(units, Resampling(50), scope=ReportScope(()))
    rows = {row.finding: row for row in report.measurements if row.metric == "auc"}
    assert [rows[name].low for name in ("Mass", "Edema", "mean")] == [None] * 3
    assert rows["Mass"].note == NONE_VARIES
    assert rows["Edema"].note == FEW_CARRIERS
    assert rows["mean"].note.endswith(NONE_AVERAGED)


def test_a_mean_of_units_who_are_in_every_resample_has_no_interval_though_others_vary():
    # The two units with two findings are each alone in their stratum; the ten others vary.
    units = made(["Mass", "Edema"], ["Hernia", "Fibrosis"], *[[]] * 10,
                 findings=("Mass", "Edema", "Hernia", "Fibrosis"))  # fmt: skip
    report = classify_units(units, Resampling(50), scope=ReportScope((), list_threshold=0.3))
    (row,) = [m for m in report.measurements if m.metric == "image_list_precision"]
    assert (row.divisor, row.low, row.note) == (2, None, NONE_VARIES)


def test_a_number_that_some_resamples_lack_has_no_interval_and_says_why():
    # The first patient alone has one label, and shares a stratum (no Edema) with the fourth.
    labels = ["Mass"], ["Mass", "Edema"], ["Edema", "Hernia"], ["Mass", "Hernia"]
    units = made(*labels, ["Edema", "Hernia"], findings=("Mass", "Edema", "Hernia"))
    report = classify_units(units, Resampling(50), scope=ReportScope(()))
    (row,) = [m for m in report.measurements if m.metric == "argmax_accuracy"]
    assert (row.divisor, row.low, row.note) == (1, None, FEW_UNITS)
    assert row.value is not None
