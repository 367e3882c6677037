"""Images read ahead, with or without the pixels that pictures are made of."""

import numpy as np
import pytest

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.inference.prepared import Image, Prepared
from cxrloc.inference.read_ahead import prepared_images
from cxrloc.models.card import ModelCard
from cxrloc.models.described import Description, Input
from cxrloc.types import Radiograph

MODEL = Description(ModelCard("m", "nothing", ("Mass",)), Preprocessing(8), "", (Input.IMAGE,))


@pytest.mark.parametrize("keep", [True, False])
def test_without_pixels_an_image_keeps_its_size_its_input_and_its_extremes(keep: bool) -> None:
    radiograph = Radiograph(np.linspace(0, 1, 12).reshape(3, 4), bits_stored=8)
    (item,) = prepared_images([MODEL], [Image("a", lambda: radiograph)], 1, keep)
    assert isinstance(item, Prepared)
    assert (item.shape, item.inputs[0][0].shape) == ((3, 4), (1, 8, 8))
    pixels = item.radiograph.pixels
    assert pixels.shape == ((3, 4) if keep else (1, 2))
    assert (pixels.min(), pixels.max()) == (0, 1)
