"""The table of `cxrloc heatmap` says on which scale the scores of boxes are."""

from typing import Any

import pytest
from rich.console import Console

from cxrloc.cli.heatmap import findings_table


def report(probability: float, raw: float) -> dict[str, Any]:
    corners = {"x_min": 1.0, "y_min": 2.0, "x_max": 30.0, "y_max": 40.0}
    return {
        "image": "a.png",
        "outside_because": [],
        "findings": [
            {
                "finding": "Mass",
                "probability": probability,
                "raw_probability": raw,
                "above_operating_point": True,
                "degenerate": False,
                "boxes": [
                    {**corners, "threshold": threshold, "score": raw} for threshold in (60, 180)
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("probability", "heading", "first", "second"),
    [
        pytest.param(
            0.21,
            "Finding Probability Raw Threshold Box: x, y, to x, y Raw score",
            "Mass 0.210 0.827 60 1 2 30 40 0.827",
            "180 1 2 30 40 0.827",
            id="calibrated",
        ),
        pytest.param(
            0.827,
            "Finding Probability Threshold Box: x, y, to x, y Score",
            "Mass 0.827 60 1 2 30 40 0.827",
            "180 1 2 30 40 0.827",
            id="as the network gives it",
        ),
    ],
)
def test_scores_stand_beside_the_probability_of_their_own_scale(
    probability: float, heading: str, first: str, second: str
) -> None:
    screen = Console(width=120)
    with screen.capture() as shown:
        screen.print(findings_table(report(probability, 0.827), top=3))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert [line for line in lines if line][:2] == ["a.png", heading]
    assert lines[lines.index(first) + 1] == second
