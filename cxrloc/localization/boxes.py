"""Heatmaps to claims: boxes in pixels of the original image, with threshold and score."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from cxrloc.images.geometry import transform_boxes
from cxrloc.localization.regions import find_regions, to_border
from cxrloc.types import Box, Detection, Heatmap

_MAPS_AT_ONCE = 256  # keeps memory flat however many heatmaps come


def detections_from_heatmaps(
    heatmaps: Sequence[Heatmap], probabilities: Sequence[float], thresholds: Sequence[float]
) -> list[Detection]:
    """One detection per isolated region above each threshold, pooled over thresholds.

    Boxes are those of `find_regions`, mapped to the original image (the box around the mapped box
    where the map rotates) and cut at its border; a box wholly outside, as padding of a letterbox
    may give, is no detection. A degenerate heatmap gives none.

    score = probability x the region's peak as a share of the heatmap's range. So the scores of an
    image rank findings first by what the network believes and regions of one finding by height;
    a finding's highest region scores its probability. Wang et al. 2017 give their boxes no score.

    Args:
        heatmaps: of any findings, images and shapes.
        probabilities: of each heatmap's finding on its image, in [0, 1].
        thresholds: on the scale from 0 to 255.

    Returns:
        Detections in the order of the heatmaps, then of the thresholds, then in raster order.

    Raises:
        CxrlocError: a threshold is outside [0, 255).
        ValueError: the numbers of heatmaps and probabilities differ.

    >>> from cxrloc.types import Affine
    >>> to_image = Affine(xx=100.0, yy=100.0)
    >>> scores = np.array([[9.0, 1.0, 5.0]])
    >>> heatmap = Heatmap("00000032_037", "Mass", scores, to_image, rows=100, columns=300)
    >>> for detection in detections_from_heatmaps([heatmap], [0.5], thresholds=[63.75]):
    ...     print(detection.box, detection.score)
    Box(x_min=0.0, y_min=0.0, x_max=125.0, y_max=100.0) 0.5
    Box(x_min=200.0, y_min=0.0, x_max=300.0, y_max=100.0) 0.25
    """
    if len(heatmaps) != len(probabilities):
        raise ValueError(f"{len(heatmaps)} heatmaps, but {len(probabilities)} probabilities")
    by_heatmap: dict[int, list[Detection]] = {}
    for positions in _equal_shapes(heatmaps):
        regions = find_regions(np.stack([heatmaps[k].scores for k in positions]), thresholds)
        ends = np.searchsorted(regions.map_index, np.arange(len(positions) + 1))
        for position, start, stop in zip(positions, ends[:-1], ends[1:], strict=True):
            heatmap = heatmaps[position]
            boxes = _boxes_in_image(heatmap, regions.boxes[start:stop])
            scores = probabilities[position] * regions.peak[start:stop]
            rows = zip(boxes.tolist(), regions.threshold[start:stop], scores, strict=True)
            by_heatmap[position] = [
                Detection(
                    heatmap.image_id, heatmap.finding, Box(*box), float(threshold), float(score)
                )
                for box, threshold, score in rows
                if box[0] < box[2] and box[1] < box[3]
            ]
    return [detection for k in range(len(heatmaps)) for detection in by_heatmap[k]]


def _equal_shapes(heatmaps: Sequence[Heatmap]) -> Iterator[list[int]]:
    """Positions of heatmaps of one shape, a limited number at a time."""
    by_shape = defaultdict(list)
    for position, heatmap in enumerate(heatmaps):
        by_shape[heatmap.scores.shape].append(position)
    for positions in by_shape.values():
        for start in range(0, len(positions), _MAPS_AT_ONCE):
            yield positions[start : start + _MAPS_AT_ONCE]


def _boxes_in_image(heatmap: Heatmap, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    border = [heatmap.columns, heatmap.rows] * 2
    boxes = to_border(boxes, *heatmap.scores.shape)
    return np.clip(transform_boxes(heatmap.to_image, boxes), 0, border)
