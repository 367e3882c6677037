"""Rubin et al. 2018, section 5.2, on DICOM files that a hand can check."""

import numpy as np
import pytest

from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import write_dicom

RUBIN = Preprocessing(
    4,
    fit="crop",
    source_size=None,
    bit_depth=None,
    mean=(0.0,),
    std=(1.0,),
    grey="stored",
    interpolation="nearest",
)
STORED = np.arange(8 * 12, dtype=np.uint16).reshape(8, 12) * 40


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_the_short_side_is_scaled_by_nearest_neighbours_and_the_middle_kept(tmp_path, photometric):
    """8 x 12 becomes 4 x 6 (every second pixel), of which columns 1 to 4 stay; over 2^12 - 1."""
    path = write_dicom(
        tmp_path / "a.dcm",
        STORED,
        12,
        PhotometricInterpretation=photometric,
        WindowCenter=100,  # a window that would cut nearly all: it is not applied
        WindowWidth=10,
    )
    tensor, affine = preprocess(read_radiograph(path), RUBIN)
    expected = STORED[1::2, 3:11:2] / 4095
    if photometric == "MONOCHROME1":
        expected = 1 - expected
    np.testing.assert_allclose(tensor[0], expected, rtol=1e-6)
    assert (affine.xx, affine.yy, affine.x0, affine.y0) == (0.5, 0.5, -1.0, 0.0)


def test_values_beyond_12_bits_are_clipped(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", STORED + 4000, 16)
    tensor, _ = preprocess(read_radiograph(path), RUBIN)
    assert tensor.max() == 1.0
