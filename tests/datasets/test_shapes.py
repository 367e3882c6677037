"""Run lengths and polygons agree with pycocotools, the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from cxrloc.datasets.shapes import (
    box_of_mask,
    box_of_outline,
    coco_runs,
    mask_of_pixels,
    mask_pixels,
    outline_of,
)
from cxrloc.types import Box, Mask

PIXELS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.booleans())


@given(pixels=PIXELS)
def test_run_lengths_are_coco_s(pixels: np.ndarray) -> None:
    code = coco.encode(np.asfortranarray(pixels.astype(np.uint8)))
    decoded = Mask(*pixels.shape, runs=coco_runs(code["counts"].decode()))
    np.testing.assert_array_equal(mask_pixels(decoded), pixels)
    np.testing.assert_array_equal(mask_pixels(mask_of_pixels(pixels)), pixels)


@given(pixels=PIXELS)
def test_the_box_of_a_mask_is_coco_s(pixels: np.ndarray) -> None:
    box = box_of_mask(mask_of_pixels(pixels))
    x, y, width, height = coco.toBbox(coco.encode(np.asfortranarray(pixels.astype(np.uint8))))
    if width:
        assert box == Box(x, y, x + width, y + height)
    else:
        assert box is None


@pytest.mark.parametrize(("text", "message"), [("1 2", "no character"), ("12o", "within a number")])
def test_a_broken_string_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coco_runs(text)


def test_an_outline_s_box_encloses_all_its_polygons() -> None:
    outline = outline_of([[[0, 0], [2, 0], [0, 2]], [[5, 5], [9, 5], [5, 6]]])
    assert box_of_outline(outline) == (0.0, 0.0, 9.0, 6.0)
