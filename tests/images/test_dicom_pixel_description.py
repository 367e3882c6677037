"""Incomplete or unusually spelled headers are read; impossible headers are refused."""

from pathlib import Path

import numpy as np
import pytest

from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import chest, dicom_header, raw, write_dicom, write_raw

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
