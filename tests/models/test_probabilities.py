"""Probabilities are calibrated with the parameters in the model card."""

from dataclasses import replace
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.model import Model
from cxrloc.models.probabilities import calibrated
from cxrloc.models.provenance import calibrated_probability, calibration_warnings

CARD = ModelCard("mine", "phantoms", ("Mass", "Nodule"), calibration={"Mass": (1.0, log(1 / 9))})
MINE = Model(nn.Identity(), None, Preprocessing(8), CARD)
STEEPER = replace(MINE, card=replace(CARD, calibration={"Mass": (2.0, 0.0)}))


def test_an_even_chance_becomes_the_prevalence() -> None:
    """A raw probability of one in two, where one patient in ten has the finding."""
    assert calibrated_probability([MINE], "Mass", 0.5) == pytest.approx(0.1)
    assert calibrated_probability([MINE], "Nodule", 0.5) == 0.5


def test_an_ensemble_averages_the_calibrations_of_one_raw_value() -> None:
    """exp(2 ln 3) / (1 + exp(2 ln 3)) = 9/10 and 3/9 / (1 + 3/9) = 1/4."""
    assert calibrated_probability([MINE, STEEPER], "Mass", 0.75) == pytest.approx((0.25 + 0.9) / 2)
    uncalibrated = replace(MINE, card=replace(CARD, calibration={}))
    assert calibrated_probability([MINE, uncalibrated], "Mass", 0.75) == 0.75


def test_what_is_not_calibrated_is_said() -> None:
    (said,) = calibration_warnings([MINE], ["Mass", "Nodule"])
    assert said.endswith("the raw one: Nodule")
    assert calibration_warnings([MINE], ["Mass"]) == []


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 10), st.floats(-20, 20))
def test_no_order_changes(a: float, b: float, slope: float, intercept: float) -> None:
    low, high = sorted([a, b])
    ends = [calibrated(each, (slope, intercept)) for each in (low, high)]
    assert 0 <= ends[0] <= ends[1] <= 1


def test_it_is_platts_formula() -> None:
    assert calibrated(0.2, (1.5, 0.3)) == pytest.approx(1 / (1 + exp(-(1.5 * log(0.25) + 0.3))))


@pytest.mark.parametrize("coefficients", [(-1.0, 0.0), (0.0, 0.0), (1.0,)])
def test_a_card_that_would_turn_the_order_round_is_refused(coefficients: tuple) -> None:
    with pytest.raises(CxrlocError, match="a slope above 0"):
        replace(CARD, calibration={"Mass": coefficients})
