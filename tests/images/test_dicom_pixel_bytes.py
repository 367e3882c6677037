"""Pixels end where they end, whatever stands behind them or is missing there."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid

from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import chest, write_dicom
from tests.images.test_dicom_file import DELIMITER, JPEGS, agrees_but_says, plain
from tests.images.test_dicom_pixels import transcoded


@pytest.mark.parametrize(
    "rest",
    [b"\r\n--boundary--\r\n", bytes(range(256)), bytes(1000), b"\0", b"\x08\0\x05\0CS\x02\0ab"],
    ids=["text", "garbage", "zeros", "one byte", "an element of the header"],
)
def test_bytes_behind_the_pixels_are_ignored_and_said(tmp_path: Path, rest: bytes) -> None:
    path = plain(tmp_path).rename(tmp_path / "a")
    path.write_bytes(path.read_bytes() + rest)
    assert agrees_but_says(path, tmp_path, f"{len(rest)} bytes after PixelData (7FE0,0010)")


@pytest.mark.parametrize("rest", [b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0abcd"], ids=["padding"])
def test_elements_after_the_pixels_are_no_damage(tmp_path: Path, rest: bytes) -> None:
    path = plain(tmp_path)
    path.write_bytes(path.read_bytes() + rest)
    assert not any("after PixelData" in line for line in read_radiograph(path).warnings)


@pytest.mark.parametrize("syntax", [*JPEGS, uid.RLELossless])
@pytest.mark.parametrize("end", [b"", DELIMITER[:4], bytes(8)], ids=["none", "short", "zeros"])
def test_compressed_pixels_without_a_closing_delimiter_are_read(
    tmp_path: Path, syntax: uid.UID, end: bytes
) -> None:
    path = transcoded(plain(tmp_path), syntax)
    content = path.read_bytes()
    assert content.endswith(DELIMITER)
    path.write_bytes(content[:-8] + end)
    assert agrees_but_says(path, tmp_path, "no whole closing delimiter (FFFE,E0DD)")


def shortened(path: Path, keep: Callable[[bytes], bytes]) -> Path:
    """The file with a part of its only stream, padded to an even length."""
    content = path.read_bytes()
    start = content.index(b"\xfe\xff\x00\xe0", content.index(b"\xe0\x7f\x10\x00OB") + 20)
    (length,) = struct.unpack("<I", content[start + 4 : start + 8])
    stream = keep(content[start + 8 : start + 8 + length].rstrip(b"\0"))
    stream += b"\0" * (len(stream) % 2)
    path.write_bytes(content[: start + 4] + struct.pack("<I", len(stream)) + stream + DELIMITER)
    return path


@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("syntax", JPEGS)
def test_a_whole_stream_without_its_end_marker_is_read_and_said(
    tmp_path: Path, syntax: uid.UID, cut: int
) -> None:
    path = shortened(transcoded(plain(tmp_path), syntax), lambda stream: stream[:-cut])
    radiograph = read_radiograph(path)
    assert np.array_equal(radiograph.pixels, read_radiograph(plain(tmp_path)).pixels)
    assert "the compressed stream has no end marker: it may be cut short" in radiograph.warnings


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("syntax", JPEGS)
def test_a_compressed_stream_that_is_cut_is_refused_at_once(
    tmp_path: Path, syntax: uid.UID, share: float
) -> None:
    path = transcoded(plain(tmp_path), syntax)
    shortened(path, lambda stream: stream[: int(share * len(stream))])
    with pytest.raises(CxrlocError, match="cut short"):
        read_radiograph(path)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (10**9, "ends after 3840 of 1000000000 bytes that it announces"),
        (0xFFFFFFFF, "has an undefined length, which compressed pixels alone may have"),
    ],
)
def test_pixels_that_announce_more_bytes_than_the_file_has_are_read_with_a_warning(
    tmp_path: Path, length: int, message: str
) -> None:
    pixels = (chest(48, 40) * 4095).astype("u2")
    path = write_dicom(tmp_path / "a", pixels, 12, WindowCenter=2048, WindowWidth=4096)
    right = read_radiograph(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xe0\x7f\x10\x00") + 8
    content[at : at + 4] = length.to_bytes(4, "little")
    path.write_bytes(content)
    read = read_radiograph(path)
    assert np.array_equal(read.pixels, right.pixels)
    assert read.warnings == (f"PixelData (7FE0,0010) {message}",)


def test_compressed_pixels_under_a_transfer_syntax_of_plain_ones_are_named(tmp_path: Path) -> None:
    path = transcoded(plain(tmp_path), uid.JPEGLSLossless)
    plain_syntax = b"1.2.840.10008.1.2.1".ljust(22, b"\0")
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.80", plain_syntax, 1))
    with pytest.raises(CxrlocError, match="is compressed, but TransferSyntaxUID"):
        read_radiograph(path)
