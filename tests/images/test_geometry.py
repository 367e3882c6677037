"""One affine map transforms the image, its boxes and its heatmaps in both directions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from cxrloc.images.geometry import (
    compose,
    crop_affine,
    inverse,
    letterbox_affine,
    resample,
    resize_affine,
    transform_boxes,
)
from cxrloc.images.preprocessing import FITS
from cxrloc.types import Affine

sides = st.integers(1, 4000)
scales = st.floats(0.01, 100) | st.floats(-100, -0.01)
shifts = st.floats(-5000, 5000)
upright = st.builds(Affine, xx=scales, x0=shifts, yy=scales, y0=shifts)
boxes = st.tuples(shifts, shifts, st.floats(0.1, 4000), st.floats(0.1, 4000)).map(
    lambda box: np.array([[box[0], box[1], box[0] + box[2], box[1] + box[3]]])
)


@given(upright, boxes)
def test_boxes_come_back_from_any_resize_crop_pad_or_flip(
    affine: Affine, original: np.ndarray
) -> None:
    there = transform_boxes(affine, original)
    assert (there[:, :2] < there[:, 2:]).all()
    np.testing.assert_allclose(transform_boxes(inverse(affine), there), original, atol=1e-6)


@given(st.sampled_from(sorted(FITS)), sides, sides, st.integers(1, 1024), boxes)
def test_boxes_come_back_from_every_fit(
    fit: str, rows: int, columns: int, size: int, original: np.ndarray
) -> None:
    affine = FITS[fit](rows, columns, size)
    back = transform_boxes(inverse(affine), transform_boxes(affine, original))
    np.testing.assert_allclose(back, original, atol=1e-6)


@given(upright, upright, boxes)
def test_a_composed_map_does_one_step_after_the_other(
    first: Affine, then: Affine, original: np.ndarray
) -> None:
    step_by_step = transform_boxes(then, transform_boxes(first, original))
    at_once = transform_boxes(compose(first, then), original)
    np.testing.assert_allclose(at_once, step_by_step, rtol=1e-9, atol=1e-6)


@given(sides, sides, st.integers(1, 1024))
def test_a_letterbox_holds_the_whole_image_and_a_crop_only_image(
    rows: int, columns: int, size: int
) -> None:
    whole = np.array([[0.0, 0.0, columns, rows]])
    square = np.array([[0.0, 0.0, size, size]])
    inside = transform_boxes(letterbox_affine(rows, columns, size), whole)
    assert (inside[:, :2] >= -1e-6).all()
    assert (inside[:, 2:] <= size + 1e-6).all()
    taken = transform_boxes(inverse(crop_affine(rows, columns, size)), square)
    assert (taken[:, :2] >= -1e-6).all()
    assert (taken <= whole + 1e-6)[:, 2:].all()


def test_rotation_and_shear_keep_the_inverse() -> None:
    affine = Affine(xx=0.6, xy=-0.8, x0=3.0, yx=0.8, yy=0.6, y0=-1.0)
    both = compose(affine, inverse(affine))
    assert np.allclose([both.xx, both.xy, both.x0, both.yx, both.yy, both.y0], [1, 0, 0, 0, 1, 0])


def test_a_map_without_inverse_and_a_rotated_resample_are_errors() -> None:
    with pytest.raises(ValueError, match="no inverse"):
        inverse(Affine(xx=0.0))
    with pytest.raises(ValueError, match="scales, shifts and flips only"):
        resample(np.ones((2, 2)), Affine(xy=0.1), 2, 2)


@pytest.mark.parametrize(
    ("size", "why"), [((50, 40), "smaller"), ((300, 250), "larger"), ((100, 31), "one axis")]
)
def test_resampling_is_the_resize_of_pillow(size: tuple[int, int], why: str) -> None:
    pixels = np.random.default_rng(0).random((100, 80), dtype=np.float32)
    expected = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    ours = resample(pixels, resize_affine(100, 80, *size), *size)
    np.testing.assert_allclose(ours, expected, atol=1e-6, err_msg=why)


def test_resampling_does_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).random((40, 30), dtype=np.float32)
    whole = resample(pixels, resize_affine(40, 30, 13, 11), 13, 11)
    monkeypatch.setattr("cxrloc.images.geometry.BLOCK_VALUES", 500)
    assert np.array_equal(resample(pixels, resize_affine(40, 30, 13, 11), 13, 11), whole)


def test_resampling_to_the_same_grid_changes_nothing() -> None:
    pixels = np.random.default_rng(0).random((30, 20))
    assert np.array_equal(resample(pixels, Affine(), 30, 20), pixels)


def test_a_nan_spreads_to_no_pixel_that_does_not_use_it() -> None:
    pixels = np.array([[np.nan, 2.0, 3.0, 4.0]])
    same = resample(pixels, Affine(), 1, 4)
    np.testing.assert_array_equal(same, pixels)
    padded = resample(pixels, Affine(x0=2.0), 1, 7)
    np.testing.assert_array_equal(padded, [[0, 0, np.nan, 2, 3, 4, 0]])


def test_resampling_shifts_flips_and_pads() -> None:
    pixels = np.array([[1.0, 2.0, 3.0]])
    assert resample(pixels, Affine(x0=2.0), 1, 6).tolist() == [[0, 0, 1, 2, 3, 0]]
    assert resample(pixels, Affine(xx=-1.0, x0=3.0), 1, 3).tolist() == [[3, 2, 1]]


@given(st.floats(20, 80), st.floats(20, 60), st.sampled_from(sorted(FITS)))
def test_a_spot_lands_where_its_coordinates_do(y: float, x: float, fit: str) -> None:
    rows, columns, size = 100, 80, 64
    yy, xx = np.mgrid[0:rows, 0:columns] + 0.5
    spot = np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / 18)
    affine = FITS[fit](rows, columns, size)
    row, column = ndimage.center_of_mass(resample(spot, affine, size, size))
    assert row + 0.5 == pytest.approx(affine.yy * y + affine.y0, abs=0.1)
    assert column + 0.5 == pytest.approx(affine.xx * x + affine.x0, abs=0.1)


def test_shrinking_does_not_alias() -> None:
    stripes = np.tile([0.0, 1.0], (64, 512))
    shrunk = resample(stripes, resize_affine(64, 1024, 64, 93), 64, 93)
    assert np.abs(shrunk[:, 1:-1] - 0.5).max() < 0.05
