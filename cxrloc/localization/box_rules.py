"""Rules that turn a heatmap into boxes.

A map of five cells, scaled to the range from 0 to 255, and the boxes that each rule gives:

    200  90   0  80 255       two-threshold (60 and 180): above 60 the cells 0-1 and 3-4, above 180
                              the cells 0 and 4: four boxes
                              one-box at 60: the larger of the two regions above 60: one box
                              hottest-share of 2/5: the box around the two hottest cells, 0 and 4:
                              one box around everything
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from cxrloc.errors import UsageError
from cxrloc.localization.regions import FULL_SCALE, Regions, find_regions, scale_maps

Maps = Float[np.ndarray, "map row col"]


@dataclass(frozen=True, slots=True)
class BoxRule:
    """The rule that turns a map into boxes, with its parameters.

    Attributes:
        name: a name of `BOX_RULES`.
        thresholds: grey levels (0 to 255) of "two-threshold".
        of_finding: grey level (0 to 255) of each finding for "one-box".
        share: share of the cells, for "hottest-share".
    """

    name: str = "two-threshold"
    thresholds: tuple[float, ...] = (60.0, 180.0)
    of_finding: Mapping[str, float] = field(default_factory=dict)
    share: float = 0.05


def two_threshold(maps: Maps, findings: Sequence[str], rule: BoxRule) -> Regions:
    """Boxes of all regions above each threshold (Wang et al. 2017, section 3.2)."""
    return find_regions(maps, rule.thresholds)


def one_box(maps: Maps, findings: Sequence[str], rule: BoxRule) -> Regions:
    """One box per map: the largest box above the threshold of the map's finding.

    If several boxes have the largest area, the first is taken. Competing methods to Wang et al.
    give one box per map, with a threshold that was tuned on images with boxes.
    """
    levels = np.array([rule.of_finding[name] for name in findings])
    parts = []
    for level in np.unique(levels):
        at_level = np.flatnonzero(levels == level)
        regions = find_regions(maps[at_level], [float(level)])
        parts.append(_chosen(regions, _largest(regions), at_level[regions.map_index]))
    return _joined(parts)


def hottest_share(maps: Maps, findings: Sequence[str], rule: BoxRule) -> Regions:
    """One box per map: the box around the cells with the highest scores, at least one cell.

    Cells that tie with the lowest of these cells are included. The threshold of a region is the
    grey level of this lowest cell.
    """
    scaled, kept = scale_maps(maps)
    size = maps.shape[1] * maps.shape[2]
    cells = scaled.reshape(len(scaled), size)
    count = max(1, round(rule.share * size))
    level = np.sort(cells, axis=1)[:, -count]
    hot = scaled >= level[:, None, None]
    x_min, x_max = _ends(np.asarray(hot.any(axis=1)))
    y_min, y_max = _ends(np.asarray(hot.any(axis=2)))
    boxes = np.stack([x_min, y_min, x_max, y_max], axis=1).astype(float)
    return Regions(kept, level, boxes, cells.max(axis=1, initial=0.0) / FULL_SCALE)


BOX_RULES: dict[str, Callable[[Maps, Sequence[str], BoxRule], Regions]] = {
    "two-threshold": two_threshold,
    "one-box": one_box,
    "hottest-share": hottest_share,
}
"""Box rules by name. To add a rule, write a function and add a line here."""


def check_box_rule(rule: BoxRule, findings: Sequence[str]) -> None:
    """Raise an error for a rule that cannot give boxes of these findings.

    Raises:
        UsageError: there is no such rule, or it lacks a threshold.
    """
    if rule.name not in BOX_RULES:
        raise UsageError(f"box rule {rule.name!r}: choose from {', '.join(BOX_RULES)}")
    if rule.name == "one-box" and (missing := sorted(set(findings) - rule.of_finding.keys())):
        raise UsageError(
            f"box rule one-box: {', '.join(missing)} has no threshold; the model's card has none, "
            "so choose it on other patients (bench: --tuning above 0)"
        )


def regions_by_rule(maps: Maps, findings: Sequence[str], rule: BoxRule) -> Regions:
    """The regions that a rule finds in maps; each map belongs to one finding.

    Raises:
        UsageError: there is no such rule, or it lacks a threshold.
    """
    check_box_rule(rule, findings)
    return BOX_RULES[rule.name](maps, findings, rule)


def describe_rule(rule: BoxRule) -> str:
    """The rule in words, for notes under tables.

    >>> describe_rule(BoxRule())
    'two-threshold (60, 180 of 255)'
    """
    if rule.name == "one-box":
        levels = (f"{name} {level:.3g}" for name, level in rule.of_finding.items())
        return f"one-box (largest region above {', '.join(levels)} of 255)"
    if rule.name == "hottest-share":
        return f"hottest-share (one box around the hottest {100 * rule.share:g} % of the cells)"
    return f"{rule.name} ({', '.join(f'{level:g}' for level in rule.thresholds)} of 255)"


def _largest(regions: Regions) -> np.ndarray:
    """The index of the region with the largest box in each map; the first one if areas tie."""
    area = np.prod(regions.boxes[:, 2:] - regions.boxes[:, :2], axis=1)
    order = np.lexsort((np.arange(area.size), -area, regions.map_index))
    first = np.diff(regions.map_index[order], prepend=-1) != 0
    return np.asarray(order[first])


def _chosen(regions: Regions, index: np.ndarray, map_index: np.ndarray) -> Regions:
    return Regions(
        map_index[index], regions.threshold[index], regions.boxes[index], regions.peak[index]
    )


def _joined(parts: Sequence[Regions]) -> Regions:
    """The regions of all parts, sorted by their map."""
    if not parts:
        return Regions(np.empty(0, int), np.empty(0), np.empty((0, 4)), np.empty(0))
    map_index = np.concatenate([each.map_index for each in parts])
    order = np.argsort(map_index, kind="stable")
    return Regions(
        map_index[order],
        np.concatenate([each.threshold for each in parts])[order],
        np.concatenate([each.boxes for each in parts])[order],
        np.concatenate([each.peak for each in parts])[order],
    )


def _ends(hot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first hot column (or row) of each map, and the last one plus 1 (half-open)."""
    return hot.argmax(axis=1), hot.shape[1] - hot[:, ::-1].argmax(axis=1)
