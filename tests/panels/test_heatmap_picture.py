"""Which results the picture of `heatmap` shows, and which are only in the JSON file."""

from typing import Any

import numpy as np
import pytest

from cxrloc.panels import heatmap_picture as room
from cxrloc.panels.heatmap_picture import THIN_BOXES, heatmap_picture
from cxrloc.panels.overlay import Mark, Role
from cxrloc.types import Affine, Box, Detection, Heatmaps

SCORES = np.array([[[0.0, 1.0], [2.0, 3.0]]])
MAPS = Heatmaps("a/chest.png", ("Mass",), SCORES, Affine(xx=20.0, yy=20.0), 40, 40)


def detection(threshold: float | None) -> Detection:
    return Detection("a/chest.png", "Mass", Box(5.0, 5.0, 30.0, 30.0), threshold, 0.5)


@pytest.mark.parametrize(
    ("thresholds", "above", "expected"),
    [
        ([60.0, 180.0], True, [(Role.DETECTION, True), (Role.DETECTION, False)]),
        ([180.0, 180.0], True, [(Role.DETECTION, False)] * 2),  # two regions of one threshold
        ([60.0], None, [(Role.DETECTION, False)]),  # no operating point casts no doubt
        ([60.0, 180.0], False, [(Role.DOUBTFUL, True), (Role.DOUBTFUL, False)]),
        ([], True, []),
    ],
)
def test_boxes_of_the_highest_threshold_are_bold_and_those_of_lower_ones_thin(
    thresholds: list[float],
    above: bool | None,
    expected: list[tuple[Role, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[Mark] = []
    captions: list[str] = []
    draw_panel, compose_panels = room.draw_panel, room.compose_panels

    def noted_panel(*arguments: Any) -> Any:
        drawn.extend(arguments[5] if len(arguments) > 5 else ())
        return draw_panel(*arguments)

    def noted_captions(*arguments: Any) -> Any:
        captions.extend(arguments[2])
        return compose_panels(*arguments)

    monkeypatch.setattr(room, "draw_panel", noted_panel)
    monkeypatch.setattr(room, "compose_panels", noted_captions)
    row = {"finding": "Mass", "probability": 0.7, "above_operating_point": above}
    boxes = [detection(threshold) for threshold in thresholds]
    picture = heatmap_picture(np.zeros((40, 40)), MAPS, boxes, [row], ["model"])
    assert [(mark.role, mark.thin) for mark in drawn] == expected
    assert (THIN_BOXES in captions) == any(thin for _, thin in expected)
    assert picture.width <= 1600
