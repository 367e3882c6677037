"""The lines of a run card that a page shows."""

from typing import Any

import pytest

from cxrloc.report_page.card import classification_card, lead, warning_lines

RUN: dict[str, Any] = {
    "model": None,
    "probabilities_from": "p.csv",
    "scored": {"units": 4, "patients": 3},
    "protocol": {"unit": "study"},
    "operating_points": {
        finding: {"rule": "youden", "chosen_on": "validation"} for finding in ("Mass", "Nodule")
    },
    "tuning": {"units": 7},
    "data": {"truth_sha256": "12", "images_sha256": None},
    "contaminated_patients": 0,
    "missing_images": [f"{i}.png" for i in range(12)],
    "failed_images": {},
    "versions": {"cxrloc": "1", "torch": "2"},
    "warnings": {"inverted": 2},
    "seconds": 1.5,
}


def test_a_classification_card_counts_units_and_says_each_rule_once() -> None:
    card = dict(classification_card(RUN))
    assert card["Scored"] == "4 units of 3 patients"
    assert card["Thresholds"] == "youden, on validation"
    assert card["Versions"] == "cxrloc 1, torch 2"
    assert "Model" not in card


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 of these patients trained the model"),
        ("unknown", "unknown: nothing says on which patients the model was trained"),
    ],
)
def test_what_is_not_known_about_training_patients_is_not_shown_as_zero(
    count: int | str, words: str
) -> None:
    card = dict(classification_card(RUN | {"contaminated_patients": count}))
    assert card["Contamination"] == words


def test_of_many_missing_images_ten_are_named_after_their_number() -> None:
    missing = dict(classification_card(RUN))["Missing images"]
    assert missing.startswith("12: 0.png, 1.png")
    assert missing.endswith("9.png, ...")


def test_a_page_without_a_model_begins_with_where_the_numbers_are_from() -> None:
    assert lead(RUN, "Probabilities from: p.csv.") == "Probabilities from: p.csv."
    assert warning_lines(RUN) == ["inverted (2 images)"]
