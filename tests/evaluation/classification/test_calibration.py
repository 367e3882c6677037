import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from torchmetrics.functional.classification import binary_calibration_error

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.calibration import (
    calibrate,
    expected_calibration_error,
    isotonic,
    platt,
    reliability,
)
from cxrloc.evaluation.classification.units import score_units
from cxrloc.types import Label, Predictions, Record


def made(seed, units=200):
    generator = np.random.default_rng(seed)
    probabilities = generator.random(units)
    return generator.random(units) < probabilities**2, probabilities  # overconfident


@given(st.integers(0, 10_000))
def test_reliability_is_the_curve_of_scikit_learn(seed):
    truth, probabilities = made(seed)
    curve = reliability(truth, probabilities)
    observed, predicted = calibration_curve(truth, probabilities, n_bins=10)
    np.testing.assert_allclose(curve.observed, observed, atol=1e-12)
    np.testing.assert_allclose(curve.predicted, predicted, atol=1e-12)
    assert curve.units.sum() == truth.size


@given(st.integers(0, 10_000))
def test_ece_is_that_of_torchmetrics(seed):
    truth, probabilities = made(seed)
    reference = binary_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(truth).long(), n_bins=10, norm="l1"
    )
    ours = expected_calibration_error(reliability(truth, probabilities))
    assert ours == pytest.approx(float(reference), abs=1e-6)


def test_without_units_there_is_no_ece():
    assert expected_calibration_error(reliability(np.zeros(0, dtype=bool), np.zeros(0))) is None


def test_logits_are_refused():
    with pytest.raises(CxrlocError, match="sigmoid"):
        reliability(np.array([True]), np.array([1.5]))


class Logits(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose decision value is its only feature."""

    def fit(self, features, truth):
        self.classes_ = np.array([False, True])
        return self

    def decision_function(self, features):
        return features[:, 0]

    def predict(self, features):
        return features[:, 0] > 0


@pytest.mark.parametrize(("ours", "method"), [(platt, "sigmoid"), (isotonic, "isotonic")])
def test_maps_are_those_of_scikit_learn(ours, method):
    truth, probabilities = made(7)
    fresh = np.linspace(0.01, 0.99, 50)
    values, new = (np.log(p / (1 - p))[:, None] for p in (probabilities, fresh))
    reference = CalibratedClassifierCV(
        FrozenEstimator(Logits().fit(values, truth)), method=method, ensemble=False
    ).fit(values, truth)
    want = reference.predict_proba(new)[:, 1]
    if method == "sigmoid":
        np.testing.assert_allclose(ours(truth, probabilities, fresh), want, atol=1e-4)
    else:  # linear in the probability here and in the logit there: equal where they were fitted
        want = reference.predict_proba(values)[:, 1]
        np.testing.assert_allclose(ours(truth, probabilities, probabilities), want, atol=1e-12)


def test_separable_data_and_certain_probabilities_have_a_finite_map():
    truth = np.array([False, True])
    mapped = platt(truth, np.array([0.0, 1.0]), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(mapped, [1 / 3, 0.5, 2 / 3], atol=1e-4)  # Platt's soft targets


def units(patients, truth, scores):
    records = [
        Record(str(i), patient, str(i), None, labels={"Mass": Label.POSITIVE} if t else {})
        for i, (patient, t) in enumerate(zip(patients, truth, strict=True))
    ]
    ids = tuple(record.image_id for record in records)
    return score_units(Predictions(ids, ("Mass",), np.array(scores)[:, None]), records)


def test_calibration_on_other_patients_lowers_the_error_on_these():
    truth, probabilities = made(1, 1000)
    tuning = units([f"t{i}" for i in range(1000)], truth, probabilities)
    truth, probabilities = made(2, 1000)
    judged = units([f"j{i}" for i in range(1000)], truth, probabilities)
    before = expected_calibration_error(reliability(truth, probabilities))
    for method in ("platt", "isotonic"):
        mapped = calibrate(tuning, judged, method)
        after = expected_calibration_error(reliability(truth, mapped.scores[:, 0]))
        assert after < before / 2


def test_shared_patients_are_refused():
    tuning, judged = (units([p, "both"], [1, 0], [0.9, 0.1]) for p in ("a", "b"))
    with pytest.raises(CxrlocError, match="1 patients are in both"):
        calibrate(tuning, judged, "platt")


def test_a_finding_that_cannot_be_fitted_is_left_out():
    tuning, judged = units(["a"], [True], [0.9]), units(["b"], [True], [0.9])
    assert calibrate(tuning, judged, "platt").findings == ()


def test_an_edge_belongs_to_the_bin_below_it():
    curve = reliability(np.array([True, False]), np.array([0.5, 0.6]), bins=2)
    assert curve.units.tolist() == [1, 1]
    assert curve.predicted.tolist() == [0.5, 0.6]
