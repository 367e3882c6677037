"""MaxBoxAcc agrees with a plain loop over levels, and with a drawn example."""

import numpy as np
import torch
from torchvision.ops import box_iou

from cxrloc.evaluation.localization.box_selection import selected_iou
from cxrloc.evaluation.localization.controls import place_heatmaps
from cxrloc.evaluation.localization.scored_pairs import scored_pairs
from cxrloc.localization.boxes import detections_from_heatmaps
from tests.evaluation.localization.drawn_truth import drawn_record, whole_map


def test_the_drawn_example() -> None:
    scores = np.zeros((4, 5))
    scores[:2, :2] = scores[2:, 3] = 1.0
    # At half height a region ends half-way between centres, on the borders of its cells.
    pairs = scored_pairs([drawn_record("a", [60, 50, 100, 100])])
    selected = selected_iou(
        pairs, place_heatmaps(pairs, [whole_map("a", scores)]), np.array([127.5])
    )
    assert selected.largest.tolist() == [[0.0]]
    np.testing.assert_allclose(selected.best, [[0.5]])


def test_selection_is_that_of_a_loop_over_levels() -> None:
    generator = np.random.default_rng(0)
    names = [str(i) for i in range(40)]
    corners = generator.uniform(0, 60, (40, 2))
    records = [
        drawn_record(name, [x, y, x + 30, y + 40], [60, 60, 90, 90])
        for name, (x, y) in zip(names, corners, strict=True)
    ]
    heatmaps = [whole_map(name, generator.random((6, 6))) for name in names]
    pairs = scored_pairs(records)
    levels = np.array([0.0, 60.0, 120.0, 180.0, 240.0])
    selected = selected_iou(pairs, place_heatmaps(pairs, heatmaps), levels)
    for column, level in enumerate(levels):
        detections = [
            d for each in heatmaps for d in detections_from_heatmaps(each, [1.0], [level])
        ]
        for index, name in enumerate(names):
            own = [d.box for d in detections if d.image_id == name]
            boxes = torch.tensor([[b.x_min, b.y_min, b.x_max, b.y_max] for b in own])
            overlap = box_iou(boxes.double(), torch.tensor(pairs.truth[pairs.truth_pair == index]))
            area = [(b.x_max - b.x_min) * (b.y_max - b.y_min) for b in own]
            best, largest = selected.best[index, column], selected.largest[index, column]
            np.testing.assert_allclose(best, overlap.max(), atol=1e-6)
            np.testing.assert_allclose(largest, overlap[int(np.argmax(area))].max(), atol=1e-6)
