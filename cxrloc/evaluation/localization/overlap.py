"""Measures of the overlap of a detected and an annotated box: IoU, IoBB and others."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

Boxes = Float[np.ndarray, "*#box 4"]


def iou(detections: Boxes, annotations: Boxes) -> Float[np.ndarray, "..."]:
    """Intersection over union, of boxes x_min, y_min, x_max, y_max.

    Wang et al. 2017, section 4: IoU = |D ∩ A| / |D ∪ A|. The arrays broadcast as NumPy's do:
    `iou(detections[:, None], annotations)` is the matrix of all pairs.

    >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]]))
    array([0.33333333])
    """
    common = intersection(detections, annotations)
    return np.asarray(common / (area(detections) + area(annotations) - common))


def iobb(detections: Boxes, annotations: Boxes) -> Float[np.ndarray, "..."]:
    """Intersection over the area of the detected box; arrays broadcast as in `iou`.

    Wang et al. 2017, section 4: IoBB = |D ∩ A| / |D|, "similar to area of precision or purity".
    A small box inside the annotation has IoBB 1.

    >>> iobb(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 9.0, 9.0]]))
    array([0.5])
    """
    return np.asarray(intersection(detections, annotations) / area(detections))


def intersection_over_annotated(detections: Boxes, annotations: Boxes) -> Float[np.ndarray, "..."]:
    """Intersection over the area of the annotated box: how much of the truth is covered.

    A detection that covers the whole image has 1 with every annotation.

    >>> intersection_over_annotated(
    ...     np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 9.0, 2.0]])
    ... )
    array([0.125])
    """
    return np.asarray(intersection(detections, annotations) / area(annotations))


def intersection_over_smaller(detections: Boxes, annotations: Boxes) -> Float[np.ndarray, "..."]:
    """Intersection over the area of the smaller box: 1 if one box contains the other.

    >>> intersection_over_smaller(
    ...     np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 9.0, 2.0]])
    ... )
    array([0.5])
    """
    smaller = np.minimum(area(detections), area(annotations))
    return np.asarray(intersection(detections, annotations) / smaller)


OVERLAPS: dict[str, Callable[..., Float[np.ndarray, "..."]]] = {
    "iobb": iobb,
    "iou": iou,
    "intersection_over_annotated": intersection_over_annotated,
    "intersection_over_smaller": intersection_over_smaller,
}
"""Overlap of a detected and an annotated box, by criterion; tables print the first two."""


def equal_keys(
    left: Int[np.ndarray, " n"], right: Int[np.ndarray, " m"]
) -> tuple[Int[np.ndarray, " match"], Int[np.ndarray, " match"]]:
    """Indices of all combinations of a left and a right entry that have equal keys.

    >>> equal_keys(np.array([5, 8, 5]), np.array([8, 5, 5]))
    (array([0, 0, 1, 2, 2]), array([1, 2, 0, 1, 2]))
    """
    order = np.argsort(right, kind="stable")
    first = np.searchsorted(right, left, side="left", sorter=order)
    matches = np.searchsorted(right, left, side="right", sorter=order) - first
    in_left = np.repeat(np.arange(left.size), matches)
    within = np.arange(in_left.size) - np.repeat(np.cumsum(matches) - matches, matches)
    return in_left, order[np.repeat(first, matches) + within]


def area(boxes: Boxes) -> Float[np.ndarray, "..."]:
    """Area of each box."""
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))


def intersection(one: Boxes, other: Boxes) -> Float[np.ndarray, "..."]:
    """Area that two boxes have in common; arrays broadcast as in `iou`."""
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    sides = np.maximum(high - low, 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1])
