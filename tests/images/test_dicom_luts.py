"""Palettes in segments (PS3.3 C.7.9.2) stand for the same entries as whole ones."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread, uid
from pydicom.pixels import apply_color_lut

from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import dicom_header

PIXELS = np.arange(256, dtype="u1").reshape(4, 64)
DISCRETE_AND_LINEAR = (0, 2, 0, 9, 1, 100, 200, 1, 154, 31)
"""0 and 9; 100 entries up to 200; 154 entries down to 31: kind, length, values."""


def segmented(path: Path, segments: tuple[int, ...], bits: int, big: bool = False) -> Path:
    header = dicom_header(PIXELS, 8, PhotometricInterpretation="PALETTE COLOR")
    data = np.array(segments, f"<u{bits // 8}").tobytes()
    data += bytes(len(data) % 2)
    for colour in ("Red", "Green", "Blue"):
        table = f"{colour}PaletteColorLookupTable"
        header.add_new(f"{table}Descriptor", "US", [256, 0, bits])
        words = np.frombuffer(data, "<u2").astype(">u2" if big else "<u2")
        header.add_new(f"Segmented{table}Data", "OW", words.tobytes())
    if big:
        header.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    header.save_as(path, enforce_file_format=True)
    return path


def greys(path: Path, bits: int) -> list[int]:
    return np.rint(read_radiograph(path).pixels * (2**bits - 1)).astype(int).ravel().tolist()


@pytest.mark.parametrize("bits", [8, 16])
def test_discrete_and_linear_segments_are_read_as_pydicom_reads_them(
    tmp_path: Path, bits: int
) -> None:
    scale = 1 if bits == 8 else 257
    values = [n * scale if k in (2, 3, 6, 9) else n for k, n in enumerate(DISCRETE_AND_LINEAR)]
    path = segmented(tmp_path / "a.dcm", tuple(values), bits)
    theirs = apply_color_lut(PIXELS, dcmread(path))[..., 0]
    assert greys(path, bits) == theirs.ravel().tolist()
    assert greys(segmented(tmp_path / "big.dcm", tuple(values), bits, big=True), bits) == (
        theirs.ravel().tolist()
    )


@pytest.mark.parametrize("bits", [8, 16])
def test_an_indirect_segment_repeats_those_that_its_offset_in_bytes_names(
    tmp_path: Path, bits: int
) -> None:
    """Three entries; a rise of 100 to 200; both again from entry 3 on; a fall of 50 to 0."""
    wide, scale = bits // 8, 1 if bits == 8 else 257
    first, rise, fall = (0, 3, 0, 5, 9), (1, 100, 200 * scale), (1, 50, 0)
    offset = (len(first) * wide).to_bytes(4, "little")
    words = np.frombuffer(offset, f"<u{wide}").tolist()
    path = segmented(tmp_path / "a.dcm", (*first, *rise, *fall, 2, 1, *words, *fall), bits)
    expected = [0, 5, 9]
    for length, end in ((100, 200 * scale), (50, 0), (100, 200 * scale), (3, 188 * scale)):
        start = expected[-1]
        steps = np.arange(1, length + 1) / length
        expected += np.rint(start + (end - start) * steps).astype(int).tolist()
    assert greys(path, bits) == expected


@pytest.mark.parametrize(
    "segments",
    [
        (1, 256, 200),  # nothing before it from which the line could begin
        (2, 1, 0, 0),  # nothing before it that could be repeated
        (0, 0, 0, 0),  # no entries
        (3, 4, 1, 1),  # no such kind
        (0, 2, 1, 2, 2, 1, 8, 0),  # repeats itself
        (0, 2, 1, 2, 1, 9),  # cut
    ],
)
def test_damaged_segments_are_one_clear_line(tmp_path: Path, segments: tuple[int, ...]) -> None:
    with pytest.raises(CxrlocError, match=r"Red palette: its segments \(PS3.3 C.7.9.2\)"):
        read_radiograph(segmented(tmp_path / "a.dcm", segments, 16))


def test_segments_that_stand_for_too_few_entries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match="stand for 128 entries, its descriptor says 256"):
        read_radiograph(segmented(tmp_path / "a.dcm", (0, 1, 7, 1, 127, 7), 16))


def test_a_whole_table_counts_where_both_are_there(tmp_path: Path) -> None:
    path = segmented(tmp_path / "a.dcm", (1, 1, 1), 8)
    header: Dataset = dcmread(path)
    for colour in ("Red", "Green", "Blue"):
        header.add_new(f"{colour}PaletteColorLookupTableData", "OW", PIXELS.tobytes())
    header.save_as(path)
    assert greys(path, 8) == PIXELS.ravel().tolist()
