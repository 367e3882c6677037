import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.calibration import (
    calibrate,
    expected_calibration_error,
    reliability,
)
from cxrloc.evaluation.classification.operating_points import choose_operating_points
from cxrloc.evaluation.classification.report import (
    METRICS,
    ReportScope,
    classify_units,
)
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Label, Predictions, Record, Sex, View

FEW = Resampling(resamples=50)
FINDINGS = ("Mass", "Nodule", "Hernia", "Edema")


def made(seed=0, patients=40, prefix="p", images=3):
    """Units of `patients` patients; nobody has a Hernia, one patient alone an Edema."""
    generator = np.random.default_rng(seed)
    records, scores = [], []
    for patient in range(patients):
        has = {f: generator.random() < 0.4 for f in FINDINGS[:2]} | {"Edema": patient == 0}
        for image in range(images):
            name = f"{prefix}{patient}_{image}"
            labels = {f: Label.POSITIVE for f, yes in has.items() if yes}
            view = View.AP if patient % 2 else View.PA
            sex = Sex.MALE if patient % 3 else Sex.FEMALE
            records.append(
                Record(name, f"{prefix}{patient}", name, None, view, 50.0, sex, labels=labels)
            )
            scores.append([generator.normal(has.get(f, False), 1) for f in FINDINGS])
    probabilities = 1 / (1 + np.exp(-np.array(scores)))
    ids = tuple(record.image_id for record in records)
    return score_units(Predictions(ids, FINDINGS, probabilities), records)


@pytest.fixture(scope="module")
def units():
    return made()


@pytest.fixture(scope="module")
def report(units):
    return classify_units(units, FEW)


def rows(report, **wanted):
    return [
        row
        for row in report.measurements
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]


def one(report, **wanted):
    (row,) = rows(report, **wanted)
    return row


def test_numbers_are_those_of_scikit_learn(units, report):
    for column, finding in enumerate(("Mass", "Nodule")):
        truth, scores = units.truth[:, column], units.scores[:, column]
        area = one(report, finding=finding, group="all", metric="auc")
        precision = one(report, finding=finding, group="all", metric="pr_average_precision")
        assert area.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
        assert precision.value == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
        assert area.low < area.value < area.high


def test_the_mean_says_over_how_many_findings(report):
    areas = [
        one(report, finding=f, group="all", metric="auc").value for f in ("Mass", "Nodule", "Edema")
    ]
    mean = one(report, finding="mean", group="all", metric="auc")
    assert mean.value == pytest.approx(np.mean(areas))
    assert mean.divisor == 3


def test_outputs_that_are_no_finding_are_judged_but_not_averaged():
    records = [
        Record("a", "a", "a", None, View.AP, labels={"Mass": Label.POSITIVE}),
        Record("b", "b", "b", None, View.PA, labels={"Mass": Label.NEGATIVE}),
        Record("c", "c", "c", None, View.AP),
    ]
    scores = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.2], [0.2, 0.8, 0.3]])
    findings = ("Mass", "No Finding", "View AP")
    predictions = Predictions(("a", "b", "c"), findings, scores)
    report = classify_units(score_units(predictions, records), FEW, scope=ReportScope(()))
    value = {row.finding: row.value for row in report.measurements if row.metric == "auc"}
    assert value == {"Mass": 1.0, "No Finding": 1.0, "View AP": 0.5, "mean": 1.0}
    mean = one(report, finding="mean", metric="auc")
    assert (mean.divisor, mean.positives) == (1, 1)


def test_a_finding_of_one_class_is_a_row_with_a_reason_and_no_number(report):
    row = one(report, finding="Hernia", group="all", metric="auc")
    assert (row.value, row.low, row.high) == (None, None, None)
    assert row.note == "not defined: no positive among 120 units"


def test_one_patient_alone_gives_a_number_but_no_interval(report):
    row = one(report, finding="Edema", group="all", metric="auc")
    assert row.value is not None
    assert (row.low, row.high) == (None, None)
    assert "fewer than 2 patients" in row.note


def test_divisors_are_what_numbers_were_divided_by(units, report):
    positives = int(units.truth[:, 0].sum())
    expected = {
        "auc": positives * (120 - positives),
        "pr_average_precision": positives,
        "sensitivity": positives,
        "specificity": 120 - positives,
        "top1_sensitivity": positives,
        "top1_specificity": 120 - positives,
        "top3_sensitivity": positives,
        "ece": 120,
    }
    for metric, divisor in expected.items():
        row = one(report, finding="Mass", group="all", metric=metric)
        assert (row.n, row.positives, row.divisor) == (120, positives, divisor)


def test_every_metric_is_explained_and_every_explained_metric_occurs(units, report):
    tuning = made(seed=1, prefix="t")
    fitted = classify_units(units, FEW, tuning, scope=ReportScope((), 0.5))
    assert {row.metric for row in fitted.measurements} == set(METRICS)
    without = {row.metric for row in report.measurements}
    assert without == set(METRICS) - {"ece_platt", "ece_isotonic", "image_list_precision"}


def test_calibration_fitted_on_other_patients_has_a_row_of_its_own(units):
    tuning = made(seed=1, prefix="t")
    report = classify_units(units, FEW, tuning=tuning, scope=ReportScope(("view",)))
    mapped = calibrate(tuning, units, "platt")
    curve = reliability(mapped.truth[:, 0], mapped.scores[:, 0])
    row = one(report, finding="Mass", group="all", metric="ece_platt")
    assert row.value == expected_calibration_error(curve)
    assert row.value < one(report, finding="Mass", group="all", metric="ece").value
    assert not rows(report, finding="Hernia", metric="ece_platt")  # nothing to fit
    assert one(report, finding="Mass", group="view AP", metric="ece_platt").n == 60


def test_groups_are_scored_apart(units, report):
    ap = np.array(units.groups["view"]) == "AP"
    row = one(report, finding="Mass", group="view AP", metric="auc")
    want = roc_auc_score(units.truth[ap, 0], units.scores[ap, 0])
    assert row.value == pytest.approx(want, abs=1e-12)
    assert {r.group for r in report.measurements} == {
        "all", "view AP", "view PA", "sex F", "sex M", "age 40-64",
    }  # fmt: skip


def test_thresholds_of_the_same_patients_are_marked(report):
    row = one(report, finding="Mass", group="all", metric="sensitivity")
    assert row.chosen_on == "youden, the same patients"


def test_thresholds_of_other_patients_are_applied_as_they_are(units):
    tuning = made(seed=1, prefix="t")
    report = classify_units(units, FEW, tuning=tuning, scope=ReportScope(()))
    point = choose_operating_points(tuning)["Mass"]
    row = one(report, finding="Mass", metric="sensitivity")
    assert (row.threshold, row.chosen_on) == (point.threshold, "youden, other patients")
    called = units.scores[:, 0] >= point.threshold
    assert row.value == pytest.approx(called[units.truth[:, 0]].mean())


def test_tuning_on_a_judged_patient_is_refused(units):
    with pytest.raises(CxrlocError, match="operating point must be fitted on other patients"):
        classify_units(units, FEW, tuning=made())


def test_equal_seeds_give_equal_reports(units):
    assert classify_units(units, FEW, scope=ReportScope(())) == classify_units(
        units, FEW, scope=ReportScope(())
    )


def test_without_resamples_there_are_values_and_no_intervals(units):
    report = classify_units(units, Resampling(resamples=0), scope=ReportScope(()))
    row = one(report, finding="Mass", metric="auc")
    assert row.value is not None
    assert row.low is None


def test_nothing_to_score_is_an_error():
    with pytest.raises(CxrlocError, match="nothing to score"):
        classify_units(score_units(Predictions((), ("Mass",), np.zeros((0, 1))), []), FEW)


def test_a_single_output_of_logits_has_no_accuracy_at_one_half() -> None:
    records = [
        Record(name, name, name, None, labels={"Mass": label})
        for name, label in zip("ab", (Label.POSITIVE, Label.NEGATIVE), strict=True)
    ]
    for scores, defined in (([0.9, 0.2], True), ([0.4, -3.0], False)):
        predictions = Predictions(("a", "b"), ("Mass",), np.array(scores)[:, None])
        report = classify_units(score_units(predictions, records), FEW, scope=ReportScope(()))
        metrics = {row.metric for row in report.measurements}
        assert "auc" in metrics
        assert ({"argmax_accuracy", "ece"} <= metrics) == defined
        assert ("argmax_accuracy" in metrics) == ("ece" in metrics)
