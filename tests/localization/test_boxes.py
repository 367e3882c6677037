"""Detections: regions in pixels of the original image, inside it, with threshold and score."""

import numpy as np
import pytest

from cxrloc.images.geometry import compose, inverse, letterbox_affine
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.types import Affine, Box, Detection, Heatmaps

# At threshold 127.5 one cell of 255 among zeros is a box of one cell.
BLOB = np.array([[0.0, 0.0, 0.0], [0.0, 255.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def heatmap(scores: np.ndarray, to_image: Affine, rows: int, columns: int) -> Heatmaps:
    return Heatmaps("a", ("Mass",), scores[None], to_image, rows, columns)


def boxes(scores: np.ndarray, to_image: Affine, rows: int, columns: int) -> list[Box]:
    one = heatmap(scores, to_image, rows, columns)
    return [found.box for found in detections_from_heatmaps(one, [1.0], [127.5])]


def test_detection_carries_image_finding_threshold_and_score():
    one = heatmap(BLOB, Affine(xx=100, yy=50), rows=200, columns=300)
    assert detections_from_heatmaps(one, [0.25], [127.5]) == [
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
    found = detections_from_heatmaps(one, [0.5], [60, 180])
    assert [(d.threshold, d.score) for d in found] == [(60, 0.5), (60, 0.2), (180, 0.5)]


def test_findings_keep_their_order_and_a_flat_map_has_no_detection():
    maps = np.stack([BLOB, BLOB * 0, BLOB * 2])
    heatmaps = Heatmaps("a", ("Mass", "Edema", "Nodule"), maps, Affine(), 4, 3)
    found = detections_from_heatmaps(heatmaps, [0.1, 0.2, 0.4], [127.5])
    assert [(d.image_id, d.finding, d.score) for d in found] == [
        ("a", "Mass", 0.1),
        ("a", "Nodule", 0.4),
    ]


def test_the_maps_of_an_image_give_what_each_gives_alone():
    maps = np.random.default_rng(0).random((14, 3, 4))
    names = tuple(map(str, range(14)))
    together = detections_from_heatmaps(
        Heatmaps("a", names, maps, Affine(), 3, 4), [0.5] * 14, [60, 180]
    )
    alone = [
        detection
        for name, own in zip(names, maps, strict=True)
        for detection in detections_from_heatmaps(
            Heatmaps("a", (name,), own[None], Affine(), 3, 4), [0.5], [60, 180]
        )
    ]
    assert together == alone


def test_a_probability_for_each_map_is_required():
    with pytest.raises(ValueError, match="1 maps, but 2 probabilities"):
        detections_from_heatmaps(heatmap(BLOB, Affine(), 4, 3), [0.1, 0.2], [60])


def test_no_heatmaps_no_detections():
    none = Heatmaps("a", (), np.empty((0, 2, 2)), Affine(), 4, 3)
    assert detections_from_heatmaps(none, [], [60, 180]) == []


def test_a_region_at_the_grid_s_edge_reaches_the_border_of_the_image() -> None:
    scores = np.array([[0.0, 0.0, 9.0]])
    looks_left = Affine(xx=10.0, x0=-4.0, yy=10.0)  # the grid ends 4 pixels before the image does
    edge = heatmap(scores, looks_left, rows=10, columns=30)
    (detection,) = detections_from_heatmaps(edge, [1.0], thresholds=[127.5])
    assert detection.box == Box(x_min=16.0, y_min=0.0, x_max=30.0, y_max=10.0)


@pytest.mark.parametrize(
    ("first_centre", "column", "left", "right"),
    [
        # PROTOCOL.md, section 2: 20 cells of 51.2 pixels on 1,024 whose first centre is at 100.8.
        pytest.param(100.8, 0, 0.0, 126.4, id="the left side is 0, not 49.6"),
        pytest.param(100.8, 1, 126.4, 177.6, id="the second column stays in the grid"),
        pytest.param(100.8, 18, 996.8, 1024.0, id="the last column that begins inside"),
        pytest.param(-49.6, 19, 897.6, 1024.0, id="the grid ends 1.5 cells before the image"),
    ],
)
def test_a_region_in_the_last_column_reaches_the_border_whatever_the_grid_s_shift(
    first_centre: float, column: int, left: float, right: float
) -> None:
    scores = np.zeros((1, 20))
    scores[0, column] = 1.0
    shifted = Affine(xx=51.2, x0=first_centre - 25.6, yy=1024.0)
    (box,) = boxes(scores, shifted, rows=1024, columns=1024)
    np.testing.assert_allclose([box.x_min, box.x_max], [left, right])
    assert (box.y_min, box.y_max) == (0.0, 1024.0)
