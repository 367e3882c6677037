"""The network input that is made from a radiograph."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrloc.images.geometry import inverse, transform_boxes
from cxrloc.images.preprocessing import Preprocessing, preprocess, uncropped
from cxrloc.images.read import read_radiograph
from cxrloc.types import Affine, Radiograph
from tests.images.dicom_files import chest, write_dicom


def radiograph(pixels: np.ndarray) -> Radiograph:
    return Radiograph(pixels=pixels.astype(np.float32), bits_stored=12)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_dicom_and_its_nih_style_png_give_the_same_tensor(
    tmp_path: Path, photometric: str
) -> None:
    # The published road (Wang 2017, section 2.3) by other hands: the window, Pillow's squash to
    # 1024 x 1024, 8 bit, PNG.
    rng = np.random.default_rng(0)
    stored = (chest(1300, 1100) * 3000 + rng.normal(500, 20, (1300, 1100))).astype("u2")
    window = {"WindowCenter": 2000, "WindowWidth": 3000, "PhotometricInterpretation": photometric}
    dicom = read_radiograph(write_dicom(tmp_path / "a.dcm", stored, 12, **window))
    squashed = Image.fromarray(dicom.pixels).resize((1024, 1024), Image.Resampling.BILINEAR)
    published = np.rint(255 * np.asarray(squashed)).astype(np.uint8)
    Image.fromarray(published).save(tmp_path / "a.png")
    wanted = Preprocessing(320)
    from_dicom, dicom_affine = preprocess(dicom, wanted)
    from_png, png_affine = preprocess(read_radiograph(tmp_path / "a.png"), wanted)
    # Rounding of 8 bit may fall either way: one level of 255, over a std of 0.25.
    assert np.abs(from_dicom - from_png).max() <= 1 / 255 / 0.25
    assert np.abs(from_dicom - from_png).mean() <= 1e-4
    assert (dicom_affine.xx, dicom_affine.yy) == (320 / 1100, 320 / 1300)
    assert (png_affine.xx, png_affine.yy) == (320 / 1024, 320 / 1024)


def test_8_bit_quantises_before_the_resize() -> None:
    pixels = np.random.default_rng(0).random((64, 64))
    tensor, affine = preprocess(radiograph(pixels), Preprocessing(64, mean=(0.0,), std=(1.0,)))
    assert np.array_equal(tensor[0], np.rint(pixels.astype(np.float32) * 255) / np.float32(255))
    assert affine == Affine()


def test_no_bit_depth_and_no_source_size_keep_every_grey_level() -> None:
    pixels = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    plain = Preprocessing(64, source_size=None, bit_depth=None, mean=(0.0,), std=(1.0,))
    assert np.array_equal(preprocess(radiograph(pixels), plain)[0][0], pixels)


def test_a_smaller_published_copy_is_not_squashed_again() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (320, 320)) / 255
    tensor, affine = preprocess(radiograph(pixels), Preprocessing(320, mean=(0.0,), std=(1.0,)))
    assert np.array_equal(tensor[0], pixels.astype(np.float32))
    assert affine == Affine()


def test_mean_and_std_make_the_channels() -> None:
    white = radiograph(np.ones((8, 8)))
    tensor, _ = preprocess(white, Preprocessing(4, mean=(0.5, 0.0, 1.0), std=(0.25, 1.0, 1.0)))
    assert tensor.shape == (3, 4, 4)
    assert tensor[:, 0, 0].tolist() == [2.0, 1.0, 0.0]


@pytest.mark.parametrize("fit", ["squash", "letterbox", "crop"])
@pytest.mark.parametrize("source_size", [1024, None])
def test_boxes_in_the_input_go_back_to_original_pixels(fit: str, source_size: int | None) -> None:
    wanted = Preprocessing(320, fit=fit, source_size=source_size)
    _, affine = preprocess(radiograph(chest(300, 400)), wanted)
    box = np.array([[100.0, 100.0, 200.0, 150.0]])
    there = transform_boxes(affine, box)
    np.testing.assert_allclose(transform_boxes(inverse(affine), there), box)


def test_a_letterbox_has_black_borders_of_the_size_that_its_affine_says() -> None:
    wanted = Preprocessing(40, "letterbox", source_size=None, mean=(0.0,), std=(1.0,))
    tensor, affine = preprocess(radiograph(np.ones((100, 200))), wanted)
    assert affine.y0 == 10.0
    assert np.array_equal(tensor[0].any(axis=1), np.repeat([False, True, False], [10, 20, 10]))


def test_settings_survive_as_a_dictionary_and_impossible_ones_are_errors() -> None:
    wanted = Preprocessing(224, fit="crop", mean=(0.4, 0.5), std=(0.2, 0.3))
    assert Preprocessing(**asdict(wanted)) == wanted
    with pytest.raises(ValueError, match="one value per channel"):
        Preprocessing(224, mean=(0.5,), std=(0.2, 0.3))


@pytest.mark.parametrize("fit", ["squash", "letterbox", "crop"])
def test_the_centre_of_a_larger_square_is_that_squares_centre(fit: str) -> None:
    """Baltruschat et al. 2019 rescale to 256 and take the centre of 224; here 16 and 12."""
    pixels = np.random.default_rng(0).random((40, 30))
    wanted = Preprocessing(12, fit, crop_from=16, source_size=None)
    centre, affine = preprocess(radiograph(pixels), wanted)
    whole, whole_affine = preprocess(radiograph(pixels), uncropped(wanted))
    np.testing.assert_allclose(centre, whole[:, 2:14, 2:14], atol=1e-6)
    assert (affine.x0, affine.y0) == (whole_affine.x0 - 2, whole_affine.y0 - 2)


@pytest.mark.parametrize("values", [{"crop_from": 8}, {"crop_from": 15}, {"fit": "template"}])
def test_a_centre_that_cannot_be_is_refused(values: dict) -> None:
    with pytest.raises(ValueError, match="larger by an even number"):
        Preprocessing(12, **{"crop_from": 16, **values})
