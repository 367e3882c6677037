"""Computes boxes in pixels of the original image, with threshold and score, from heatmaps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from cxrloc.images.geometry import transform_boxes
from cxrloc.localization.box_rules import BoxRule, regions_by_rule
from cxrloc.localization.regions import to_border
from cxrloc.types import Box, Detection, Heatmaps, Radiograph, shown

if TYPE_CHECKING:
    import pandas as pd
    import PIL.Image


class Detections(list[Detection]):
    """A list of boxes that shows itself as a table."""

    def __repr__(self) -> str:
        findings = dict.fromkeys(each.finding for each in self)
        return f"Detections({len(self)} boxes: {', '.join(findings) or 'none'})"

    def table(self) -> "pd.DataFrame":
        """One row per box, in the columns of `detections.csv`."""
        return shown("detections_frame", self)

    def to_latex(self) -> str:
        """The table for a paper."""
        return shown("latex", self.table(), "Detected boxes, in pixels.")

    def plot(self, radiograph: Radiograph) -> "PIL.Image.Image":
        """The boxes on the radiograph."""
        return radiograph.plot(self)

    def _repr_html_(self) -> str:
        return shown("html", self.table())


SCORE = (
    "The score of a box is the raw probability (before any calibration) times the height of its "
    "peak in the map, where 1 is the map's highest cell."
)
"""The scale of a box's score, in words for readers of tables and pages."""


def detections_from_heatmaps(
    heatmaps: Heatmaps,
    probabilities: Sequence[float] | Float[np.ndarray, " finding"],
    thresholds: Sequence[float],
) -> Detections:
    """One detection for each isolated region above each threshold, in one list.

    Boxes are those of `find_regions`, mapped to the original image and clipped at its border. If
    the mapping rotates, the result is the smallest upright box around the rotated box. A box
    completely outside the image, for example in the padding of a letterbox, gives no detection. A
    degenerate map gives no detections.

    score = probability x the region's peak as a share of the map's range. So the highest region of
    a finding has the probability of the finding as its score, and the other regions of the finding
    are ranked by their peaks. Wang et al. 2017 give their boxes no score.

    Args:
        heatmaps: heatmaps of one image.
        probabilities: probability of each finding of the heatmaps, in [0, 1].
        thresholds: thresholds on the scale from 0 to 255.

    Returns:
        Detections in the order of the findings, then of the thresholds, then in raster order.

    Raises:
        UsageError: a threshold is outside [0, 255).
        ValueError: the numbers of maps and probabilities differ.

    >>> from cxrloc.types import Affine
    >>> scores = np.array([[[9.0, 1.0, 5.0]]])
    >>> to_image = Affine(xx=100.0, yy=100.0)
    >>> heatmaps = Heatmaps("00000032_037", ("Mass",), scores, to_image, 100, 300)
    >>> for detection in detections_from_heatmaps(heatmaps, [0.5], thresholds=[63.75]):
    ...     print(detection.box, detection.score)
    Box(x_min=0.0, y_min=0.0, x_max=125.0, y_max=100.0) 0.5
    Box(x_min=200.0, y_min=0.0, x_max=300.0, y_max=100.0) 0.25
    """
    return detections_by_rule(heatmaps, probabilities, BoxRule(thresholds=tuple(thresholds)))


def detections_by_rule(
    heatmaps: Heatmaps,
    probabilities: Sequence[float] | Float[np.ndarray, " finding"],
    rule: BoxRule,
) -> Detections:
    """The detections of one image by any rule of `BOX_RULES`.

    Scores are defined as in `detections_from_heatmaps`.

    Raises:
        UsageError: there is no such rule, or it lacks a threshold.
        ValueError: the numbers of maps and probabilities differ.
    """
    if len(heatmaps.findings) != len(probabilities):
        raise ValueError(f"{len(heatmaps.findings)} maps, but {len(probabilities)} probabilities")
    regions = regions_by_rule(heatmaps.scores, heatmaps.findings, rule)
    boxes = _boxes_in_image(heatmaps, regions.boxes)
    scores = np.asarray(probabilities, dtype=np.float64)[regions.map_index] * regions.peak
    rows = zip(
        regions.map_index.tolist(),
        boxes.tolist(),
        regions.threshold.tolist(),
        scores.tolist(),
        strict=True,
    )
    return Detections(
        Detection(heatmaps.image_id, heatmaps.findings[index], Box(*box), threshold, score)
        for index, box, threshold, score in rows
        if box[0] < box[2] and box[1] < box[3]
    )


def _boxes_in_image(
    heatmaps: Heatmaps, boxes: Float[np.ndarray, "n 4"]
) -> Float[np.ndarray, "n 4"]:
    border = [heatmaps.image_columns, heatmaps.image_rows] * 2
    boxes = to_border(boxes, *heatmaps.scores.shape[1:])
    return np.clip(transform_boxes(heatmaps.to_image, boxes), 0, border)
