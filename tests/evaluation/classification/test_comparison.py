import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.comparison import compare_predictions
from cxrloc.evaluation.classification.two_views import compare_two_views
from cxrloc.evaluation.classification.units import score_units
from cxrloc.evaluation.resampling import Resampling
from cxrloc.types import Label, Predictions, Record

FINDINGS = ("Mass", "Nodule", "Hernia")
MANY = Resampling(resamples=300)


def made(patients=150):
    """Records, and the scores of a weak model that two better ones build on; no Hernia."""
    generator = np.random.default_rng(0)
    truth = generator.random((patients, 3)) < [0.3, 0.3, 0.0]
    records = [
        Record(
            f"i{i}",
            f"p{i}",
            f"s{i}",
            None,
            labels={f: Label.POSITIVE for f, yes in zip(FINDINGS, row, strict=True) if yes},
        )
        for i, row in enumerate(truth)
    ]
    return records, truth, truth * 0.7 + generator.normal(size=truth.shape), generator


def predictions(records, scores):
    return Predictions(tuple(r.image_id for r in records), FINDINGS, scores)


@pytest.fixture(scope="module")
def setting():
    records, truth, weak, generator = made()
    better = weak + truth * [1.0, 0.0, 0.0]  # better at Mass alone
    noisy = weak + 0.01 * generator.normal(size=weak.shape)
    runs = {"weak": weak, "better": better, "noisy": noisy}
    compared = compare_predictions(
        {name: predictions(records, scores) for name, scores in runs.items()},
        records,
        resampling=MANY,
    )
    return truth, runs, compared


def difference(compared, a, b, finding, metric="auc"):
    (row,) = [
        row
        for row in compared.differences
        if (row.run_a, row.run_b, row.finding, row.metric) == (a, b, finding, metric)
    ]
    return row


def test_differences_are_later_minus_earlier(setting):
    truth, runs, compared = setting
    row = difference(compared, "weak", "better", "Mass")
    a, b = (roc_auc_score(truth[:, 0], runs[name][:, 0]) for name in ("weak", "better"))
    assert (row.value_a, row.value_b) == pytest.approx((a, b), abs=1e-12)
    assert row.difference == pytest.approx(b - a, abs=1e-12)
    assert 0 < row.low < row.difference < row.high


def test_a_better_model_is_found_and_an_equal_one_is_not(setting):
    *_, compared = setting
    better = difference(compared, "weak", "better", "Mass")
    assert max(better.p_bootstrap, better.p_holm, better.p_delong) < 0.02
    same = difference(compared, "weak", "better", "Nodule")
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert (same.p_bootstrap, same.p_delong) == (1.0, None)


def test_pairing_makes_the_interval_of_near_copies_narrow(setting):
    *_, compared = setting
    near = difference(compared, "weak", "noisy", "Mass")
    far = difference(compared, "weak", "better", "Mass")
    assert near.high - near.low < (far.high - far.low) / 5


def test_holm_is_at_least_the_raw_p_and_not_given_for_the_mean(setting):
    *_, compared = setting
    for row in compared.differences:
        assert row.p_holm is None if row.finding == "mean" else row.p_holm >= row.p_bootstrap


def test_all_pairs_of_runs_are_compared(setting):
    *_, compared = setting
    pairs = {(row.run_a, row.run_b) for row in compared.differences}
    assert pairs == {("weak", "better"), ("weak", "noisy"), ("better", "noisy")}


def test_a_finding_without_both_classes_is_named_not_scored(setting):
    *_, compared = setting
    assert compared.undefined == ("Hernia",)


def test_rank_correlations_are_those_of_scipy(setting):
    _, runs, compared = setting
    want = np.mean(
        [spearmanr(runs["weak"][:, f], runs["better"][:, f]).statistic for f in range(3)]
    )
    assert compared.rank_correlations[0, 1] == pytest.approx(want)
    assert compared.correlated == FINDINGS


def test_disagreements_come_with_truth_and_scores(setting):
    truth, runs, compared = setting
    first = compared.disagreements[0]
    assert len(compared.disagreements) == 50
    index, column = int(first.unit_id[1:]), FINDINGS.index(first.finding)
    assert first.truth == truth[index, column]
    assert first.scores == tuple(runs[name][index, column] for name in runs)


def test_images_that_one_run_lacks_are_left_out_and_counted():
    records, _, weak, _ = made()
    compared = compare_predictions(
        {"all": predictions(records, weak), "part": predictions(records[:100], weak[:100])},
        records,
        resampling=Resampling(20),
    )
    assert (compared.units, compared.left_out) == (100, (50, 0))


def test_one_run_alone_is_refused():
    records, _, weak, _ = made()
    with pytest.raises(CxrlocError, match="two runs"):
        compare_predictions({"a": predictions(records, weak)}, records)


def test_both_readings_of_individual_are_compared_with_the_dual_network():
    records, truth, weak, generator = made()
    other = truth * 0.7 + generator.normal(size=truth.shape)
    frontal, lateral, dual = (
        score_units(predictions(records, scores), records, "study")
        for scores in (weak, other, weak + other)
    )
    rows = [
        row
        for row in compare_two_views(frontal, lateral, dual, MANY)
        if (row.finding, row.metric) == ("Mass", "auc")
    ]
    by_name = {row.run_a: row for row in rows}
    front, side, both = (roc_auc_score(truth[:, 0], s[:, 0]) for s in (weak, other, weak + other))
    together = by_name["individual, mean of probabilities"]
    apart = by_name["individual, mean of AUCs"]
    assert apart.value_a == pytest.approx((front + side) / 2)
    assert together.value_a == pytest.approx(both)  # the sum ranks as the mean
    assert together.difference == 0
    assert apart.low > 0
    assert apart.p_delong < 0.05


def test_a_finding_that_is_not_compared_keeps_no_patient_of_another_in_every_resample():
    # Nodule has one patient and is not compared, so the two patients with Mass are drawn together.
    labels = [("Mass", "Nodule"), ("Mass",), *[()] * 10]
    records = [
        Record(f"i{i}", f"p{i}", f"s{i}", None, labels=dict.fromkeys(names, Label.POSITIVE))
        for i, names in enumerate(labels)
    ]
    scores = np.random.default_rng(0).random((2, len(records), 3))
    runs = {name: predictions(records, each) for name, each in zip("ab", scores, strict=True)}
    compared = compare_predictions(runs, records, resampling=Resampling(20))
    assert compared.undefined == ("Nodule", "Hernia")
    assert difference(compared, "a", "b", "Mass").low < difference(compared, "a", "b", "Mass").high
