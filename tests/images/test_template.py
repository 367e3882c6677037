"""Preprocessing of Pham et al. 2019: resize to 256 x 256, crop the 224 x 224 most like a chest."""

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.images.geometry import transform_boxes
from cxrloc.images.preprocessing import Preprocessing, learn_template, preprocess
from cxrloc.types import Radiograph
from tests.images.dicom_files import chest

PHAM = Preprocessing(224, fit="template", source_size=None, mean=(0.0,), std=(1.0,))


def radiograph(pixels):
    return Radiograph(pixels.astype(np.float32), bits_stored=8)


@pytest.fixture(scope="module")
def learned():
    return learn_template([radiograph(chest(256, 256))], PHAM)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (16, 16), (9, -4), (-16, 12)])
def test_a_chest_that_lies_off_centre_is_found(learned, right, down):
    moved = np.roll(chest(256, 256), (down, right), axis=(0, 1))
    tensor, affine = preprocess(radiograph(moved), learned)
    centred, _ = preprocess(radiograph(chest(256, 256)), learned)
    assert (affine.x0, affine.y0) == (-16 - right, -16 - down)
    inner = (slice(None), slice(20, -20), slice(20, -20))  # beyond what rolled over the border
    np.testing.assert_allclose(tensor[inner], centred[inner], atol=1e-6)


def test_the_crop_and_the_resize_are_one_affine(learned):
    """A mark at a known place of a large image is found at its mapped place in the tensor."""
    pixels = np.kron(chest(256, 256), np.ones((4, 2)))  # 1024 rows, 512 columns
    pixels[400:408, 200:204] = 1.0
    tensor, affine = preprocess(radiograph(pixels), learned)
    (box,) = transform_boxes(affine, np.array([[200.0, 400.0, 204.0, 408.0]]))
    assert (affine.xx, affine.yy) == (0.5, 0.25)
    x, y = int(box[0]), int(box[1])
    assert tensor[0, y : y + 2, x : x + 2].min() > 0.8


def test_the_template_travels_as_text_and_is_needed():
    learned = learn_template([radiograph(chest(300, 200)), radiograph(chest(256, 256))], PHAM)
    assert learned.template.isascii()
    assert len(learned.template) < 60_000
    with pytest.raises(CxrlocError, match="no readable template"):
        preprocess(radiograph(chest(256, 256)), PHAM)
    with pytest.raises(CxrlocError, match="there is none"):
        learn_template([], PHAM)
