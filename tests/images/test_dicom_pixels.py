"""Compressed pixel data comes out as it went in."""

import re
from pathlib import Path

import gdcm
import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder

from cxrloc.images.dicom_pixels import DECODERS
from cxrloc.images.read import read_radiograph
from cxrloc.types import CxrlocError
from tests.images.dicom_files import chest, dicom_header, twelve_bit_jpeg, write_dicom

LOSSLESS = 0
GDCM_NAMES = {
    uid.JPEGBaseline8Bit: gdcm.TransferSyntax.JPEGBaselineProcess1,
    uid.JPEGExtended12Bit: gdcm.TransferSyntax.JPEGExtendedProcess2_4,
    uid.JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    uid.JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    uid.JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
    uid.JPEG2000Lossless: gdcm.TransferSyntax.JPEG2000Lossless,
    uid.JPEG2000: gdcm.TransferSyntax.JPEG2000,
    uid.RLELossless: gdcm.TransferSyntax.RLELossless,
    uid.ExplicitVRBigEndian: gdcm.TransferSyntax.ExplicitVRBigEndian,
    uid.ImplicitVRLittleEndian: gdcm.TransferSyntax.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian: gdcm.TransferSyntax.DeflatedExplicitVRLittleEndian,
}


def transcoded(path: Path, syntax: uid.UID) -> Path:
    """The same image through gdcm's encoder."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(GDCM_NAMES[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    out = path.with_name("transcoded")
    writer.SetFileName(str(out))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert dcmread(out).file_meta.TransferSyntaxUID == syntax
    return out


@pytest.mark.parametrize(
    ("syntax", "bits", "dtype", "levels"),
    [
        (uid.ImplicitVRLittleEndian, 12, "u2", LOSSLESS),
        (uid.DeflatedExplicitVRLittleEndian, 12, "u2", LOSSLESS),
        (uid.ExplicitVRBigEndian, 12, "u2", LOSSLESS),
        (uid.ExplicitVRBigEndian, 12, "i2", LOSSLESS),
        (uid.ExplicitVRBigEndian, 8, "u1", LOSSLESS),
        (uid.RLELossless, 12, "u2", LOSSLESS),
        (uid.RLELossless, 12, "i2", LOSSLESS),
        (uid.JPEGBaseline8Bit, 8, "u1", 8),
        (uid.JPEGExtended12Bit, 8, "u1", 8),
        (uid.JPEGLossless, 12, "u2", LOSSLESS),
        (uid.JPEGLosslessSV1, 8, "u1", LOSSLESS),
        (uid.JPEGLosslessSV1, 16, "u2", LOSSLESS),
        (uid.JPEGLSLossless, 12, "u2", LOSSLESS),
        (uid.JPEG2000Lossless, 12, "u2", LOSSLESS),
        (uid.JPEG2000Lossless, 12, "i2", LOSSLESS),
        (uid.JPEG2000, 12, "u2", LOSSLESS),
    ],
)
def test_an_encoded_image_has_the_grey_levels_of_the_plain_one(
    tmp_path: Path, syntax: uid.UID, bits: int, dtype: str, levels: int
) -> None:
    stored = (chest() * (2**bits - 1)).astype(np.int64) - (dtype == "i2") * 2 ** (bits - 1)
    path = write_dicom(tmp_path / "plain", stored.astype(dtype), bits)
    plain, coded = read_radiograph(path), read_radiograph(transcoded(path, syntax))
    assert np.abs(plain.pixels - coded.pixels).max() <= levels / (2**bits - 1) + 1e-7


def test_near_lossless_jpeg_ls_keeps_its_promise(tmp_path: Path) -> None:
    stored = (chest() * 4095).astype("u2")
    plain = read_radiograph(write_dicom(tmp_path / "plain", stored, 12))
    header = dicom_header(stored, 12)
    header.compress(uid.JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)
    header.save_as(tmp_path / "near", enforce_file_format=True)
    difference = np.abs(plain.pixels - read_radiograph(tmp_path / "near").pixels)
    assert 0 < difference.max() <= 2.5 / 4095


@pytest.mark.parametrize("syntax", DECODERS)
def test_every_compressed_syntax_has_its_decoder(syntax: uid.UID) -> None:
    assert DECODERS[syntax].plugin in get_decoder(syntax).available_plugins


@pytest.mark.parametrize(
    ("syntax", "package"),
    [
        (uid.JPEGLosslessSV1, "python-gdcm"),
        (uid.JPEGExtended12Bit, "python-gdcm"),
        (uid.JPEGLSLossless, "pyjpegls"),
        (uid.HTJ2KLossless, "pylibjpeg pylibjpeg-openjpeg"),
    ],
)
def test_a_missing_decoder_is_an_error_that_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: uid.UID, package: str
) -> None:
    monkeypatch.setattr(get_decoder(syntax), "_available", {})
    header = dicom_header(np.zeros((8, 8), dtype="u2"), 12)
    header.PixelData = encapsulate([bytes(64)])
    header["PixelData"].VR = "OB"
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(tmp_path / "a", enforce_file_format=True)
    with pytest.raises(CxrlocError, match=rf"{re.escape(syntax.name)}.*pip install {package}"):
        read_radiograph(tmp_path / "a")


def write_twelve_bit(path: Path, blocks: np.ndarray) -> Path:
    flat = np.kron(blocks, np.ones((8, 8), dtype=int)).astype("u2")
    header = dicom_header(flat, 12)
    header.file_meta.TransferSyntaxUID = uid.JPEGExtended12Bit
    header.PixelData = encapsulate([twelve_bit_jpeg(blocks)])
    header["PixelData"].VR = "OB"
    header.save_as(path, enforce_file_format=True)
    return path


def test_12_bit_jpeg_is_decoded(tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).integers(0, 4096, (5, 7))
    pixels = read_radiograph(write_twelve_bit(tmp_path / "a", blocks)).pixels
    assert np.abs(pixels - np.kron(blocks, np.ones((8, 8))) / 4095).max() <= 1e-6


@pytest.mark.parametrize(
    ("at", "why"),
    [(5, "a table's length: gdcm would end the process"), (75, "the frame's height")],
)
def test_a_stream_that_contradicts_itself_or_its_header_is_an_error(
    tmp_path: Path, at: int, why: str
) -> None:
    path = write_twelve_bit(tmp_path / "a", np.zeros((2, 3), dtype=int))
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\xd8\xff\xdb")
    content[start + at] ^= 0x11
    path.write_bytes(content)
    with pytest.raises(CxrlocError, match=r"JPEG Extended.*cannot be decoded"):
        read_radiograph(path)


def test_a_syntax_that_nothing_reads_is_an_error_that_names_it(tmp_path: Path) -> None:
    header = dicom_header(np.zeros((8, 8), dtype="u1"), 8)
    header.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    header.PixelData = encapsulate([bytes(64)])
    header.save_as(tmp_path / "a", enforce_file_format=True)
    with pytest.raises(CxrlocError, match=r"MPEG2 Main Profile.*is not read: convert"):
        read_radiograph(tmp_path / "a")
