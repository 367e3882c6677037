"""Files with known damage are read as in other viewers, and a warning names the damage."""

import struct
import threading
import zlib
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, config, uid
from pydicom.filereader import read_dataset

from cxrloc.errors import CxrlocError
from cxrloc.images import dicom_file
from cxrloc.images.dicom_file import read_dicom_header
from cxrloc.images.read import read_radiograph
from cxrloc.images.size import image_size
from tests.images.dicom_files import chest, dicom_header, raw, write_dicom, write_raw

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
    warnings = [line for line in radiograph.warnings if "DICOM" in line or "(" in line]
    assert [sentence in line for line in warnings] == [True]
    return bool(np.array_equal(radiograph.pixels, expected))


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


@pytest.mark.parametrize("vr", ["CS", "LO", "UN", "OB"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
@pytest.mark.parametrize("named", [b"ISO_IR 100\0X", b"\xff\xfe", b"ISO_IR 192\\\0"])
def test_a_character_set_in_any_vr_does_no_harm(
    tmp_path: Path, vr: str, order: str, named: bytes
) -> None:
    header = dicom_header(
        STORED if order == "<" else STORED.byteswap(), 12, WindowCenter=2000, WindowWidth=3000
    )
    if order == ">":
        header.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    header.save_as(tmp_path / "a", enforce_file_format=True)
    content = (tmp_path / "a").read_bytes()
    value = named + b" " * (len(named) % 2)
    long = vr in ("UN", "OB")
    length = struct.pack(f"{order}I" if long else f"{order}H", len(value))
    tag = struct.pack(f"{order}HH", 0x0008, 0x0005) + vr.encode() + bytes(2 * long)
    at = content.index(struct.pack(f"{order}HH", 0x0008, 0x0016), 140)  # SOP Class UID
    (tmp_path / "a").write_bytes(content[:at] + tag + length + value + content[at:])
    assert np.array_equal(
        read_radiograph(tmp_path / "a").pixels, read_radiograph(plain(tmp_path)).pixels
    )


@pytest.mark.parametrize(
    ("true", "stated"),
    [
        (uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian),
        (uid.ExplicitVRBigEndian, uid.ExplicitVRLittleEndian),
        (uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRLittleEndian),
        (uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian),
    ],
)
def test_a_data_set_that_is_not_as_its_transfer_syntax_says_is_named(
    tmp_path: Path, true: uid.UID, stated: uid.UID
) -> None:
    big = true == uid.ExplicitVRBigEndian
    header = dicom_header(STORED.byteswap() if big else STORED, 12)
    header.file_meta.TransferSyntaxUID = true
    header.save_as(tmp_path / "a", enforce_file_format=True)
    content = (tmp_path / "a").read_bytes()
    content = content.replace(true.encode() + b"\0" * (len(true) % 2), stated.encode(), 1)
    at = content.index(stated.encode())
    even = stated.encode() + b"\0" * (len(stated) % 2)
    content = content[: at - 2] + struct.pack("<H", len(even)) + even + content[at + len(stated) :]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CxrlocError, match=r"TransferSyntaxUID \(0002,0010\)") as error:
        read_radiograph(tmp_path / "a")
    assert "cut short" not in str(error.value)


def test_a_header_of_endless_items_is_refused_at_once(tmp_path: Path) -> None:
    path = plain(tmp_path)
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\0")
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 120_000
    sequence = b"\x29\0\x10\x10SQ\0\0\xff\xff\xff\xff" + items + b"\xfe\xff\xdd\xe0\0\0\0\0"
    path.write_bytes(content[:at] + sequence + content[at:])
    with pytest.raises(CxrlocError, match="a damaged DICOM file"):
        read_radiograph(path)


@pytest.mark.parametrize("vr", [b"??", b"lo", b"\0\0", b"Z1"])
def test_an_element_of_an_unknown_value_representation_is_passed_over_and_said(
    tmp_path: Path, vr: bytes
) -> None:
    """DCMTK shows such files: it takes the length as one of two bytes."""
    path = plain(tmp_path).rename(tmp_path / "a")
    content = path.read_bytes()
    at = content.index(b"\x18\x00\x15\x00CS")  # before BodyPartExamined
    private = b"\x09\x00\x10\x00LO\x04\x00ACME" + b"\x09\x00\x01\x10" + vr + b"\x04\x00abcd"
    path.write_bytes(content[:at] + private + content[at:])
    if vr == b"Z1":  # pydicom itself reads an unknown name of two capitals so
        assert read_radiograph(path).warnings == read_radiograph(plain(tmp_path)).warnings
    else:
        assert agrees_but_says(path, tmp_path, "unknown value representation (VR) are ignored")


def test_no_thread_reads_a_header_under_the_setting_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, damaged = plain(tmp_path), tmp_path / "damaged"
    at = path.read_bytes().index(b"\x18\x00\x15\x00CS")
    unknown = b"\x09\x00\x01\x10??\x04\x00abcd"
    damaged.write_bytes(path.read_bytes()[:at] + unknown + path.read_bytes()[at:])
    settings: list[bool] = []
    others: list[threading.Thread] = []

    def rows_of(file: Path) -> int:
        with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
            return int(read_dicom_header(file, data, ["Rows"]).Rows)

    def reading(*arguments: Any, **options: Any) -> Dataset:
        if not config.assume_implicit_vr_switch and not others:
            others.append(threading.Thread(target=rows_of, args=[path]))
            others[0].start()
            others[0].join(0.05)  # seconds in which it could read the header many times
        settings.append(config.assume_implicit_vr_switch)
        return read_dataset(*arguments, **options)

    monkeypatch.setattr(dicom_file, "read_dataset", reading)
    assert rows_of(damaged) == STORED.shape[0]
    others[0].join()
    assert settings == [True, False, True]  # the damaged file, its repair, then the other thread


def test_a_deflated_data_set_with_a_header_of_zlib_is_read_and_said(tmp_path: Path) -> None:
    content = plain(tmp_path).read_bytes()
    at = content.index(b"\x08\x00\x16\x00UI")
    head = content[:at].replace(
        b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x16\x001.2.840.10008.1.2.1.99"
    )
    path = tmp_path / "a"
    path.write_bytes(head + zlib.compress(content[at:]))
    assert agrees_but_says(path, tmp_path, "a header of zlib, which DICOM does not allow")
