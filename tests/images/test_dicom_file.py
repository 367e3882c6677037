"""Files with known damage are read as in other viewers, and a warning names the damage."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid

from cxrloc.images.read import read_radiograph
from cxrloc.images.size import image_size
from cxrloc.types import CxrlocError
from tests.images.dicom_files import chest, dicom_header, raw, write_dicom, write_raw
from tests.images.test_dicom_pixels import transcoded

STORED = (chest(64, 56) * 4095).astype("u2")
JPEGS = (uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless)
DELIMITER = b"\xfe\xff\xdd\xe0" + bytes(4)


def plain(tmp_path: Path) -> Path:
    window = {"WindowCenter": 2000, "WindowWidth": 3000}
    return write_dicom(tmp_path / "plain", STORED, 12, **window)


def agrees_but_says(path: Path, tmp_path: Path, sentence: str) -> bool:
    """Whether a file has the grey levels of the plain one, and this one warning."""
    radiograph = read_radiograph(path)
    expected = read_radiograph(plain(tmp_path)).pixels
    assert image_size(path) == expected.shape
    said = [line for line in radiograph.warnings if "DICOM" in line or "(" in line]
    assert [sentence in line for line in said] == [True]
    return bool(np.array_equal(radiograph.pixels, expected))


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


@pytest.mark.parametrize("syntax", JPEGS)
def test_a_compressed_stream_that_is_cut_is_not_taken_for_whole(
    tmp_path: Path, syntax: uid.UID
) -> None:
    path = transcoded(plain(tmp_path), syntax)
    content = path.read_bytes()
    start = content.index(b"\xfe\xff\x00\xe0", content.index(b"\xe0\x7f\x10\x00OB") + 20)
    (length,) = struct.unpack("<I", content[start + 4 : start + 8])
    kept = length // 4 * 2
    stream = content[start + 8 : start + 8 + kept]
    path.write_bytes(content[: start + 4] + struct.pack("<I", kept) + stream + DELIMITER)
    try:
        said = " ".join(read_radiograph(path).warnings)
    except CxrlocError as error:
        said = str(error)
    assert "no end marker" in said


@pytest.mark.parametrize("text", [b"ISO_IR 100\0\0", b"\0\0", b"ISO_IR\0 100", b"\xff\xfe"])
@pytest.mark.parametrize("implicit", [False, True])
def test_a_character_set_that_cannot_be_used_does_no_harm(
    tmp_path: Path, text: bytes, implicit: bool
) -> None:
    path = plain(tmp_path).rename(tmp_path / "a")
    header = dicom_header(STORED, 12, WindowCenter=2000, WindowWidth=3000)
    header.SpecificCharacterSet = "ISO_IR 100  "
    if implicit:
        header.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    assert b"ISO_IR 100  " in content
    path.write_bytes(content.replace(b"ISO_IR 100  ", text.ljust(12)))
    expected = read_radiograph(plain(tmp_path)).pixels
    assert np.array_equal(read_radiograph(path).pixels, expected)


def test_of_two_groups_of_meta_information_the_first_is_taken(tmp_path: Path) -> None:
    path = transcoded(plain(tmp_path), uid.JPEGLosslessSV1)
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[140:144])
    at = 144 + length
    named = b"1.2.840.10008.1.2.1\0"
    second = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(named)) + named
    path.write_bytes(content[:at] + second + content[at:])
    assert agrees_but_says(path, tmp_path, "(group 0002) stands twice: the first is taken")


@pytest.mark.parametrize("text", [b"1.2.840.10008.1.2.1\0\0\0", b" 1.2.840.10008.1.2.1  "])
def test_a_transfer_syntax_is_read_past_odd_white_space(tmp_path: Path, text: bytes) -> None:
    path = plain(tmp_path)
    content = path.read_bytes()
    named = content.index(b"1.2.840.10008.1.2.1\0")
    (length,) = struct.unpack("<I", content[140:144])
    grown = struct.pack("<I", length + 2)
    path.write_bytes(
        content[:140]
        + grown
        + content[144 : named - 2]
        + struct.pack("<H", 22)
        + text
        + content[named + 20 :]
    )
    assert read_radiograph(path).pixels.shape == STORED.shape


@pytest.mark.parametrize(
    ("syntax", "line"),
    [
        ("1.2.840.113619.5.2", "1.2.840.113619.5.2 names no transfer syntax of the DICOM standard"),
        ("1.3.46.670589.33.1.4.1", "1.3.46.670589.33.1.4.1 names no transfer syntax"),
        ("1.2.840.10008.1.2.4.99", "1.2.840.10008.1.2.4.99 names no transfer syntax"),
        ("1.2.840.10008.1.2.4.94", "JPIP Referenced.* is not read"),
        ("DOE^JANE", "is no UID"),
    ],
)
def test_a_transfer_syntax_that_is_not_read_is_named(
    tmp_path: Path, syntax: str, line: str
) -> None:
    path = transcoded(plain(tmp_path), uid.JPEGLosslessSV1)
    named = syntax.encode().ljust(22, b"\0")
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.70", named))
    with pytest.raises(CxrlocError, match=line) as error:
        read_radiograph(path)
    assert "JANE" not in str(error.value)


def test_a_file_that_holds_no_image_says_what_it_holds(tmp_path: Path) -> None:
    header = dicom_header(STORED, 12)
    del header.PixelData
    for storage, line in (
        (uid.ComprehensiveSRStorage, "a Comprehensive SR Storage file: it holds no image"),
        (uid.MediaStorageDirectoryStorage, "a Media Storage Directory Storage file: it holds no"),
        (uid.DigitalXRayImageStorageForPresentation, "no PixelData .*or is cut short before it"),
    ):
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = storage
        header.save_as(tmp_path / "a", enforce_file_format=True)
        with pytest.raises(CxrlocError, match=line):
            read_radiograph(tmp_path / "a")


@pytest.mark.parametrize(
    ("keyword", "vr"), [("FloatPixelData", "OF"), ("DoubleFloatPixelData", "OD")]
)
def test_floating_point_pixels_are_named(tmp_path: Path, keyword: str, vr: str) -> None:
    header = dicom_header(STORED, 12)
    del header.PixelData
    header.add_new(keyword, vr, bytes(64))
    header.save_as(tmp_path / "a", enforce_file_format=True)
    with pytest.raises(CxrlocError, match="its pixels are floating-point numbers"):
        read_radiograph(tmp_path / "a")


def test_a_deflated_file_that_grows_too_large_is_refused_before_it_does(tmp_path: Path) -> None:
    header = dicom_header(STORED, 12)
    header.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    header.save_as(tmp_path / "a", enforce_file_format=True)
    content = (tmp_path / "a").read_bytes()
    (length,) = struct.unpack("<I", content[140:144])
    deflating = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflating.compress(bytes(2**24)) + deflating.flush()
    (tmp_path / "a").write_bytes(content[: 144 + length] + bomb)
    with pytest.raises(CxrlocError, match="a deflated DICOM file that grows to more than"):
        read_radiograph(tmp_path / "a", max_megapixels=1.0)


def test_only_a_file_that_ends_early_is_asked_whether_it_is_cut_short(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "a", STORED, 12, raw("PixelSpacing", "DS", b"0.1\\0.1"))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"0.1\\0.1")])
    with pytest.raises(CxrlocError, match="cut short"):
        read_radiograph(path)


def test_pixels_that_announce_more_bytes_than_the_file_has_are_read_with_a_warning(
    tmp_path: Path,
) -> None:
    pixels = (chest(48, 40) * 4095).astype("u2")
    path = write_dicom(tmp_path / "a", pixels, 12, WindowCenter=2048, WindowWidth=4096)
    right = read_radiograph(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xe0\x7f\x10\x00") + 8
    content[at : at + 4] = (10**9).to_bytes(4, "little")
    path.write_bytes(content)
    read = read_radiograph(path)
    assert np.array_equal(read.pixels, right.pixels)
    said = "PixelData (7FE0,0010) ends after 3840 of 1000000000 bytes that it announces"
    assert read.warnings == (said,)
