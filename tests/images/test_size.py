from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.errors import CxrlocError
from cxrloc.images.size import image_size
from tests.images.dicom_files import write_dicom


def test_rows_and_columns_come_without_reading_pixels(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a", np.zeros((3, 5), dtype=np.uint8), 8)
    assert image_size(tmp_path / "a") == (3, 5)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(np.zeros((3, 5), dtype=np.uint8)).save(tmp_path / name)
        assert image_size(tmp_path / name) == (3, 5)


@pytest.mark.parametrize("content", [b"", b"words", b"\x89PNG\r\n\x1a\ncut", bytes(128) + b"DICM"])
def test_a_file_that_does_not_say_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.dcm"
    path.write_bytes(content)
    with pytest.raises(
        CxrlocError, match=r"broken\.dcm: (no image whose size can be told|a damaged PNG)"
    ):
        image_size(path)
