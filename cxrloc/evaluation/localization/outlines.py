"""Overlap of detected boxes with outlines, for findings that experts drew as more than a box.

A box around an L-shaped finding is mostly empty, and a detection in its empty corner hits the box
but not the finding. The overlaps of Wang et al. 2017, section 4, are taken here with the area of
the outline A in place of its box, D being the detected box:

    IoU = |D ∩ A| / |D ∪ A|        IoBB = |D ∩ A| / |D|
"""

from collections.abc import Sequence

import numpy as np
import shapely
from jaxtyping import Float, Int
from shapely.geometry.base import BaseGeometry

from cxrloc.datasets.shapes import mask_pixels
from cxrloc.evaluation.localization.hits import MatchRule, exceeds, matches
from cxrloc.evaluation.localization.measure import Kind, Metric, ratio
from cxrloc.evaluation.localization.overlap import area, intersection
from cxrloc.evaluation.localization.scored_pairs import PlacedBoxes, ScoredPairs, sums_by_patient
from cxrloc.types import Mask, Outline


def outline_metrics(
    pairs: ScoredPairs, claims: PlacedBoxes, rules: Sequence[MatchRule]
) -> list[Metric]:
    """`outline_accuracy` by each IoU and IoBB rule: annotated outlines hit / annotated outlines.

    The result is empty if every truth is a box; then this metric would equal `accuracy`.
    """
    outline_rules = [rule for rule in rules if rule.criterion in ("iou", "iobb")]
    if not outline_rules or not any(shape is not None for shape in pairs.shapes):
        return []
    hit = np.zeros((len(outline_rules), pairs.truth_pair.size), dtype=bool)
    for claim, truth in matches(pairs, claims):
        overlaps = outline_overlaps(pairs, claims.boxes[claim], truth)
        for row, rule in enumerate(outline_rules):
            hit[row, truth[exceeds(overlaps[rule.criterion], rule.threshold)]] = True
    annotated = sums_by_patient(pairs, pairs.truth_pair)
    metrics = []
    for rule, rule_hits in zip(outline_rules, hit, strict=True):
        kind = Kind(
            "outline_accuracy", rule.threshold, f"outline {rule.criterion} > {rule.threshold:g}"
        )
        hits = sums_by_patient(pairs, pairs.truth_pair[rule_hits])
        values = ratio(hits, annotated)
        metrics.append(Metric((kind,), values, annotated, "annotated outlines", pairs.findings))
    return metrics


def outline_overlaps(
    pairs: ScoredPairs, boxes: Float[np.ndarray, "n 4"], truth: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, " n"]]:
    """IoU and IoBB of each box with the outline of the annotation beside it.

    Areas of polygons are exact (shapely), even if a polygon crosses itself. Areas of masks are
    exact too; the pixels of a mask are spread evenly over the image. A truth without a shape is its
    box.
    """
    common, annotated = np.zeros((2, truth.size))
    for index in np.unique(truth).tolist():
        is_of_truth = truth == index
        shape = pairs.shapes[index]
        if isinstance(shape, Mask):
            size = pairs.size[pairs.truth_pair[index] // len(pairs.findings)]
            parts = mask_rectangles(shape, size)
            annotated[is_of_truth] = area(parts).sum()
            common[is_of_truth] = intersection(boxes[is_of_truth][:, None], parts).sum(axis=1)
        else:
            outline = geometry_of(pairs, index)
            annotated[is_of_truth] = outline.area
            common[is_of_truth] = shapely.area(
                shapely.intersection(shapely.box(*boxes[is_of_truth].T), outline)
            )
    detected = area(boxes)
    return {"iou": common / (detected + annotated - common), "iobb": common / detected}


def geometry_of(pairs: ScoredPairs, truth: int) -> BaseGeometry:
    """The union of an annotation's polygons, or its box; for a mask, the box around the mask."""
    shape = pairs.shapes[truth]
    if isinstance(shape, Outline):
        rings = [shapely.make_valid(shapely.Polygon(ring)) for ring in shape.polygons]
        return shapely.union_all(rings)
    return shapely.box(*pairs.truth[truth].tolist())


def mask_rectangles(mask: Mask, size: Float[np.ndarray, "2"]) -> Float[np.ndarray, "rectangle 4"]:
    """The mask as rectangles one mask pixel wide, on an image of these columns and rows.

    >>> mask_rectangles(Mask(rows=2, columns=2, runs=(1, 2)), np.array([4.0, 2.0]))
    array([[0., 1., 2., 2.],
           [2., 0., 4., 1.]])
    """
    inside = np.pad(mask_pixels(mask).astype(np.int8), ((1, 1), (0, 0)))
    change = np.diff(inside, axis=0).T  # by column: 1 where a run begins, -1 where it ends
    column, top = np.nonzero(change > 0)
    _, bottom = np.nonzero(change < 0)
    corners = np.stack([column, top, column + 1, bottom], axis=1).astype(float)
    return corners * np.tile(size / np.array([mask.columns, mask.rows]), 2)
