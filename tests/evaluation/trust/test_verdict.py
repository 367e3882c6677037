"""The three lines that end `cxrloc trust`."""

import pytest

from cxrloc.evaluation.measurement import Measurement
from cxrloc.evaluation.trust.table import not_measured, trust_frame, without_layers
from cxrloc.evaluation.trust.verdict import trust_verdict


def row(test: str, subject: str, value: float, half: float = 0.05) -> Measurement:
    low, high = value - half, value + half
    return Measurement(
        metric=test, finding="all findings", value=value, low=low, high=high, subject=subject
    )


def rows(
    faithfulness: float = 0.6, random_layers: float = 0.05, moved: float = 0.9
) -> list[Measurement]:
    """Numbers of a good map; deletion is the better the smaller it is."""
    return [
        row("insertion", "model", faithfulness),
        row("insertion", "random map", 0.4),
        row("deletion", "model", 1 - faithfulness),
        row("deletion", "random map", 0.6),
        row("road", "model", faithfulness - 0.4),
        row("road", "random map", 0.0),
        row("weight randomisation", "prediction", 0.8),  # one layer is not all
        row("weight randomisation", "first", random_layers),
        not_measured("label randomisation", "", "not run"),
        not_measured("repeatability", "", "not run"),
        row("map under disturbance", "shifted", moved),
        row("map under disturbance", "noise", 0.9),
        row("random map", "random map", 0.0),
    ]


@pytest.mark.parametrize(
    ("faithfulness", "clear"),
    [(0.6, "in 3 of 3"), (0.52, "in 3 of 3"), (0.45, "in 0 of 3"), (0.2, "in 0 of 3")],
)
def test_faithfulness_is_judged_against_the_random_map(faithfulness: float, clear: str) -> None:
    sentence = trust_verdict(rows(faithfulness=faithfulness))[0]
    assert f"clearly better than a random map {clear} tests" in sentence
    assert f"deletion {1 - faithfulness:.2f} [" in sentence
    assert "(random map 0.60 [0.55, 0.65])" in sentence


def test_the_network_with_all_layers_random_decides_and_not_an_earlier_one() -> None:
    sentence = trust_verdict(rows(random_layers=0.05))[1]
    assert "is not that of a network that has not learned" in sentence
    assert "with all layers random 0.05" in sentence
    assert "labels are not tested (--shuffled-model)" in sentence
    assert "stays like that of a network" in trust_verdict(rows(random_layers=0.11))[1]


def test_shuffled_labels_decide_too() -> None:
    sentence = trust_verdict([*rows(), row("label randomisation", "shuffled", 0.7)])[1]
    assert "stays like" in sentence
    assert "with shuffled labels 0.70" in sentence
    assert "not tested" not in sentence


def test_stability_names_the_least_stable_case() -> None:
    sentence = trust_verdict(rows(moved=0.08))[2]
    assert "in 1 of 2 tests, least under shifted: 0.08" in sentence


def test_one_row_stands_for_all_layers() -> None:
    short = without_layers(trust_frame(rows()))
    layers = short[short["test"] == "weight randomisation"]
    assert layers["subject"].tolist() == ["all layers"]
    assert layers["value"].tolist() == [0.05]
    assert len(short) == len(rows()) - 1
