from pathlib import Path

import numpy as np
import pytest

from cxrloc.datasets import read_dataset
from cxrloc.datasets.shapes import mask_pixels
from cxrloc.errors import CxrlocError
from cxrloc.types import Box, Label, Mask
from tests.datasets.layout_files import touched, written

SIIM = """ImageId, EncodedPixels
1.2.3, 1025 2 1022 1
1.2.4,-1
"""


def test_siim_runs_go_down_the_columns_and_gaps_count_from_the_run_before(tmp_path: Path) -> None:
    written(tmp_path / "train-rle.csv", SIIM)
    image = touched(tmp_path / "dicom-images-train" / "study" / "series" / "1.2.3.dcm")
    boxed, clear = read_dataset(tmp_path)
    (truth,) = boxed.annotations
    assert isinstance(truth.shape, Mask)
    # 1025 pixels on: column 1, row 1; after rows 1 and 2 another 1022: column 2, row 1.
    assert np.argwhere(mask_pixels(truth.shape)).tolist() == [[1, 1], [1, 2], [2, 1]]
    assert truth.box == Box(1.0, 1.0, 3.0, 3.0)
    assert boxed.path == image
    assert clear.labels == {"Pneumothorax": Label.NEGATIVE}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SIIM.replace("1025", "x"), "row 2: EncodedPixels holds 'x 2 1022 1'"),
        (SIIM.replace("1022 1", "1022"), "pairs of gap and length"),
        (SIIM.replace("1025", "1048576"), "beyond the image"),
        (SIIM.replace("1025 2 1022 1", "5 0"), "mask is empty"),
        (SIIM + "1.2.4,1 2\n", "row 4: 1.2.4 has both -1 and a mask"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(CxrlocError, match=message):
        read_dataset(written(tmp_path / "train-rle.csv", content))
