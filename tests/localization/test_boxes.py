"""Detections: regions in pixels of the original image, inside it, with threshold and score."""

import numpy as np
import pytest

from cxrloc.images.geometry import compose, inverse, letterbox_affine
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.types import Affine, Box, Detection, Heatmap

# At threshold 127.5 one cell of 255 among zeros is a box of one cell.
BLOB = np.array([[0.0, 0.0, 0.0], [0.0, 255.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def heatmap(scores: np.ndarray, to_image: Affine, rows: int, columns: int, name: str = "a"):
    return Heatmap(name, "Mass", scores, to_image, rows, columns)


def boxes(scores: np.ndarray, to_image: Affine, rows: int, columns: int) -> list[Box]:
    one = heatmap(scores, to_image, rows, columns)
    return [found.box for found in detections_from_heatmaps([one], [1.0], [127.5])]


def test_detection_carries_image_finding_threshold_and_score():
    one = heatmap(BLOB, Affine(xx=100, yy=50), rows=200, columns=300)
    assert detections_from_heatmaps([one], [0.25], [127.5]) == [
        Detection("a", "Mass", Box(100, 50, 200, 100), threshold=127.5, score=0.25)
    ]


@pytest.mark.parametrize(
    ("to_image", "expected"),
    [
        pytest.param(Affine(xx=100, yy=50), Box(100, 50, 200, 100), id="squash"),
        pytest.param(Affine(xx=-100, x0=300, yy=50), Box(100, 50, 200, 100), id="mirrored"),
        pytest.param(Affine(xx=100, x0=-150, yy=50), Box(0, 50, 50, 100), id="cut at the border"),
        pytest.param(Affine(xx=0, xy=100, yx=50, yy=0), Box(100, 50, 200, 100), id="quarter turn"),
    ],
)
def test_box_follows_the_map_to_the_image(to_image, expected):
    assert boxes(BLOB, to_image, rows=200, columns=300) == [expected]


def test_box_in_the_padding_of_a_letterbox_is_no_detection():
    # 100 x 200 pixels lie in rows 1 and 2 of four; rows 0 and 3 are padding.
    to_image = compose(Affine(xx=50, yy=50), inverse(letterbox_affine(100, 200, size=200)))
    padding, edge, inside = np.zeros((3, 4, 4))
    padding[0, 1] = inside[1, 1] = 255
    edge[0:2, 1] = 255
    assert boxes(padding, to_image, rows=100, columns=200) == []
    assert boxes(edge, to_image, rows=100, columns=200) == [Box(50, 0, 100, 50)]
    assert boxes(inside, to_image, rows=100, columns=200) == [Box(50, 0, 100, 50)]


def test_score_is_probability_times_share_of_the_peak():
    one = heatmap(np.array([[255.0, 0.0, 102.0]]), Affine(), rows=1, columns=3)
    found = detections_from_heatmaps([one], [0.5], [60, 180])
    assert [(d.threshold, d.score) for d in found] == [(60, 0.5), (60, 0.2), (180, 0.5)]


def test_heatmaps_of_any_shapes_keep_their_order():
    blobs = {"a": BLOB, "b": BLOB[:, :2], "c": BLOB * 0, "d": BLOB * 2, "e": BLOB[:3, :2]}
    heatmaps = [heatmap(blob, Affine(), 4, 3, name) for name, blob in blobs.items()]
    found = detections_from_heatmaps(heatmaps, [0.1, 0.2, 0.3, 0.4, 0.5], [127.5])
    assert [(d.image_id, d.score) for d in found] == [
        ("a", 0.1),
        ("b", 0.2),
        ("d", 0.4),
        ("e", 0.5),
    ]


def test_many_heatmaps_give_what_each_gives_alone():
    rng = np.random.default_rng(0)
    heatmaps = [heatmap(rng.random((3, 4)), Affine(), 3, 4, str(k)) for k in range(300)]
    together = detections_from_heatmaps(heatmaps, [0.5] * 300, [60, 180])
    alone = [d for one in heatmaps for d in detections_from_heatmaps([one], [0.5], [60, 180])]
    assert together == alone


def test_a_probability_for_each_heatmap_is_required():
    with pytest.raises(ValueError, match="1 heatmaps, but 2 probabilities"):
        detections_from_heatmaps([heatmap(BLOB, Affine(), 4, 3)], [0.1, 0.2], [60])


def test_no_heatmaps_no_detections():
    assert detections_from_heatmaps([], [], [60, 180]) == []


def test_a_region_at_the_grid_s_edge_reaches_the_border_of_the_image() -> None:
    scores = np.array([[0.0, 0.0, 9.0]])
    looks_left = Affine(xx=10.0, x0=-4.0, yy=10.0)  # the grid ends 4 pixels before the image does
    heatmap = Heatmap("a", "Mass", scores, looks_left, rows=10, columns=30)
    (detection,) = detections_from_heatmaps([heatmap], [1.0], thresholds=[127.5])
    assert detection.box == Box(x_min=16.0, y_min=0.0, x_max=30.0, y_max=10.0)
