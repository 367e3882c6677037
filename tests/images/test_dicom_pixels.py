"""Pixel data that was compressed is decoded to the original values."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import gdcm
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder

from cxrloc.errors import CxrlocError
from cxrloc.images import decoder_process
from cxrloc.images.decoder_process import DecodingError, decode_apart, stop_decoders
from cxrloc.images.dicom_pixels import DECODERS
from cxrloc.images.read import read_radiograph
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
    with pytest.raises(CxrlocError, match=r"MPEG2 Main Profile.*is not read$"):
        read_radiograph(tmp_path / "a")


def test_a_decoder_that_dies_costs_one_file_and_the_next_is_read(tmp_path: Path) -> None:
    # gdcm ends its process on a frame header of one bit; the check of the header is left out here.
    path = write_twelve_bit(tmp_path / "a", np.zeros((2, 3), dtype=int))
    good = read_radiograph(path)
    request = {"syntax": "1.2.840.10008.1.2.4.51", "plugin": "gdcm", "extended": True}
    frame = get_frame(dcmread(path).PixelData, 0)
    fatal = bytearray(frame)
    fatal[frame.index(b"\xff\xc1") + 4] = 1
    options = {
        "rows": 16,
        "columns": 24,
        "samples_per_pixel": 1,
        "bits_stored": 12,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
    }
    with pytest.raises(DecodingError):
        decode_apart({**request, "options": options}, bytes(fatal))
    assert np.array_equal(read_radiograph(path).pixels, good.pixels)


def test_a_decoder_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_decoders()
    monkeypatch.setattr(
        decoder_process, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)")
    )
    monkeypatch.setattr(decoder_process, "CPU_SECONDS", 0.02)
    with pytest.raises(DecodingError, match="does not survive"):
        decode_apart({"options": {"rows": 1, "columns": 1}}, b"")


def test_a_waiting_decoder_that_was_ended_from_outside_costs_no_file(tmp_path: Path) -> None:
    path = write_twelve_bit(tmp_path / "a", np.zeros((2, 3), dtype=int))
    good = read_radiograph(path)
    for process in decoder_process._IDLE:
        process.kill()
        process.wait()
    assert np.array_equal(read_radiograph(path).pixels, good.pixels)


def test_threads_decode_side_by_side(tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).integers(0, 4096, (8, 4, 5))
    paths = [write_twelve_bit(tmp_path / str(index), each) for index, each in enumerate(blocks)]
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(read_radiograph, paths * 4))
    for radiograph, block in zip(read, [*blocks] * 4, strict=True):
        assert np.abs(radiograph.pixels - np.kron(block, np.ones((8, 8))) / 4095).max() <= 1e-6


def test_plain_files_start_no_decoder(tmp_path: Path) -> None:
    stop_decoders()
    read_radiograph(write_dicom(tmp_path / "a", np.zeros((8, 8), dtype="u2"), 12))
    assert not decoder_process._IDLE


def encapsulated(path: Path, pixels: np.ndarray, syntax: uid.UID, stream: bytes) -> Path:
    """A DICOM file of these pixels whose compressed stream is this one."""
    bits = 8 * pixels.itemsize
    header = dicom_header(pixels, bits, WindowCenter=2 ** (bits - 1), WindowWidth=2**bits)
    header.file_meta.TransferSyntaxUID = syntax
    header.PixelData = encapsulate([stream])
    header["PixelData"].VR = "OB"
    header.save_as(path, enforce_file_format=True)
    return path


def stream_of(syntax: uid.UID, pixels: np.ndarray, folder: Path) -> bytes:
    if syntax == uid.JPEGBaseline8Bit:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        return buffer.getvalue()
    path = transcoded(write_dicom(folder / "plain", pixels, 8 * pixels.itemsize), syntax)
    return get_frame(dcmread(path).PixelData, 0)


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize(
    "syntax",
    [
        uid.JPEGBaseline8Bit,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
        uid.RLELossless,
    ],
)
def test_a_stream_that_is_cut_before_its_end_marker_is_never_read_in_silence(
    tmp_path: Path, syntax: uid.UID, share: float
) -> None:
    levels = np.random.default_rng(0).normal(0.0, 0.02, (48, 40)) + chest(48, 40)
    eight = syntax == uid.JPEGBaseline8Bit
    pixels = (levels.clip(0, 1) * (255 if eight else 65_535)).astype("u1" if eight else "u2")
    whole = stream_of(syntax, pixels, tmp_path)
    assert read_radiograph(encapsulated(tmp_path / "a", pixels, syntax, whole)).warnings == ()
    end = b"" if syntax == uid.RLELossless else b"\xff\xd9"
    cut = encapsulated(tmp_path / "a", pixels, syntax, whole[: int(len(whole) * share)] + end)
    try:
        (message,) = read_radiograph(cut).warnings
    except CxrlocError as error:
        message = str(error)
    assert re.search("cannot be decoded|part of the image may be missing or wrong", message)


@pytest.mark.parametrize("label", ["YBR_FULL_422", "YBR_PARTIAL_422"])
def test_whole_samples_under_a_label_of_half_rate_chrominance_are_grey(
    tmp_path: Path, label: str
) -> None:
    grey = (chest(48, 40) * 255).astype("u1")
    header = dicom_header(grey, 8, SamplesPerPixel=3, PhotometricInterpretation=label)
    header.PlanarConfiguration, header.PixelData = 0, np.stack([grey] * 3, axis=2).tobytes()
    header.save_as(tmp_path / "a", enforce_file_format=True)
    radiograph = read_radiograph(tmp_path / "a")
    order = np.argsort(grey, axis=None, kind="stable")
    assert (np.diff(radiograph.pixels.ravel()[order]) >= 0).all()
    assert "three equal channels, and read as grey" in radiograph.warnings[0]


def test_a_jpeg_2000_stream_without_all_its_tiles_is_refused(tmp_path: Path) -> None:
    pixels = (chest(96, 80) * 255).astype("u1")
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", tile_size=(40, 48), no_jp2=True)
    head, *parts = buffer.getvalue()[:-2].split(b"\xff\x90\x00\x0a")
    assert len(parts) == 4
    for count in range(1, 5):
        stream = b"\xff\x90\x00\x0a".join([head, *parts[:count]]) + b"\xff\xd9"
        path = encapsulated(tmp_path / "a", pixels, uid.JPEG2000, stream)
        if count == 4:
            assert np.abs(read_radiograph(path).pixels - pixels / 255).max() < 0.01
        else:
            with pytest.raises(CxrlocError, match=rf"tiles are missing \({4 - count}\)"):
                read_radiograph(path)


def rewritten(path: Path, **tags: object) -> Path:
    """The file with other header values, its pixels as they are."""
    header = dcmread(path)
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    header.save_as(path)
    return path


CHEST = (chest(64, 56) * 4095).astype("u2")


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless])
@pytest.mark.parametrize(
    ("tags", "line"),
    [
        (
            {"Rows": 60},
            "the stream has 64 rows x 56 columns of 1 x .*, but the header says 60",
        ),
        ({"Columns": 57}, "but the header says 64 rows x 57 columns"),
        (
            {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
            "the header says .* of 1 x 8 bits",
        ),
        ({"BitsStored": 10, "HighBit": 9}, "uses more than the 10 of BitsStored"),
    ],
)
def test_a_stream_of_another_size_or_depth_than_the_header_is_an_error(
    tmp_path: Path, syntax: uid.UID, tags: dict, line: str
) -> None:
    path = rewritten(transcoded(write_dicom(tmp_path / "a", CHEST, 12), syntax), **tags)
    with pytest.raises(CxrlocError, match=line):
        read_radiograph(path)


@pytest.mark.parametrize(
    ("tags", "line"),
    [
        (
            {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11},
            "stream has 64 rows x 56 columns of 1 x 8 bits, but .* of 1 x 12 bits",
        ),
        (
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
            "stream has .* of 1 x 8 bits, but .* of 3 x 8 bits",
        ),
    ],
)
def test_a_baseline_jpeg_of_another_depth_is_an_error(
    tmp_path: Path, tags: dict, line: str
) -> None:
    path = write_dicom(tmp_path / "a", (CHEST >> 4).astype("u1"), 8)
    path = rewritten(transcoded(path, uid.JPEGBaseline8Bit), **tags)
    with pytest.raises(CxrlocError, match=line):
        read_radiograph(path)


@pytest.mark.parametrize("dtype", ["u2", "i2"])
@pytest.mark.parametrize("syntax", [uid.JPEG2000, uid.JPEGLSNearLossless, uid.HTJ2K])
def test_what_a_lossy_codec_returns_beyond_the_stored_bits_is_clipped(
    tmp_path: Path, syntax: uid.UID, dtype: str
) -> None:
    # Values that end at the top of 12 bits, in a stream of 16: a few come out above 4095.
    over = np.where(CHEST > 3000, 4200, CHEST).astype("i4") - (dtype == "i2") * 2048
    window = {"WindowCenter": 2048 if dtype == "u2" else 0, "WindowWidth": 4096}
    path = write_dicom(tmp_path / "a", over.astype(dtype), 16, **window)
    lossless = {uid.JPEG2000: uid.JPEG2000Lossless, uid.HTJ2K: uid.JPEG2000Lossless}
    header = dcmread(path)
    header.compress(lossless.get(syntax, uid.JPEGLSLossless), generate_instance_uid=False)
    header.file_meta.TransferSyntaxUID = syntax
    header.BitsStored, header.HighBit = 12, 11
    header.save_as(path)
    low = 0 if dtype == "u2" else -2048
    stored = np.clip(over, low, low + 4095).astype(dtype)
    plain = read_radiograph(write_dicom(tmp_path / "plain", stored, 12, **window))
    assert np.array_equal(read_radiograph(path).pixels, plain.pixels)


@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_bits_above_the_stored_ones_are_warned_of(tmp_path: Path, dtype: str) -> None:
    stored = CHEST.astype("i4") - (dtype == "i2") * 2048
    path = write_dicom(tmp_path / "a", stored.astype(dtype), 10)
    (line,) = [line for line in read_radiograph(path).warnings if "bits above" in line]
    share = (stored >= 1024).mean() if dtype == "u2" else ((stored < -512) | (stored > 1023)).mean()
    assert line.startswith(f"{100 * share:.3g} % of the pixels use bits above BitsStored")
    clean = read_radiograph(write_dicom(tmp_path / "b", stored.astype(dtype), 12))
    assert not any("bits above" in line for line in clean.warnings)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_declared_overlay_above_the_stored_bits_is_left_out_in_silence(
    tmp_path: Path, encoded: bool
) -> None:
    header = dicom_header(CHEST | 0x8000, 12, WindowCenter=2000, WindowWidth=3000)
    header.add_new(0x60000102, "US", 15)
    if encoded:
        header.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    header.save_as(tmp_path / "a", enforce_file_format=True)
    radiograph = read_radiograph(tmp_path / "a")
    plain = write_dicom(tmp_path / "plain", CHEST, 12, WindowCenter=2000, WindowWidth=3000)
    assert np.array_equal(radiograph.pixels, read_radiograph(plain).pixels)
    assert radiograph.warnings == ()


@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_a_high_bit_that_the_pixels_contradict_is_put_right_and_said(
    tmp_path: Path, dtype: str
) -> None:
    stored = (CHEST.astype("i4") - (dtype == "i2") * 2048).astype(dtype)
    radiograph = read_radiograph(write_dicom(tmp_path / "a", stored, 12, HighBit=15))
    assert np.array_equal(
        radiograph.pixels, read_radiograph(write_dicom(tmp_path / "b", stored, 12)).pixels
    )
    assert any("HighBit (0028,0102) is 15, but" in line for line in radiograph.warnings)


@pytest.mark.parametrize("zeros", [1, 2, 7])
def test_zero_bytes_before_the_end_of_a_jpeg_ls_stream_do_no_harm(
    tmp_path: Path, zeros: int
) -> None:
    plain = write_dicom(tmp_path / "a", CHEST, 12)
    path = transcoded(plain, uid.JPEGLSLossless)
    header = dcmread(path)
    stream = get_frame(header.PixelData, 0).rstrip(b"\0")
    header.PixelData = encapsulate([stream[:-2] + bytes(zeros) + stream[-2:]])
    header.save_as(path)
    radiograph = read_radiograph(path)
    assert np.array_equal(radiograph.pixels, read_radiograph(plain).pixels)
    assert any("zero bytes before the end marker" in line for line in radiograph.warnings)


def test_pixels_of_8_bits_in_swapped_words_are_read_to_the_last_odd_one(tmp_path: Path) -> None:
    """PS3.5 A.3: in big endian, OW pixels lie two to a word, the first in its low byte."""
    pixels = (chest(63, 55) * 255).astype("u1")
    header = dicom_header(pixels, 8)
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    swapped = np.frombuffer(pixels.tobytes() + b"\0", "<u2").byteswap().tobytes()
    header.add_new("PixelData", "OW", swapped)
    header.save_as(tmp_path / "a", enforce_file_format=True)
    assert np.abs(read_radiograph(tmp_path / "a").pixels - pixels / 255).max() <= 1e-6


@pytest.mark.parametrize("signed", [0, 1])
def test_a_jpeg_2000_stream_that_contradicts_the_header_about_the_sign_is_said(
    tmp_path: Path, signed: int
) -> None:
    """As in pydicom, the header tells what the stored bits mean."""
    pixels = (CHEST.astype("i2") - 2048) if signed else CHEST
    path = write_dicom(tmp_path / "a", pixels, 12)
    header = dcmread(path)
    header.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    header.PixelRepresentation = 1 - signed
    header.save_as(path)
    radiograph = read_radiograph(path)
    assert any("disagree about the sign" in line for line in radiograph.warnings)
    low = 0 if signed else -2048
    expected = (dcmread(path).pixel_array - low) / 4095
    assert np.abs(radiograph.pixels - expected).max() <= 1e-6


GREY = CHEST >> 4
COLOURS = {
    "RGB": ("RGB", [GREY, GREY, GREY], ""),
    "YBR_FULL": ("YBR_FULL", [GREY, GREY * 0 + 128, GREY * 0 + 128], ""),
    "RGB, called YBR_FULL": ("YBR_FULL", [GREY, GREY, GREY], "three equal channels"),
    "RGB, called YBR_ICT": ("YBR_ICT", [GREY, GREY, GREY], "three equal channels"),
    "YBR_FULL, called RGB": ("RGB", [GREY, GREY * 0 + 128, GREY * 0 + 128], "luminance without"),
    "RGB, called grey": ("MONOCHROME2", [GREY, GREY, GREY], "but SamplesPerPixel (0028,0002) is 3"),
    "RGB, called dark": ("MONOCHROME1", [255 - GREY] * 3, "but SamplesPerPixel (0028,0002) is 3"),
}
CODED = (None, uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLSLossless)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("case", COLOURS)
@pytest.mark.parametrize("big", [False, True])
def test_grey_in_three_channels_is_grey_whatever_its_label(
    tmp_path: Path, case: str, planar: int, big: bool
) -> None:
    label, channels, warned = COLOURS[case]
    radiograph = read_radiograph(
        write_colour(tmp_path / "a", channels, label, planar=planar, big=big)
    )
    assert np.abs(radiograph.pixels - GREY / 255).max() <= 1e-6
    about = [line for line in radiograph.warnings if "PhotometricInterpretation" in line]
    assert [warned in line for line in about if "looks inverted" not in line] == [True] * bool(
        warned
    )
    assert radiograph.intensity.endswith(", inverted") == (label == "MONOCHROME1")


def write_colour(
    path: Path,
    channels: list[np.ndarray],
    label: str,
    planar: int = 0,
    big: bool = False,
    bits: int = 8,
    **tags: object,
) -> Path:
    """A colour file; what grey images have beside (window, padding, LUTs) must change nothing."""
    header = dicom_header(channels[0].astype(f"u{bits // 8}"), bits, SamplesPerPixel=3)
    header.PhotometricInterpretation, header.PlanarConfiguration = label, planar
    header.WindowCenter, header.WindowWidth = 2048, 4096
    header.RescaleSlope, header.RescaleIntercept = 3, -9
    header.PixelPaddingValue, header.PresentationLUTShape = 255, "INVERSE"
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    pixels = np.stack(channels, axis=0 if planar else 2).astype(f"u{bits // 8}")
    if big:
        header.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
        pixels = pixels if bits == 8 else pixels.byteswap()
    header.PixelData = pixels.tobytes()
    header["PixelData"].VR = "OB" if bits == 8 else "OW"
    header.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_compressed_grey_in_three_channels_is_grey(
    tmp_path: Path, syntax: uid.UID, label: str
) -> None:
    chroma = GREY * 0 + 128 if label == "YBR_FULL" else GREY
    written = "RGB" if label == "MONOCHROME2" else label  # encoders know no grey of three channels
    path = write_colour(tmp_path / "a", [GREY, chroma, chroma], written)
    header = dcmread(path)
    if syntax == uid.JPEG2000Lossless and label == "YBR_FULL":
        pytest.skip("JPEG 2000 has its own names for colour")
    header.compress(syntax, generate_instance_uid=False)
    header.PhotometricInterpretation = label
    header.save_as(path)
    assert np.abs(read_radiograph(path).pixels - GREY / 255).max() <= 1e-6


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL", "YBR_FULL_422", "MONOCHROME2"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_baseline_jpeg_of_grey_in_three_channels_is_grey(
    tmp_path: Path, label: str, subsampling: str
) -> None:
    buffer = BytesIO()
    grey = Image.fromarray(GREY.astype("u1")).convert("RGB")
    grey.save(buffer, "JPEG", quality=98, subsampling=subsampling)
    path = write_colour(tmp_path / "a", [GREY] * 3, label)
    header = dcmread(path)
    header.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    header.PixelData = encapsulate([buffer.getvalue()])
    header.save_as(path)
    assert np.abs(read_radiograph(path).pixels - GREY / 255).mean() <= 0.01


def test_half_rate_chrominance_is_read(tmp_path: Path) -> None:
    # PS3.3 C.7.6.3.1.2: Y1 Y2 Cb Cr for every two pixels; in YBR_PARTIAL, black is 16, white 235.
    pairs = GREY.reshape(64, 28, 2).astype("u1")
    middle = np.full((64, 28, 2), 128, dtype="u1")
    for label in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        luminance = pairs if "FULL" in label else (16 + pairs * (219 / 255)).round().astype("u1")
        path = write_colour(tmp_path / label, [GREY] * 3, label)
        header = dcmread(path)
        header.PixelData = np.concatenate([luminance, middle], axis=2).tobytes()
        header.save_as(path)
        assert np.abs(read_radiograph(path).pixels - GREY / 255).max() <= 1 / 255


def test_16_bit_colour_keeps_its_depth(tmp_path: Path) -> None:
    path = write_colour(tmp_path / "a", [CHEST * 16] * 3, "RGB", bits=16)
    assert np.abs(read_radiograph(path).pixels - CHEST * 16 / 65_535).max() <= 1e-6


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL", "MONOCHROME2"])
def test_real_colour_is_an_error_under_either_label(tmp_path: Path, label: str) -> None:
    marked = GREY.copy()
    marked[20:30, 20:30] = 255
    with pytest.raises(CxrlocError, match="a colour image"):
        read_radiograph(write_colour(tmp_path / "a", [marked, GREY, GREY // 2], label))


@pytest.mark.parametrize("syntax", [uid.JPEG2000, uid.JPEGLSNearLossless])
def test_a_lossy_stream_that_is_far_deeper_than_its_header_is_an_error(
    tmp_path: Path, syntax: uid.UID
) -> None:
    lossless = uid.JPEG2000Lossless if syntax == uid.JPEG2000 else uid.JPEGLSLossless
    header = dcmread(transcoded(write_dicom(tmp_path / "a", CHEST, 12), lossless))
    header.file_meta.TransferSyntaxUID = syntax
    header.BitsStored, header.HighBit = 10, 9
    header.save_as(tmp_path / "a")
    with pytest.raises(CxrlocError, match="uses more than the 10 of BitsStored"):
        read_radiograph(tmp_path / "a")


def test_negative_values_of_near_lossless_jpeg_ls_keep_their_order(tmp_path: Path) -> None:
    stored = (CHEST.astype("i4") - 2048).astype("i2")
    window = {"WindowCenter": 0, "WindowWidth": 4096}
    plain = write_dicom(tmp_path / "a", stored, 12, **window)
    header = dcmread(plain)
    header.compress(uid.JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)
    header.save_as(tmp_path / "b")
    differ = read_radiograph(tmp_path / "b").pixels - read_radiograph(plain).pixels
    assert np.abs(differ).max() <= 3 / 4095


def test_bits_above_the_stored_ones_of_an_rle_stream_are_warned_of(tmp_path: Path) -> None:
    header = dcmread(transcoded(write_dicom(tmp_path / "a", CHEST, 12), uid.RLELossless))
    header.BitsStored, header.HighBit = 10, 9
    header.save_as(tmp_path / "a")
    assert any("bits above BitsStored" in line for line in read_radiograph(tmp_path / "a").warnings)


@pytest.mark.parametrize(
    ("shift", "above", "high_bit"), [(0, 0, 11), (4, 0, 15), (2, 0, 13), (0, 0xF000, 11)]
)
@pytest.mark.parametrize("big", [False, True])
def test_the_stored_bits_of_colour_are_those_of_the_header(
    tmp_path: Path, shift: int, above: int, high_bit: int, big: bool
) -> None:
    words = CHEST << shift | above
    tags = {"BitsStored": 12, "HighBit": high_bit}
    path = write_colour(tmp_path / "a", [words] * 3, "RGB", bits=16, big=big, **tags)
    radiograph = read_radiograph(path)
    assert np.abs(radiograph.pixels - CHEST / 4095).max() <= 1e-6
    warned = ["bits above BitsStored" in line for line in radiograph.warnings]
    assert warned == [True] * bool(above)


def test_of_several_frames_in_colour_the_first_is_read_in_silence(tmp_path: Path) -> None:
    path = write_colour(tmp_path / "a", [GREY] * 3, "RGB", NumberOfFrames=2)
    header = dcmread(path)
    header.PixelData = 2 * header.PixelData
    header.save_as(path)
    (warned,) = read_radiograph(path).warnings
    assert warned == "NumberOfFrames (0028,0008) is above 1: the first frame is read"
