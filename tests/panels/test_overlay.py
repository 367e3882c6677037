from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.panels.overlay import (
    BACKGROUND,
    LINE_HEIGHT,
    Mark,
    Role,
    compose_panels,
    draw_panel,
    write_png,
)
from cxrloc.types import Affine, Box, Heatmaps

GREY = np.full((40, 40), 0.5, dtype=np.float32)


def heatmap(scores: list[list[float]], pixels: np.ndarray = GREY) -> Heatmaps:
    rows, columns = pixels.shape
    values = np.array(scores)
    to_image = Affine(xx=columns / values.shape[1], yy=rows / values.shape[0])
    return Heatmaps("image", ("Mass",), values[None], to_image, rows, columns)


def below_title(panel: Image.Image) -> np.ndarray:
    return np.asarray(panel)[LINE_HEIGHT:]


def test_a_radiograph_alone_stays_grey_and_keeps_its_aspect_ratio() -> None:
    picture = below_title(draw_panel(np.full((60, 30), 0.5, dtype=np.float32), 30, "title"))
    assert picture.shape == (60, 30, 3)
    assert (picture == 128).all()


def test_an_enlarged_radiograph_repeats_pixels_and_makes_nothing_up() -> None:
    pixels = np.array([[0.0, 1.0]], dtype=np.float32)
    picture = below_title(draw_panel(pixels, 8, ""))
    assert np.unique(picture).tolist() == [0, 255]
    assert (picture[:, :4] == 0).all()


def test_the_heatmap_colours_its_peak_and_leaves_its_minimum_as_it_was() -> None:
    picture = below_title(draw_panel(GREY, 40, "", heatmap([[0.0, 1.0], [0.0, 0.0]]), "Mass"))
    assert picture[35, 5].tolist() == [128, 128, 128]
    red, _, blue = picture[5, 35].astype(int)
    assert red > blue + 20


@pytest.mark.parametrize("scores", [[[2.0, 2.0]], [[float("nan"), 1.0]]])
def test_a_degenerate_map_is_not_drawn(scores: list[list[float]]) -> None:
    assert (below_title(draw_panel(GREY, 40, "", heatmap(scores), "Mass")) == 128).all()


def test_a_map_of_the_middle_only_goes_on_to_the_border_as_it_ends() -> None:
    middle = np.ones((10, 10))
    middle[0, 0] = 0.0
    cropped = Heatmaps("image", ("Mass",), middle[None], Affine(2, 0, 10, 0, 2, 10), 40, 40)
    coloured = (below_title(draw_panel(GREY, 40, "", cropped, "Mass")) != 128).any(-1)
    assert not coloured[:11, :11].any()
    assert coloured[13:].all()
    assert coloured[:, 13:].all()


@pytest.mark.parametrize("shift", [-25.0, -5.0, 0.0, 5.0, 14.7])
def test_colours_go_to_the_border_however_the_grid_is_shifted(shift: float) -> None:
    scores = np.full((4, 4), 1.0)
    scores[1, 1] = 0.0
    to_image = Affine(10, 0, shift, 0, 10, shift)
    moved = Heatmaps("image", ("Mass",), scores[None], to_image, 40, 40)
    coloured = (below_title(draw_panel(GREY, 40, "", moved, "Mass")) != 128).any(-1)
    assert all(side.all() for side in (coloured[0], coloured[-1], coloured[:, 0], coloured[:, -1]))


def test_roles_differ_in_colour_and_in_line() -> None:
    truth_and_claims = [Role.EXPERT, Role.CORRECT, Role.FALSE_POSITIVE]
    assert len({role.colour for role in truth_and_claims}) == 3
    assert len({role.dash for role in truth_and_claims}) == 3
    assert Role.DETECTION.dash != Role.DOUBTFUL.dash


def test_a_box_is_drawn_where_it_is_also_when_the_panel_is_smaller() -> None:
    box = Box(x_min=100.0, y_min=50.0, x_max=300.0, y_max=250.0)
    pixels = np.zeros((400, 400), dtype=np.float32)
    picture = below_title(draw_panel(pixels, 200, "", marks=[Mark(box, Role.EXPERT)]))
    rows, columns = np.nonzero((picture == Role.EXPERT.colour).all(-1))
    assert (columns.min(), rows.min()) == pytest.approx((50, 25), abs=1)
    assert (columns.max(), rows.max()) == pytest.approx((149, 124), abs=1)


def test_thirty_boxes_long_names_and_many_panels_fit() -> None:
    marks = [Mark(Box(float(i), float(i), i + 9.0, i + 9.0), Role.DETECTION) for i in range(30)]
    panel = draw_panel(
        GREY, 40, "a very long name of a finding, longer than its panel", marks=marks
    )
    assert panel.width == 40
    picture = compose_panels([panel] * 64, 8, ["caption " * 40], list(Role))
    assert picture.width == 8 * 48 + 8
    assert picture.getpixel((0, 0)) == BACKGROUND


def test_a_picture_comes_back_from_its_file(tmp_path: Path) -> None:
    picture = compose_panels([draw_panel(GREY, 40, "title")], 1, [], [])
    write_png(picture, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as back:
        assert np.array_equal(np.asarray(back), np.asarray(picture))
