"""Any file becomes a radiograph or one clear error line."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread, uid
from pydicom.encaps import get_frame
from skimage import io

from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import chest, dicom_header, twelve_bit_jpeg, write_dicom
from tests.images.test_dicom_pixels import transcoded

GREY8 = (chest() * 255).round().astype(np.uint8)
GREY16 = (chest() * 65_535).round().astype(np.uint16)


def opaque(channels: list[np.ndarray]) -> np.ndarray:
    return np.stack([*channels, np.full_like(channels[0], np.iinfo(channels[0].dtype).max)], axis=2)


@pytest.mark.parametrize(
    ("stored", "bits"),
    [
        (GREY8, 8),
        (GREY16, 16),
        (np.stack([GREY8] * 3, axis=2), 8),
        (np.stack([GREY16] * 3, axis=2), 16),
        (opaque([GREY8] * 3), 8),
        (opaque([GREY16] * 3), 16),
        (opaque([GREY8]), 8),
        (opaque([GREY16]), 16),
    ],
    ids=["grey", "grey 16", "RGB", "RGB 16", "RGBA", "RGBA 16", "grey alpha", "grey alpha 16"],
)
def test_png_keeps_its_depth(tmp_path: Path, stored: np.ndarray, bits: int) -> None:
    write_png(tmp_path / "a.png", stored)
    radiograph = read_radiograph(tmp_path / "a.png")
    expected = (stored if stored.ndim == 2 else stored[..., 0]) / (2**bits - 1)
    assert np.abs(radiograph.pixels - expected).max() < 1e-6
    assert (radiograph.bits_stored, radiograph.file_format) == (bits, "PNG")


def write_png(path: Path, stored: np.ndarray) -> None:
    """A PNG of any depth and channels, put together by hand: few writers do them all."""
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = stored.astype(f">u{stored.itemsize}").reshape(len(stored), -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = struct.pack(
        ">IIBBBBB", stored.shape[1], len(stored), 8 * stored.itemsize, colour, 0, 0, 0
    )
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def test_a_palette_png_of_greys_is_read(tmp_path: Path) -> None:
    Image.fromarray(GREY8).convert("P").save(tmp_path / "a.png")
    assert np.abs(read_radiograph(tmp_path / "a.png").pixels - GREY8 / 255).max() < 1e-6


def test_12_bits_in_a_16_bit_png_are_stretched_and_said(tmp_path: Path) -> None:
    Image.fromarray(GREY16 // 16).save(tmp_path / "a.png")
    radiograph = read_radiograph(tmp_path / "a.png")
    assert radiograph.pixels.max() > 0.9
    assert "most of the 16 bits are unused" in radiograph.warnings[0]


def test_a_path_may_be_a_string_and_none_says_that_the_image_is_absent(tmp_path: Path) -> None:
    Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(tmp_path / "a.png")
    assert read_radiograph(str(tmp_path / "a.png")).pixels.shape == (4, 4)
    with pytest.raises(CxrlocError, match="its image is not on this disk"):
        read_radiograph(None)


def test_a_blank_image_is_read_with_a_warning(tmp_path: Path) -> None:
    blank, dotted = np.full((40, 40), 7, dtype=np.uint8), np.full((40, 40), 7, dtype=np.uint8)
    dotted[35, 20] = 8  # brighter in the middle, as a chest is
    for name, pixels in (("blank.png", blank), ("dotted.png", dotted)):
        Image.fromarray(pixels).save(tmp_path / name)
    (warning,) = read_radiograph(tmp_path / "blank.png").warnings
    assert warning.startswith("the image is blank")
    assert read_radiograph(tmp_path / "dotted.png").warnings == ()


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_is_read_grey_and_as_equal_channels(tmp_path: Path, colour: bool) -> None:
    image = Image.fromarray(GREY8)
    (image.convert("RGB") if colour else image).save(tmp_path / "a.jpg", quality=60)
    radiograph = read_radiograph(tmp_path / "a.jpg")
    assert np.abs(radiograph.pixels - GREY8 / 255).mean() < 0.01
    assert (radiograph.bits_stored, radiograph.file_format) == (8, "JPEG")


def test_12_bit_jpeg_keeps_its_bits(tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).integers(0, 4096, (5, 7))
    (tmp_path / "a.jpg").write_bytes(twelve_bit_jpeg(blocks))
    radiograph = read_radiograph(tmp_path / "a.jpg")
    assert np.abs(radiograph.pixels - np.kron(blocks, np.ones((8, 8))) / 4095).max() <= 1e-6
    assert radiograph.bits_stored == 12


def test_16_bit_lossless_jpeg_keeps_its_bits(tmp_path: Path) -> None:
    dicom = transcoded(write_dicom(tmp_path / "a", GREY16, 16), uid.JPEGLosslessSV1)
    (tmp_path / "a.jpg").write_bytes(get_frame(dcmread(dicom).PixelData, 0))
    radiograph = read_radiograph(tmp_path / "a.jpg")
    assert np.abs(radiograph.pixels - GREY16 / 65_535).max() <= 1e-6
    assert radiograph.bits_stored == 16


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_real_colour_is_an_error(tmp_path: Path, name: str) -> None:
    marked = np.stack([GREY8] * 3, axis=2)
    marked[20:40, 20:40] = 255, 200, 0
    io.imsave(tmp_path / name, marked, check_contrast=False)
    with pytest.raises(CxrlocError, match="a colour image"):
        read_radiograph(tmp_path / name)


def test_channels_may_differ_by_8_levels_of_255_as_compression_leaves_them(tmp_path: Path) -> None:
    nearly = np.stack([GREY8 // 2] * 3, axis=2)
    nearly[..., 2] += 8
    io.imsave(tmp_path / "near.png", nearly, check_contrast=False)
    assert read_radiograph(tmp_path / "near.png").pixels.shape == GREY8.shape
    nearly[..., 2] += 1
    io.imsave(tmp_path / "colour.png", nearly, check_contrast=False)
    with pytest.raises(CxrlocError, match="differ by up to 9 of 255"):
        read_radiograph(tmp_path / "colour.png")


def test_content_tells_the_file_type_and_not_the_suffix(tmp_path: Path) -> None:
    Image.fromarray(GREY8).save(tmp_path / "a.dcm", format="PNG")
    assert read_radiograph(tmp_path / "a.dcm").file_format == "PNG"
    write_dicom(tmp_path / "a.png", GREY8, 8)
    assert read_radiograph(tmp_path / "a.png").file_format == "DICOM"


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_a_data_set_without_preamble_and_meta_information_is_read(
    tmp_path: Path, syntax: uid.UID
) -> None:
    header = dicom_header(GREY16 if syntax.is_little_endian else GREY16.byteswap(), 16)
    del header.file_meta
    header.save_as(
        tmp_path / "bare",
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
        enforce_file_format=False,
    )
    assert (tmp_path / "bare").read_bytes()[128:132] != b"DICM"
    radiograph = read_radiograph(tmp_path / "bare")
    assert np.abs(radiograph.pixels - GREY16 / 65_535).max() < 1e-6


def bad(tmp_path: Path, **tags: object) -> Path:
    """A DICOM file whose header says these tags, right or wrong."""
    header = dicom_header(GREY16, 16)
    for keyword, value in tags.items():
        setattr(header, keyword, value)
        if value is None:
            delattr(header, keyword)
    header.save_as(tmp_path / "bad.dcm", enforce_file_format=True)
    return tmp_path / "bad.dcm"


@pytest.mark.parametrize(
    ("tags", "line"),
    [
        ({"Rows": 0}, "0 rows x 160 columns: the image has no pixels"),
        ({"Rows": 65_535, "Columns": 65_535}, "65535 rows x 65535 columns: more than"),
        ({"Rows": 201}, "PixelData .* has 64000 bytes, 201 rows x 160 columns x 1 .* need 64320"),
        ({"PixelData": None}, "no PixelData"),
        ({"Rows": None}, r"Rows \(0028,0010\) is missing"),
        ({"BitsStored": 17}, "BitsAllocated .* 16 and BitsStored .* 17"),
        ({"BitsStored": 0}, "BitsAllocated .* 16 and BitsStored .* 0"),
        ({"BitsAllocated": 64}, "BitsAllocated .* 64"),
        ({"PixelRepresentation": 2}, "PixelRepresentation .* neither 0 nor 1"),
        ({"PhotometricInterpretation": "XYZ"}, "PhotometricInterpretation .* that DICOM defines"),
        ({"PhotometricInterpretation": "CMYK"}, "PhotometricInterpretation .* CMYK with 1 samples"),
        ({"PhotometricInterpretation": None}, "PhotometricInterpretation .* missing with"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "Red palette: LUTDescriptor"),
    ],
)
def test_an_impossible_header_is_one_clear_line(tmp_path: Path, tags: dict, line: str) -> None:
    with pytest.raises(CxrlocError, match=line) as error:
        read_radiograph(bad(tmp_path, **tags))
    assert "bad.dcm: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "an empty file"),
        (b"Findings: no acute disease.\n" * 30, "neither DICOM nor PNG nor JPEG"),
        (bytes(128) + b"DICM", "holds no image, or is cut short"),
        (b"\x89PNG\r\n\x1a\n", "a damaged PNG"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a damaged JPEG"),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, content: bytes, line: str) -> None:
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(CxrlocError, match=line):
        read_radiograph(tmp_path / "a.dcm")


def test_a_missing_file_and_a_folder_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CxrlocError, match="No such file"):
        read_radiograph(tmp_path / "none.png")
    with pytest.raises(CxrlocError, match=r"Is a directory|cannot be read|denied"):
        read_radiograph(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_truncated_picture_is_one_clear_line(tmp_path: Path, name: str) -> None:
    Image.fromarray(GREY8).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CxrlocError, match=r"a damaged (PNG|JPEG)"):
        read_radiograph(tmp_path / name)


def test_an_absurd_picture_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY8)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(CxrlocError, match=r"more than the 80 million pixels.*--max-megapixels"):
        read_radiograph(tmp_path / "a.png")


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEG2000Lossless, uid.RLELossless])
def test_truncated_compressed_pixels_are_one_clear_line(tmp_path: Path, syntax: uid.UID) -> None:
    path = transcoded(write_dicom(tmp_path / "a", GREY16 >> 4, 12), syntax)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    rule = r"PixelData \(7FE0,0010\), .*ends after \d+ bytes without the delimiter.*cut short"
    with pytest.raises(CxrlocError, match=rule):
        read_radiograph(path)


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, None])
@pytest.mark.parametrize("side", [64, 1024])  # read at once, or where it lies
def test_truncated_plain_pixels_are_one_clear_line_that_counts(
    tmp_path: Path, syntax: uid.UID | None, side: int
) -> None:
    path = write_dicom(tmp_path / "a", np.zeros((side, side), dtype="u2"), 12)
    path = transcoded(path, syntax) if syntax else path
    path.write_bytes(path.read_bytes()[:-10])
    needed = 2 * side * side
    rule = rf"has {needed - 10} bytes, {side} rows x {side} columns x 1 samples of 16 bits need"
    with pytest.raises(CxrlocError, match=f"{rule} {needed}: the file is cut short"):
        read_radiograph(path)


def test_a_file_that_ends_within_its_header_is_one_clear_line(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", GREY8, 8, WindowCenter=[90, 120], WindowWidth=[80, 90])
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(
        CxrlocError, match=r"while reading its tags\): is it cut short\?|is missing"
    ):
        read_radiograph(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.data())
def test_a_damaged_dicom_is_read_or_one_clear_line(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "damaged"
    write_dicom(path, GREY8[:8, :8], 8, WindowCenter=[90, 120], WindowWidth=[80, 90])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(200, len(content)))])
    try:
        message = "".join(read_radiograph(path).warnings)
    except CxrlocError as error:
        message = str(error)
    assert "\n" not in message
    assert "Secret" not in message
