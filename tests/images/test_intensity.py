"""Detects whether the grey levels of a chest radiograph are inverted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.images.intensity import looks_inverted
from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import chest


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (200, 160), (3000, 2500)])
def test_every_size_can_be_judged(shape: tuple[int, int]) -> None:
    assert not looks_inverted(np.zeros(shape))


def test_an_image_and_its_inversion_are_judged_apart() -> None:
    assert not looks_inverted(chest())
    assert looks_inverted(1 - chest())


def test_real_chests_are_told_from_their_inversions(shared: Path) -> None:
    paths = sorted((shared / "data" / "chestxray14" / "images").glob("*.jpg"))
    for path in paths[::10]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L").reduce(4)) / 255
        assert not looks_inverted(pixels), path.name
        assert looks_inverted(1 - pixels), path.name


def test_a_wrong_monochrome1_tag_is_noticed_and_right_ones_pass(shared: Path) -> None:
    wrong = {
        path.name
        for path in (shared / "data" / "dicom").glob("*.dcm")
        if any("looks inverted" in line for line in read_radiograph(path).warnings)
    }
    # The other one is a dog on its side.
    assert wrong == {"siim_txrv_fake_mono1_jpeg.dcm", "highdicom_dx_thorax_mono1.dcm"}
