"""The rules that make boxes from a map, on maps that can be drawn by hand."""

import numpy as np
import pytest

from cxrloc.errors import UsageError
from cxrloc.localization.box_rules import (
    BOX_RULES,
    BoxRule,
    describe_rule,
    regions_by_rule,
)
from cxrloc.localization.boxes import detections_by_rule, detections_from_heatmaps
from cxrloc.localization.regions import find_regions
from cxrloc.types import Affine, Heatmaps

DRAWN = np.array([[[200.0, 90.0, 0.0, 80.0, 255.0]]])
"""The example of the module: 0 and 255 are the extremes, so scaling changes nothing."""


def boxes(maps: np.ndarray, rule: BoxRule, finding: str = "Mass") -> list[list[float]]:
    return regions_by_rule(maps, [finding] * len(maps), rule).boxes.round(3).tolist()


def test_the_rule_of_two_thresholds_is_the_published_one_by_default() -> None:
    """Wang et al. 2017, section 3.2: 60 and 180."""
    assert BoxRule() == BoxRule("two-threshold", (60.0, 180.0))
    expected = find_regions(DRAWN, [60.0, 180.0])
    assert boxes(DRAWN, BoxRule()) == expected.boxes.round(3).tolist()
    assert len(expected.boxes) == 4


def test_one_box_is_the_largest_region_above_the_finding_s_own_threshold() -> None:
    rule = BoxRule("one-box", of_finding={"Mass": 60.0, "Nodule": 180.0})
    # The surface falls below 60 a third of a cell behind the centre of 90, towards 0.
    assert boxes(DRAWN, rule) == [[0.0, 0.0, 1.833, 1.0]]
    # Above 180 the right region is the larger: 255 falls to 80 more slowly than 200 to 90.
    assert boxes(DRAWN, rule, "Nodule") == [[4.071, 0.0, 5.0, 1.0]]


def test_one_box_per_map_in_the_order_of_the_maps() -> None:
    rule = BoxRule("one-box", of_finding={"Mass": 180.0, "Nodule": 60.0})
    flat = np.full((1, 1, 5), 7.0)
    maps = np.concatenate([DRAWN, flat, DRAWN, DRAWN])
    regions = regions_by_rule(maps, ["Mass", "Mass", "Nodule", "Mass"], rule)
    assert regions.map_index.tolist() == [0, 2, 3]
    assert regions.threshold.tolist() == [180.0, 60.0, 180.0]


def test_one_box_without_a_threshold_says_where_it_comes_from() -> None:
    with pytest.raises(UsageError, match=r"Hernia has no threshold.*--tuning"):
        boxes(DRAWN, BoxRule("one-box", of_finding={"Mass": 60.0}), "Hernia")


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.01, [4, 0, 5, 1]),  # never less than one cell
        (0.2, [4, 0, 5, 1]),
        (0.4, [0, 0, 5, 1]),  # the two hottest cells lie at both ends
    ],
)
def test_the_hottest_share_gives_one_box_around_its_cells(
    share: float, expected: list[float]
) -> None:
    assert boxes(DRAWN, BoxRule("hottest-share", share=share)) == [expected]


def test_the_hottest_five_percent_of_a_grid_of_400_cells_are_20() -> None:
    maps = np.zeros((1, 20, 20))
    maps[0, 3:8, 10:14] = np.arange(20).reshape(5, 4) + 1.0
    (box,) = boxes(maps, BoxRule("hottest-share"))
    assert box == [10, 3, 14, 8]
    maps[0, 0, 0] = 1.5  # hotter than the coolest of the 20
    assert boxes(maps, BoxRule("hottest-share")) == [[0, 0, 14, 8]]


def test_a_flat_map_has_no_box_by_any_rule() -> None:
    for name in BOX_RULES:
        rule = BoxRule(name, of_finding={"Mass": 60.0})
        assert boxes(np.ones((2, 3, 3)), rule) == [], name
        assert boxes(np.empty((0, 3, 3)), rule) == [], name


def test_an_unknown_rule_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="two-threshold, one-box, hottest-share"):
        boxes(DRAWN, BoxRule("three-threshold"))


def test_detections_of_an_image_follow_the_rule() -> None:
    heatmaps = Heatmaps("a", ("Mass",), DRAWN, Affine(xx=10.0, yy=10.0), 10, 50)
    published = detections_from_heatmaps(heatmaps, [0.5], [60.0, 180.0])
    assert detections_by_rule(heatmaps, [0.5], BoxRule()) == published
    (one,) = detections_by_rule(heatmaps, [0.5], BoxRule("hottest-share", share=0.2))
    assert (one.box.x_min, one.box.x_max, one.score) == (40.0, 50.0, 0.5)


def test_every_rule_is_described_in_words() -> None:
    assert "5 %" in describe_rule(BoxRule("hottest-share"))
    assert "Mass 60" in describe_rule(BoxRule("one-box", of_finding={"Mass": 60.0}))
