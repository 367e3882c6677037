"""The first compressed frame is found, and a stream that is not what the header says is named."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate

from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import chest
from tests.images.test_dicom_file import JPEGS, agrees_but_says, plain
from tests.images.test_dicom_pixels import encapsulated, stream_of, transcoded


def test_a_wrong_offset_table_of_a_single_frame_does_no_harm(tmp_path: Path) -> None:
    pixels = (chest(48, 40) * 65_535).astype("u2")
    stream = stream_of(uid.JPEGLSLossless, pixels, tmp_path)
    path = encapsulated(tmp_path / "a", pixels, uid.JPEGLSLossless, stream)
    right = read_radiograph(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xfe\xff\x00\xe0\x04\x00\x00\x00") + 8
    content[at : at + 4] = (999_999).to_bytes(4, "little")
    path.write_bytes(content)
    assert np.array_equal(read_radiograph(path).pixels, right.pixels)


@pytest.mark.parametrize("second", [0, 7, 999_999])
def test_a_wrong_offset_table_of_frames_of_one_fragment_each_does_no_harm(
    tmp_path: Path, second: int
) -> None:
    pixels = (chest(48, 40) * 65_535).astype("u2")
    stream = stream_of(uid.JPEGLSLossless, pixels, tmp_path)
    path = encapsulated(tmp_path / "a", pixels, uid.JPEGLSLossless, stream)
    right = read_radiograph(path)
    header = dcmread(path)
    header.NumberOfFrames = 2
    header.PixelData = encapsulate([stream, bytes(len(stream))])
    header.save_as(path)
    content = path.read_bytes()
    at = content.index(b"\xfe\xff\x00\xe0\x08\x00\x00\x00") + 12
    path.write_bytes(content[:at] + second.to_bytes(4, "little") + content[at + 4 :])
    assert np.array_equal(read_radiograph(path).pixels, right.pixels)


@pytest.mark.parametrize("syntax", [*JPEGS, uid.RLELossless])
def test_a_frame_without_the_item_of_its_offset_table_is_read_and_said(
    tmp_path: Path, syntax: uid.UID
) -> None:
    path = transcoded(plain(tmp_path), syntax)
    content = path.read_bytes()
    empty_table = b"\xfe\xff\x00\xe0\0\0\0\0"
    assert content.count(empty_table) == 1
    path.write_bytes(content.replace(empty_table, b""))
    assert agrees_but_says(path, tmp_path, "without the item of its offset table")


@pytest.mark.parametrize(
    ("true", "stated", "line"),
    [
        (uid.JPEGLSLossless, "1.2.840.10008.1.2.4.90", "the stream is JPEG-LS, which is another"),
        (uid.JPEG2000Lossless, "1.2.840.10008.1.2.4.80", "the stream is JPEG 2000, which is"),
        (uid.JPEGLosslessSV1, "1.2.840.10008.1.2.4.50", "the stream is JPEG Lossless, which is"),
    ],
)
def test_a_stream_of_another_transfer_syntax_is_named(
    tmp_path: Path, true: uid.UID, stated: str, line: str
) -> None:
    path = transcoded(plain(tmp_path), true)
    path.write_bytes(path.read_bytes().replace(true.encode(), stated.encode(), 1))
    with pytest.raises(CxrlocError, match=line):
        read_radiograph(path)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.RLELossless])
def test_plain_pixels_under_a_transfer_syntax_of_compressed_ones_are_named(
    tmp_path: Path, syntax: uid.UID
) -> None:
    path = plain(tmp_path)
    content = path.read_bytes()
    at = content.index(b"1.2.840.10008.1.2.1\0")
    even = syntax.encode() + b"\0" * (len(syntax) % 2)
    length = len(even).to_bytes(2, "little")
    path.write_bytes(content[: at - 2] + length + even + content[at + 20 :])
    with pytest.raises(CxrlocError, match="is not compressed, but TransferSyntaxUID"):
        read_radiograph(path)


def test_an_rle_stream_of_another_depth_is_an_error(tmp_path: Path) -> None:
    path = transcoded(plain(tmp_path), uid.RLELossless)
    header = dcmread(path)
    header.BitsAllocated, header.BitsStored, header.HighBit = 8, 8, 7
    header.save_as(path)
    with pytest.raises(CxrlocError, match="2 bytes per pixel, but the header says 1 x 8 bits"):
        read_radiograph(path)


def test_zeros_behind_the_end_of_a_stream_do_not_hide_it(tmp_path: Path) -> None:
    pixels = (chest(48, 40) * 65_535).astype("u2")
    stream = stream_of(uid.JPEGLSLossless, pixels, tmp_path)
    path = encapsulated(tmp_path / "a", pixels, uid.JPEGLSLossless, stream + bytes(100))
    assert not any("end marker" in line for line in read_radiograph(path).warnings)
