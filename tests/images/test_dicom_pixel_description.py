"""Incomplete or unusually spelled headers are read; impossible headers are refused."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import uid

from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import chest, dicom_header, raw, write_dicom, write_raw
from tests.images.test_dicom_pixels import transcoded

STORED = (chest(64, 56) * 4095).astype("u2")


def expected(tmp_path: Path, **tags: object) -> np.ndarray:
    return read_radiograph(write_dicom(tmp_path / "plain", STORED, 12, **tags)).pixels


@pytest.mark.parametrize(
    ("keyword", "taken"), [("HighBit", 11), ("PixelRepresentation", 0), ("SamplesPerPixel", 1)]
)
def test_an_empty_number_takes_its_usual_value_and_is_said(
    tmp_path: Path, keyword: str, taken: int
) -> None:
    path = write_raw(tmp_path / "a", STORED, 12, raw(keyword, "US", b""))
    radiograph = read_radiograph(path)
    assert np.array_equal(radiograph.pixels, expected(tmp_path))
    assert any(
        line.startswith(keyword) and line.endswith(f"is empty: {taken} is taken")
        for line in radiograph.warnings
    )


@pytest.mark.parametrize("text", [b"one ", b"\\2  "])
def test_a_number_of_frames_that_cannot_be_read_is_one_and_said(
    tmp_path: Path, text: bytes
) -> None:
    path = write_dicom(tmp_path / "a", STORED, 12, NumberOfFrames=1234)
    path.write_bytes(path.read_bytes().replace(b"IS\4\0001234", b"IS\4\0" + text))
    radiograph = read_radiograph(path)
    assert np.array_equal(radiograph.pixels, expected(tmp_path))
    message = "NumberOfFrames (0028,0008) is no whole number: 1 is taken"
    assert message in radiograph.warnings


@pytest.mark.parametrize("keyword", ["HighBit", "PixelRepresentation", "SamplesPerPixel"])
def test_a_missing_number_takes_its_usual_value(tmp_path: Path, keyword: str) -> None:
    header = dicom_header(STORED, 12)
    delattr(header, keyword)
    header.save_as(tmp_path / "a", enforce_file_format=True)
    assert np.array_equal(read_radiograph(tmp_path / "a").pixels, expected(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        b"monochrome1",
        b"MONOCHROME1\0",
        b"\0MONOCHROME1",
        b"Monochrome 1",
        b"MONOCHROME_1",
        b"MONOCHROME1\n",
        b"MONOCHROME1\\",
        b"\tMONOCHROME1 \0 ",
    ],
)
def test_the_photometric_interpretation_is_read_past_odd_spelling(
    tmp_path: Path, text: bytes
) -> None:
    path = write_raw(tmp_path / "a", STORED, 12, raw("PhotometricInterpretation", "CS", text))
    radiograph = read_radiograph(path)
    dark = expected(tmp_path, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(radiograph.pixels, dark)
    assert radiograph.photometric_interpretation == "MONOCHROME1"


@pytest.mark.parametrize("high_bit", [7, 0, 16, 200])
def test_an_impossible_high_bit_is_taken_as_the_usual_one(tmp_path: Path, high_bit: int) -> None:
    radiograph = read_radiograph(write_dicom(tmp_path / "a", STORED, 12, HighBit=high_bit))
    assert np.array_equal(radiograph.pixels, expected(tmp_path))
    assert any(line.startswith(f"HighBit (0028,0102) {high_bit}") for line in radiograph.warnings)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("dtype", "bits", "first", "step"),
    [
        ("u4", 12, 0, 1),
        ("u4", 16, 0, 16),
        ("u4", 32, 2**31 - 2000, 1),
        ("u4", 32, 0, 2**19),
        ("i4", 12, -2048, 1),
        ("i4", 32, -70_000, 30),
    ],
)
def test_words_of_32_bits_have_the_grey_levels_of_their_window(
    tmp_path: Path, syntax: uid.UID, dtype: str, bits: int, first: int, step: int
) -> None:
    values = first + step * STORED.astype(np.int64)
    center, width = first + 2000.0 * step, 3000.0 * step
    header = dicom_header(values.astype(dtype), bits, WindowCenter=center, WindowWidth=width)
    order = "<" if syntax.is_little_endian else ">"
    header.PixelData = values.astype(f"{order}{dtype}").tobytes()
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(tmp_path / "a", enforce_file_format=True)
    radiograph = read_radiograph(tmp_path / "a")
    # PS3.3 C.11.2.1.2.1, by hand.
    by_hand = np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    assert np.abs(radiograph.pixels - by_hand).max() < (2**-12 if step > 2**15 else 1e-6)
    assert radiograph.bits_stored == bits


def test_a_dead_pixel_in_words_of_32_bits_takes_no_grey_level_from_the_others(
    tmp_path: Path,
) -> None:
    values = STORED.astype("i4")
    values[0, 0] = -(2**31)
    path = write_dicom(tmp_path / "a", values, 32, WindowCenter=2000, WindowWidth=3000)
    narrow = expected(tmp_path, WindowCenter=2000, WindowWidth=3000)
    pixels = read_radiograph(path).pixels
    assert pixels[0, 0] == 0
    assert np.array_equal(pixels.ravel()[1:], narrow.ravel()[1:])


@pytest.mark.parametrize("slope", [1, -2])
def test_without_a_window_words_of_32_bits_have_the_range_of_their_stored_bits(
    tmp_path: Path, slope: int
) -> None:
    values = STORED.astype("u4") << 19  # half of the range
    path = write_dicom(tmp_path / "a", values, 32, RescaleSlope=slope, RescaleIntercept=5)
    share = values / (2**32 - 1)
    by_hand = share if slope > 0 else 1 - share
    assert np.abs(read_radiograph(path).pixels - by_hand).max() < 1e-6


def test_more_values_than_16_bits_can_number_are_said(tmp_path: Path) -> None:
    values = (50_000 * np.arange(280 * 280)).reshape(280, 280).astype("u4")
    path = write_dicom(tmp_path / "a", values, 32)
    radiograph = read_radiograph(path)
    assert np.abs(radiograph.pixels - values / (2**32 - 1)).max() < 1.2e-5  # one value of 2
    assert any("78,400 grey values, and every 2 neighbours" in line for line in radiograph.warnings)


def test_compressed_words_of_32_bits_are_read(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", STORED.astype("u4"), 12, WindowCenter=2000, WindowWidth=3000)
    narrow = expected(tmp_path, WindowCenter=2000, WindowWidth=3000)
    assert np.array_equal(read_radiograph(transcoded(path, uid.RLELossless)).pixels, narrow)


def test_grey_colour_of_32_bits_is_read_by_its_highest_ones(tmp_path: Path) -> None:
    grey = np.repeat(STORED.astype("u4")[..., None] << 20, 3, axis=2)[None]
    path = write_dicom(
        tmp_path / "a",
        grey,
        32,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
    )
    assert np.abs(read_radiograph(path).pixels - STORED / 4096).max() < 2**-12
