import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.meta_probes import meta_from_features
from cxrloc.types import Sex, View

N = 400


@pytest.fixture(scope="module")
def drawn():
    """Features that hold view exactly, age with noise, and nothing of sex."""
    generator = np.random.default_rng(0)
    ages = generator.uniform(10, 90, N)
    ap = generator.random(N) < 0.5
    noise = generator.normal(size=(N, 6))
    features = np.column_stack([ages / 40 + 0.1 * noise[:, 0], ap + 0.0, noise[:, 1:]])
    subjects = {
        "view": [View.AP if each else View.PA for each in ap],
        "sex": [Sex.MALE if each else Sex.FEMALE for each in generator.random(N) < 0.5],
        "age": ages.tolist(),
    }
    return features, subjects


def test_what_features_hold_is_read_and_what_they_lack_is_not(drawn):
    features, subjects = drawn
    view, sex, age = meta_from_features(features, subjects, np.arange(N) < 200)
    assert (view.auc, view.specificity) == (1.0, 1.0)
    # The Youden point is the lowest positive score of the training part; others can lie below.
    assert view.sensitivity > 0.95
    assert 0.4 < sex.auc < 0.6
    # Noise of 0.1 x 40 years has a mean absolute value of 4 sqrt(2 / pi) years.
    assert age.mean_error_years == pytest.approx(4 * np.sqrt(2 / np.pi), rel=0.2)


def test_unknown_values_are_left_out_and_counted(drawn):
    features, subjects = drawn
    views = [View.LATERAL, *subjects["view"][1:]]
    some = {**subjects, "view": views, "age": [None] * 100 + subjects["age"][100:]}
    view, sex, age = meta_from_features(features, some, np.arange(N) >= 200)
    assert (view.n, sex.n, age.n) == (199, 200, 100)


def test_one_class_cannot_be_read(drawn):
    features, subjects = drawn
    with pytest.raises(CxrlocError, match="view: both parts need"):
        meta_from_features(features, {**subjects, "view": [View.PA] * N}, np.arange(N) < 200)
