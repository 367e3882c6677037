"""IoU and IoBB agree with torchvision, pycocotools and shapely."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask
from torchvision.ops import box_iou

from cxrloc.evaluation.localization.overlap import equal_keys, iobb, iou


def random_boxes(n: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    corner, extent = generator.uniform(0, 800, (n, 2)), generator.uniform(1, 400, (n, 2))
    return np.hstack([corner, corner + extent])


def x_y_width_height(boxes: np.ndarray) -> np.ndarray:
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


DETECTED, ANNOTATED = random_boxes(200, seed=0), random_boxes(150, seed=1)


def test_iou_is_that_of_torchvision() -> None:
    expected = box_iou(torch.from_numpy(DETECTED), torch.from_numpy(ANNOTATED)).numpy()
    np.testing.assert_allclose(iou(DETECTED[:, None], ANNOTATED), expected, atol=1e-12)


@pytest.mark.parametrize(("function", "crowd"), [(iou, 0), (iobb, 1)])
def test_iou_and_iobb_are_those_of_pycocotools(function, crowd: int) -> None:
    expected = mask.iou(
        x_y_width_height(DETECTED), x_y_width_height(ANNOTATED), [crowd] * len(ANNOTATED)
    )
    np.testing.assert_allclose(function(DETECTED[:, None], ANNOTATED), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("detection", "expected_iou", "expected_iobb"),
    [
        ([0, 0, 4, 4], 1.0, 1.0),  # the annotation itself
        ([0, 0, 2, 2], 0.25, 1.0),  # inside it
        ([0, 0, 8, 8], 0.25, 0.25),  # around it
        ([2, 0, 6, 4], 1 / 3, 0.5),  # half over its edge
        ([4, 0, 8, 4], 0.0, 0.0),  # beside it: half-open boxes share no pixel
        ([9, 9, 10, 10], 0.0, 0.0),
    ],
)
def test_overlaps_that_a_hand_can_check(
    detection: list[int], expected_iou: float, expected_iobb: float
) -> None:
    drawn, annotated = np.array(detection, dtype=float), np.array([0.0, 0.0, 4.0, 4.0])
    assert iou(drawn, annotated) == pytest.approx(expected_iou)
    assert iobb(drawn, annotated) == pytest.approx(expected_iobb)


@given(st.integers(0, 1000), st.floats(0.5, 100), st.floats(0.5, 100))
def test_bounds_symmetry_and_scale(seed: int, scale_x: float, scale_y: float) -> None:
    one, other = random_boxes(20, seed), random_boxes(20, seed + 1)
    scale = np.array([scale_x, scale_y, scale_x, scale_y])
    np.testing.assert_allclose(iou(one, other), iou(other, one))
    np.testing.assert_allclose(iou(one * scale, other * scale), iou(one, other), atol=1e-9)
    assert np.all(iou(one, other) <= iobb(one, other) + 1e-12)
    assert np.all((iobb(one, other) >= 0) & (iobb(one, other) <= 1 + 1e-12))


@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_equal_keys_finds_every_combination_once(left: list[int], right: list[int]) -> None:
    found = zip(*equal_keys(np.array(left, dtype=int), np.array(right, dtype=int)), strict=True)
    every = [(i, j) for i, a in enumerate(left) for j, b in enumerate(right) if a == b]
    assert sorted((int(i), int(j)) for i, j in found) == every
