"""The IoU of a map's boxes with the truth at every threshold, for MaxBoxAcc and MaxBoxAccV2.

Regions above the threshold (o), their boxes A and B, and the truth T:

    A A . . .
    A A . . .     IoU(A, T) = 0, IoU(B, T) = 2 / (2 + 4 - 2) = 1/2
    . . . B T     A has the largest area, so V1 scores this map 0 at every delta;
    . . . B T     V2 scores it 1 at delta 0.3 and 0.5, and 0 at 0.7.

(T covers B's two cells and the two beside them.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from cxrloc.evaluation.localization.controls import PlacedMaps
from cxrloc.evaluation.localization.mask_overlap import LEVELS
from cxrloc.evaluation.localization.overlap import equal_keys, iou
from cxrloc.evaluation.localization.scored_pairs import ScoredPairs, place_of
from cxrloc.localization.regions import find_regions, to_border

DELTAS = (0.3, 0.5, 0.7)
"""Choe et al. 2020 (journal version 2022): the IoU thresholds of MaxBoxAccV2."""

_MAPS_AT_ONCE = 16  # times a hundred levels


@dataclass(frozen=True, slots=True, eq=False)
class SelectedIou:
    """IoU of a map's boxes with the truth of its pair, by level; 0 where there is no box.

    Attributes:
        pair: the pairs with truth, ascending.
        largest: IoU of the box with the largest area with the annotation that it overlaps most.
        best: highest IoU between any box and any annotation.
    """

    pair: Int[np.ndarray, " pair"]
    largest: Float[np.ndarray, "pair level"]
    best: Float[np.ndarray, "pair level"]


def selected_iou(
    pairs: ScoredPairs, maps: Sequence[PlacedMaps], levels: Float[np.ndarray, " level"] = LEVELS
) -> SelectedIou:
    """IoU of the boxes of every map with its truth, at every level.

    BoxAcc(level, delta) is the share of pairs whose IoU at this level is at least delta.

    Choe et al. 2020, section 3.2: MaxBoxAcc(delta) is the largest BoxAcc over the levels, and
    MaxBoxAccV2 the mean over `DELTAS` of the largest BoxAcc when any box may match. The authors
    take the largest BoxAcc over the levels *on the scored images*, a choice that only an oracle can
    make because it needs their truth. Here, the level is chosen on other patients unless the
    oracle's choice is asked for.

    `Departs:` boxes are those of the box rule (`find_regions`), and "largest" is by the area of
    the box, where the authors' program measures contours.
    """
    pair = np.unique(pairs.truth_pair)
    largest, best = np.zeros((2, pair.size, levels.size))
    for each in maps:
        for start in range(0, each.pair.size, _MAPS_AT_ONCE):
            chunk = slice(start, start + _MAPS_AT_ONCE)
            regions = find_regions(each.scores[chunk], levels.tolist())
            index = regions.map_index + start
            boxes_on_grid = to_border(regions.boxes, *each.scores.shape[1:])
            boxes = boxes_on_grid * each.scale[index] + each.shift[index]
            boxes = np.clip(boxes, 0.0, each.limit[index])
            sides = boxes[:, 2:] - boxes[:, :2]
            is_visible = (sides > 0).all(axis=1)  # not in the padding alone
            level = np.searchsorted(levels, regions.threshold)
            area = sides.prod(axis=1)
            # After sorting, the largest box of each pair and level comes last; of equal boxes, the
            # first.
            order = np.lexsort((-np.arange(area.size), area, level, index))
            order = order[is_visible[order]]
            key = index[order] * levels.size + level[order]
            is_largest = np.diff(key, append=-1) != 0
            claim, truth = equal_keys(each.pair[index[order]], pairs.truth_pair)
            overlap = iou(boxes[order][claim], pairs.truth[truth])
            row = np.searchsorted(pair, pairs.truth_pair[truth])
            column = level[order][claim]
            np.maximum.at(best, (row, column), overlap)
            alone = is_largest[claim]
            np.maximum.at(largest, (row[alone], column[alone]), overlap[alone])
    return SelectedIou(pair, largest, best)


def best_finding_levels(
    pairs: ScoredPairs,
    maps: Sequence[PlacedMaps],
    patients: Bool[np.ndarray, " patient"],
    findings: Sequence[str] = (),
    levels: Float[np.ndarray, " level"] = LEVELS,
) -> dict[str, float]:
    """For each finding, the grey level at which the largest box has the highest mean IoU.

    The levels serve the box rule "one-box" and are chosen on some of the patients. A finding that
    these patients lack takes the level that is best over all their pairs. Of equally good levels,
    the lowest is taken.

    Args:
        pairs: images, findings and truth.
        maps: the maps.
        patients: those on whom the levels are chosen.
        findings: further findings that need a level, beside those of the pairs.
        levels: the levels, ascending.
    """
    selected = selected_iou(pairs, maps, levels)
    patient, finding = place_of(pairs, selected.pair)
    is_chosen = patients[patient]
    common = float(levels[selected.largest[is_chosen].mean(axis=0).argmax()])
    best = dict.fromkeys((*pairs.findings, *findings), common)
    for column, name in enumerate(pairs.findings):
        rows = selected.largest[is_chosen & (finding == column)]
        if len(rows):
            best[name] = float(levels[rows.mean(axis=0).argmax()])
    return best
