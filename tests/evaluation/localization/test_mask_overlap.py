"""Areas of thresholded maps agree with the dense map of torch and the pixels of scikit-learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score

from cxrloc.evaluation.localization.controls import place_heatmaps
from cxrloc.evaluation.localization.mask_overlap import (
    LEVELS,
    area_iou,
    map_areas,
    pixel_average_precision,
)
from cxrloc.evaluation.localization.scored_pairs import scored_pairs
from cxrloc.types import Affine, Heatmaps
from tests.evaluation.localization.drawn_truth import drawn_record, whole_map

SAMPLES = 64


def dense(scores: np.ndarray) -> np.ndarray:
    scaled = (scores - scores.min()) / (scores.max() - scores.min()) * 255
    upsampled = F.interpolate(torch.tensor(scaled)[None, None], (SAMPLES, SAMPLES), mode="bilinear")
    return upsampled[0, 0].numpy()


def test_iou_is_that_of_the_dense_map_at_every_level() -> None:
    generator = np.random.default_rng(0)
    grids = generator.random((3, 7, 5))
    boxes = [[10, 20, 60, 50], [0, 0, 20, 100], [50, 50, 100, 75]]
    names = [str(i) for i in range(3)]
    pairs = scored_pairs([drawn_record(n, b, size=(100, 100)) for n, b in zip(names, boxes)])  # noqa: B905
    maps = place_heatmaps(pairs, [whole_map(n, g) for n, g in zip(names, grids, strict=True)])
    overlap = area_iou(map_areas(pairs, maps, samples=SAMPLES))
    for index, (grid, box) in enumerate(zip(grids, boxes, strict=True)):
        x_min, y_min, x_max, y_max = (np.array(box) * SAMPLES / 100).tolist()
        cells = np.arange(SAMPLES)
        across = np.clip(x_max - cells, 0, 1) - np.clip(x_min - cells, 0, 1)
        down = np.clip(y_max - cells, 0, 1) - np.clip(y_min - cells, 0, 1)
        truth = np.outer(down, across)
        for level in (0, 10, 50, 99):
            above = dense(grid) > LEVELS[level]
            common = truth[above].sum()
            expected = common / (above.sum() + truth.sum() - common)
            assert overlap[index, level] == pytest.approx(expected, abs=1e-6)


def test_pixel_average_precision_is_scikit_learn_s_on_the_ladder() -> None:
    generator = np.random.default_rng(1)
    grids = generator.random((2, 6, 6))
    # Boxes on whole samples, so that each is truth or is not.
    boxes = np.array([[8, 16, 40, 48], [0, 0, 16, 64]])
    names = ("a", "b")
    pairs = scored_pairs([drawn_record(n, b * 100 / 64) for n, b in zip(names, boxes, strict=True)])
    maps = place_heatmaps(pairs, [whole_map(n, g) for n, g in zip(names, grids, strict=True)])
    areas = map_areas(pairs, maps, samples=SAMPLES)
    value = pixel_average_precision(
        areas.above.sum(axis=0),
        areas.common.sum(axis=0),
        np.asarray(areas.truth.sum()),
        np.array(2.0),
    )
    truth = np.zeros((2, SAMPLES, SAMPLES), dtype=bool)
    for each, (x_min, y_min, x_max, y_max) in zip(truth, boxes, strict=True):
        each[y_min:y_max, x_min:x_max] = True
    steps = np.searchsorted(LEVELS, np.stack([dense(grid) for grid in grids]))
    expected = average_precision_score(truth.reshape(-1), steps.reshape(-1))
    assert float(value) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("labelled", "has_map", "expected"),
    [
        ("truth", True, 0.5),  # the map covers the image, the truth its half
        ("truth", False, 0.0),  # a false negative
        ("no truth", True, 0.0),  # a false positive
        ("no truth", False, np.nan),  # nothing there, nothing claimed: not counted
    ],
)
def test_false_positives_and_false_negatives_count_as_0(
    labelled: str, has_map: bool, expected: float
) -> None:
    records = [drawn_record("a", [0, 0, 100, 50]), drawn_record("b")]
    image = "a" if labelled == "truth" else "b"
    pairs = scored_pairs(records, "all")
    nearly_flat = np.ones((10, 10))
    nearly_flat[-1, -1] = 0.0
    maps = place_heatmaps(pairs, [whole_map(image, nearly_flat)] if has_map else [])
    areas = map_areas(pairs, maps, np.array([1.0]), samples=SAMPLES)
    value = area_iou(areas)[areas.pair == (0 if image == "a" else 1), 0]
    np.testing.assert_allclose(value, [expected], atol=0.01)


def test_a_map_reaches_as_far_as_its_grid() -> None:
    pairs = scored_pairs([drawn_record("a", [0, 0, 100, 100])])
    left = Heatmaps("a", ("Mass",), np.array([[[2.0], [1.0]]]), Affine(xx=50.0, yy=50.0), 100, 100)
    areas = map_areas(pairs, place_heatmaps(pairs, [left]), np.array([0.0]), samples=SAMPLES)
    # Above 0 is all but the lowest quarter, of the left half.
    assert areas.above[0, 0] == pytest.approx(0.5 * 0.75)


def test_a_flat_map_has_no_area() -> None:
    pairs = scored_pairs([drawn_record("a", [0, 0, 100, 100])])
    areas = map_areas(pairs, place_heatmaps(pairs, [whole_map("a", np.ones((4, 4)))]))
    assert not areas.above.any()
    assert area_iou(areas)[0, 0] == 0.0
