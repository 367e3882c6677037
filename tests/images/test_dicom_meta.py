"""A transfer syntax is found where it stands, and one that is not read is named."""

import struct
from pathlib import Path

import pytest
from pydicom import uid

from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from tests.images.test_dicom_file import STORED, agrees_but_says, plain
from tests.images.test_dicom_pixels import transcoded


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
        ("1.2.840.113619.5.2", r"of a vendor or unknown \(1[.\d]+\) is not read$"),
        ("1.3.46.670589.33.1.4.1", r"of a vendor or unknown \(1[.\d]+\) is not read$"),
        ("1.2.840.10008.1.2.4.99", r"of a vendor or unknown \(1[.\d]+\) is not read$"),
        ("1.2.840.10008.1.2.4.94", "JPIP Referenced .* is not read$"),
        ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression .* is not read$"),
        ("1.2.840.10008.1.2.4.53", "Process 6 and 8.* is not read: convert .* `gdcmconv --raw`$"),
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


def test_a_missing_transfer_syntax_is_told_by_the_first_element_and_said(tmp_path: Path) -> None:
    path = plain(tmp_path).rename(tmp_path / "a")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b" " * 20, 1))
    assert agrees_but_says(path, tmp_path, "TransferSyntaxUID (0002,0010) is missing")
