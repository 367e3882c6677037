"""Controls: boxes that do not depend on the image, or not on its finding.

The score of a model means little without controls: a fixed box per finding already hits most
hearts. Every control gives boxes on the pairs on which the model is scored. When a box moves from
one image to another, its coordinates are taken as shares of the image's width and height, so that
the images may differ in size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.localization.overlap import iou
from cxrloc.evaluation.localization.scored_pairs import (
    PlacedBoxes,
    ScoredPairs,
    image_sizes,
    place_of,
)
from cxrloc.localization.box_rules import BoxRule, regions_by_rule
from cxrloc.localization.regions import Regions, to_border
from cxrloc.types import Heatmaps

_MAPS_AT_ONCE = 256  # keeps memory flat however many maps come
_BOXES_AT_ONCE = 256  # against all others of a finding

RegionFinder = Callable[[Float[np.ndarray, "map row col"], Int[np.ndarray, " map"]], Regions]
"""A function from maps, and the pair of each map, to the regions of the maps."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedMaps:
    """Maps with the same grid shape on scored pairs.

    A box on the grid becomes a box on the image by `box * scale + shift`.
    """

    scores: Float[np.ndarray, "map row col"]
    pair: Int[np.ndarray, " map"]
    scale: Float[np.ndarray, "map 4"]
    shift: Float[np.ndarray, "map 4"]
    limit: Float[np.ndarray, "map 4"]


def prior_mean(pairs: ScoredPairs) -> PlacedBoxes:
    """One box on every scored pair: the mean of the finding's boxes on *other* patients.

    Each coordinate of the corners is averaged. If no other patient has the finding, there is no
    box.
    """
    shares = pairs.truth / image_sizes(pairs, pairs.truth_pair)
    patient, finding = place_of(pairs, pairs.truth_pair)
    total = np.zeros((pairs.patients, len(pairs.findings), 4))
    count = np.zeros((pairs.patients, len(pairs.findings), 1))
    np.add.at(total, (patient, finding), shares)
    np.add.at(count, (patient, finding), 1.0)
    of_others = count.sum(axis=0) - count  # patient finding 1
    means = (total.sum(axis=0) - total) / np.maximum(of_others, 1.0)
    scored = np.flatnonzero(pairs.scored)
    patient, finding = place_of(pairs, scored)
    known = of_others[patient, finding, 0] > 0
    return _on_images(pairs, means[patient, finding][known], scored[known])


def prior_medoid(pairs: ScoredPairs) -> PlacedBoxes:
    """One box on every scored pair: the medoid of the finding's boxes on *other* patients.

    The medoid is the box whose IoU with all boxes of other patients has the largest sum. If no
    other patient has the finding, there is no box.
    """
    shares = pairs.truth / image_sizes(pairs, pairs.truth_pair)
    patient, finding = place_of(pairs, pairs.truth_pair)
    scored = np.flatnonzero(pairs.scored)
    scored_patient, scored_finding = place_of(pairs, scored)
    boxes, kept = np.zeros((scored.size, 4)), np.zeros(scored.size, dtype=bool)
    for index in range(len(pairs.findings)):
        candidates, owner = shares[finding == index], patient[finding == index]
        best = _medoid_of_others(candidates, owner, pairs.patients)
        alone = np.isin(np.arange(pairs.patients), owner) & (np.unique(owner).size == 1)
        here = scored_finding == index
        boxes[here] = candidates[best[scored_patient[here]]]
        kept[here] = ~alone[scored_patient[here]]
    return _on_images(pairs, boxes[kept], scored[kept])


def permuted(
    pairs: ScoredPairs, claims: PlacedBoxes, generator: np.random.Generator
) -> PlacedBoxes:
    """Every pair's boxes moved to the same finding on an image of another patient.

    The number, size and shape of the boxes stay the same; only the link between a box and its image
    is lost. Pairs with an annotated box change places among themselves, and so do pairs without
    one. The images are put in a random order that keeps each patient's images together. Every image
    then gets the boxes of the image that is a random number of places further on. This number is at
    least the number of images of any patient, so that donor and recipient are different patients.
    If one patient has more than half of the images, this is impossible: boxes that would come from
    the same patient are left out.
    """
    annotated = np.zeros(pairs.scored.size, dtype=bool)
    annotated[pairs.truth_pair] = True
    scored = np.flatnonzero(pairs.scored)
    donor_of, finding_of = np.full(pairs.scored.size, -1), scored % len(pairs.findings)
    for finding in range(len(pairs.findings)):
        for carries in (True, False):
            group = scored[(finding_of == finding) & (annotated[scored] == carries)]
            if group.size:
                patient, _ = place_of(pairs, group)
                recipient, donor = _derangement(patient, generator)
                donor_of[group[recipient]] = group[donor]
    recipient_of = np.full(pairs.scored.size, -1)
    placed = np.flatnonzero(donor_of >= 0)
    recipient_of[donor_of[placed]] = placed
    kept = recipient_of[claims.pair] >= 0
    shares = (claims.boxes / image_sizes(pairs, claims.pair))[kept]
    return _on_images(pairs, shares, recipient_of[claims.pair[kept]])


def random_maps(
    maps: Sequence[PlacedMaps], finder: RegionFinder, generator: np.random.Generator
) -> PlacedBoxes:
    """Boxes of white noise on each map's grid, smoothed by a Gaussian of 1 cell.

    The score depends on how smooth the noise is, so `permuted` is the fairer control.
    """
    smooth = [
        ndimage.gaussian_filter(generator.standard_normal(each.scores.shape), sigma=(0, 1, 1))
        for each in maps
    ]
    noise = [replace(each, scores=scores) for each, scores in zip(maps, smooth, strict=True)]
    return boxes_of_maps(noise, finder)


def oracle_maps(
    pairs: ScoredPairs, maps: Sequence[PlacedMaps], finder: RegionFinder
) -> PlacedBoxes:
    """Boxes of ideal maps: each cell's score is the share of the cell inside the expert's box.

    These boxes show what the grid resolution allows with the same box rule: a reference, not an
    upper bound. If a pair has several boxes, each cell takes the largest share.
    """
    covered = [replace(each, scores=_covered_shares(pairs, each)) for each in maps]
    return boxes_of_maps(covered, finder)


def place_heatmaps(pairs: ScoredPairs, heatmaps: Sequence[Heatmaps]) -> list[PlacedMaps]:
    """The maps of scored pairs, grouped by grid shape; maps of other pairs are left out.

    Raises:
        CxrlocError: a map is turned or mirrored against its image.
    """
    row = {image_id: index for index, image_id in enumerate(pairs.image_ids)}
    column = {finding: index for index, finding in enumerate(pairs.findings)}
    groups: dict[tuple[int, ...], list[PlacedMaps]] = {}
    for each in heatmaps:
        i = row.get(each.image_id)
        if i is None:
            continue
        columns = [column.get(finding, -1) for finding in each.findings]
        scored = [k for k, j in enumerate(columns) if j >= 0 and pairs.scored[i, j]]
        if not scored:
            continue
        to = each.to_image
        if to.xy or to.yx or to.xx <= 0 or to.yy <= 0:
            raise CxrlocError(f"image {each.image_id}: its heatmaps are turned or mirrored")
        placed = PlacedMaps(
            scores=each.scores[scored],
            pair=np.array([i * len(column) + columns[k] for k in scored]),
            scale=np.tile([to.xx, to.yy] * 2, (len(scored), 1)),
            shift=np.tile([to.x0, to.y0] * 2, (len(scored), 1)),
            limit=np.tile([each.image_columns, each.image_rows] * 2, (len(scored), 1)).astype(
                float
            ),
        )
        groups.setdefault(each.scores.shape[1:], []).append(placed)
    return [
        PlacedMaps(
            *(np.concatenate([getattr(p, f.name) for p in group]) for f in fields(PlacedMaps))
        )
        for group in groups.values()
    ]


def finder_of(pairs: ScoredPairs, rule: BoxRule) -> RegionFinder:
    """A function that finds the regions of maps by a box rule.

    The finding of a map is the finding of its pair.
    """

    def find(maps: Float[np.ndarray, "map row col"], pair: Int[np.ndarray, " map"]) -> Regions:
        findings = [pairs.findings[column] for column in (pair % len(pairs.findings)).tolist()]
        return regions_by_rule(maps, findings, rule)

    return find


def boxes_of_maps(maps: Sequence[PlacedMaps], finder: RegionFinder) -> PlacedBoxes:
    """Boxes of maps by a box rule, in pixels of their images and clipped to them."""
    boxes, pair = [np.empty((0, 4))], [np.empty(0, dtype=int)]
    starts = ((each, k) for each in maps for k in range(0, each.pair.size, _MAPS_AT_ONCE))
    for placed, start in starts:
        chunk = slice(start, start + _MAPS_AT_ONCE)
        regions = finder(placed.scores[chunk], placed.pair[chunk])
        index = regions.map_index + start
        boxes_on_grid = to_border(regions.boxes, *placed.scores.shape[1:])
        moved = boxes_on_grid * placed.scale[index] + placed.shift[index]
        moved = np.clip(moved, 0.0, placed.limit[index])
        inside = (moved[:, :2] < moved[:, 2:]).all(axis=1)  # not in the padding alone
        boxes.append(moved[inside])
        pair.append(placed.pair[index[inside]])
    return PlacedBoxes(np.concatenate(boxes), np.concatenate(pair))


def _covered_shares(pairs: ScoredPairs, maps: PlacedMaps) -> Float[np.ndarray, "map row col"]:
    """The share of each map's cell that the annotated box covering most of it covers."""
    map_of_pair = np.full(pairs.scored.size, -1)
    map_of_pair[maps.pair] = np.arange(maps.pair.size)
    index = map_of_pair[pairs.truth_pair]
    index, truth = index[index >= 0], pairs.truth[index >= 0]
    on_grid = (truth - maps.shift[index]) / maps.scale[index]
    _, rows, columns = maps.scores.shape
    across = _covered_lengths(on_grid[:, 0], on_grid[:, 2], columns)
    down = _covered_lengths(on_grid[:, 1], on_grid[:, 3], rows)
    shares = np.zeros(maps.scores.shape)
    np.maximum.at(shares, index, down[:, :, None] * across[:, None, :])
    return shares


def _covered_lengths(
    low: Float[np.ndarray, " box"], high: Float[np.ndarray, " box"], cells: int
) -> Float[np.ndarray, "box cell"]:
    start = np.arange(cells)
    end = np.minimum(high[:, None], start + 1)
    return np.maximum(end - np.maximum(low[:, None], start), 0.0)


def _medoid_of_others(
    boxes: Float[np.ndarray, "box 4"], owner: Int[np.ndarray, " box"], patients: int
) -> Int[np.ndarray, " patient"]:
    """For each patient, the medoid of the boxes of other patients.

    Boxes are compared in blocks, because the matrix of all pairs would fill the memory. A patient
    without any of these boxes gets the medoid of all boxes.
    """
    starts = range(0, len(boxes), _BOXES_AT_ONCE)
    blocks = [iou(boxes[k : k + _BOXES_AT_ONCE, None], boxes).sum(axis=1) for k in starts]
    total = np.concatenate(blocks)
    best = np.full(patients, total.argmax())
    for each in np.unique(owner):
        is_owner = owner == each
        with_others = total - iou(boxes[:, None], boxes[is_owner]).sum(axis=1)
        best[each] = np.where(is_owner, -1.0, with_others).argmax()
    return best


def _derangement(
    patient: Int[np.ndarray, " image"], generator: np.random.Generator
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " kept"]]:
    """Indices of recipients and of their donors, who are always different patients."""
    names, member = np.unique(patient, return_inverse=True)
    place_of_patient = generator.permutation(names.size)[member]
    order = np.lexsort((generator.random(patient.size), place_of_patient))
    most = np.bincount(member).max()
    # A patient's images are neighbours in `order`, so a circular shift by at least `most` and at
    # most size - `most` places always ends on another patient.
    furthest = max(most, patient.size - most)
    donor = np.roll(order, -generator.integers(most, furthest + 1))
    kept = patient[order] != patient[donor]
    return order[kept], donor[kept]


def _on_images(
    pairs: ScoredPairs, shares: Float[np.ndarray, "n 4"], pair: Int[np.ndarray, " n"]
) -> PlacedBoxes:
    return PlacedBoxes(boxes=shares * image_sizes(pairs, pair), pair=pair)
