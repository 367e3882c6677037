"""PNG and JPEG files are turned as EXIF says, read despite damaged text, and limited in size."""

import re
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile
from PIL.TiffImagePlugin import IFDRational
from pydicom import dcmread, uid
from pydicom.encaps import get_frame

from cxrloc.errors import CxrlocError
from cxrloc.images.png_chunks import ADAM7
from cxrloc.images.read import read_radiograph
from cxrloc.images.size import image_size
from tests.images.dicom_files import chest, twelve_bit_jpeg, write_dicom
from tests.images.test_dicom_pixels import transcoded
from tests.images.test_read import write_png

GREY = (chest(64, 56) * 255).astype(np.uint8)
DEEP = (chest(64, 56) * 65_535).astype(np.uint16)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(path: Path, kind: bytes, body: bytes, last: bool = False) -> Path:
    """The PNG with one more chunk, after its header or before its end."""
    data = path.read_bytes()
    at = len(data) - 12 if last else 33
    path.write_bytes(data[:at] + chunk(kind, body) + data[at:])
    return path


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000))),
        (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
        (b"iCCP", b"profile\0\0" + zlib.compress(bytes(3_000_000))),
        (b"zTXt", b"Comment\0\0" + b"no zlib"),
    ],
)
def test_large_and_damaged_text_in_a_png_does_no_harm(
    tmp_path: Path, kind: bytes, body: bytes
) -> None:
    write_png(tmp_path / "a.png", GREY)
    with_chunk(tmp_path / "a.png", kind, body)
    assert np.abs(read_radiograph(tmp_path / "a.png").pixels - GREY / 255).max() < 1e-6


def test_millions_of_empty_parts_are_refused_at_once(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:33] + chunk(b"tEXt", b"a\0") * 10**6 + content[33:])
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    for name, part in (("comments.jpg", b"\xff\xfe\0\2"), ("fill.jpg", b"\xff")):
        (tmp_path / name).write_bytes(content[:2] + part * 10**7 + content[2:])
    began = time.process_time()
    for name, message in (("a.png", "chunks"), ("comments.jpg", "header"), ("fill.jpg", "header")):
        with pytest.raises(CxrlocError, match=message):
            read_radiograph(tmp_path / name)
    assert time.process_time() - began < 1


def test_a_second_header_does_not_pass_the_limit_of_size(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    large = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    with_chunk(tmp_path / "a.png", b"IHDR", large)
    with pytest.raises(CxrlocError, match="not one header but several"):
        read_radiograph(tmp_path / "a.png")


def png_of_lines(path: Path, lines: list[bytes], bits: int, colour: int, interlaced: int) -> Path:
    """A PNG of 64 x 56 pixels of these stored lines; index 0 of its palette is white."""
    head = struct.pack(">IIBBBBB", 56, 64, bits, colour, 0, 0, interlaced)
    palette = b"".join(bytes([255 - level] * 3) for level in range(256))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"PLTE", palette) if colour == 3 else b"")
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines)))
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("missing", [1, 9, 63])
@pytest.mark.parametrize(
    ("bits", "colour", "interlaced"), [(8, 0, 0), (16, 0, 0), (8, 3, 0), (8, 0, 1), (8, 3, 1)]
)
def test_pixels_that_end_early_are_not_taken_for_an_image(
    tmp_path: Path, missing: int, bits: int, colour: int, interlaced: int
) -> None:
    stored = (GREY if bits == 8 else DEEP).astype(f">u{bits // 8}")
    passes = [stored[r0::r, c0::c] for r0, c0, r, c in ADAM7] if interlaced else [stored]
    lines = [row.tobytes() for pass_lines in passes for row in pass_lines]
    whole = png_of_lines(tmp_path / "whole.png", lines, bits, colour, interlaced)
    expected = stored / (256**stored.itemsize - 1)
    expected = 1 - expected if colour == 3 else expected
    assert np.abs(read_radiograph(whole).pixels - expected).max() < 1e-6
    cut = png_of_lines(tmp_path / "cut.png", lines[:-missing], bits, colour, interlaced)
    with pytest.raises(CxrlocError, match="its pixels end early"):
        read_radiograph(cut)


@pytest.mark.parametrize(("across", "down"), [(100, 100), (100, 200), (300, 100)])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("in_exif", [False, True])
def test_pixels_that_are_not_square_are_warned_of(
    tmp_path: Path, in_exif: bool, name: str, across: int, down: int
) -> None:
    path = tmp_path / name
    exif = Image.Exif()
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = across, down
    resolution = {"exif": exif} if in_exif else {"dpi": (across, down)}
    Image.fromarray(GREY).save(path, **resolution)
    warnings = [line for line in read_radiograph(path).warnings if "not square" in line]
    assert len(warnings) == (across != down)


@pytest.mark.parametrize("resolution", [IFDRational(0, 0), IFDRational(5, 0)])
def test_a_resolution_that_is_no_number_is_passed_over(tmp_path: Path, resolution: object) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = resolution, 200
    exif[ExifTags.Base.Orientation] = 3
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    (warning,) = read_radiograph(tmp_path / "a.png").warnings
    assert warning.startswith("EXIF orientation 3")


def test_transparency_is_said_to_be_ignored(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    with_chunk(tmp_path / "a.png", b"tRNS", bytes(2))
    radiograph = read_radiograph(tmp_path / "a.png")
    assert radiograph.warnings == ("transparency is ignored",)
    assert np.abs(radiograph.pixels - GREY / 255).max() < 1e-6


def test_a_colour_that_the_palette_lacks_is_black_with_a_warning(tmp_path: Path) -> None:
    path = png_of_lines(tmp_path / "a.png", [row.tobytes() for row in GREY], 8, 3, 0)
    whole = path.read_bytes()
    start, end = whole.index(b"PLTE") - 4, whole.index(b"IDAT") - 4
    for entries in (int(GREY.max()) + 1, int(GREY.max())):  # the last one is used, then missing
        short = chunk(b"PLTE", whole[start + 8 :][: 3 * entries])
        path.write_bytes(whole[:start] + short + whole[end:])
        if entries > GREY.max():
            assert np.abs(read_radiograph(path).pixels - (1 - GREY / 255)).max() < 1e-6
    radiograph = read_radiograph(path)
    lacking = np.equal(GREY, GREY.max())
    wanted = np.where(lacking, 0, 1 - GREY / 255)
    assert np.abs(radiograph.pixels - wanted).max() < 1e-6
    text = f"{lacking.sum()} pixels have colours that the palette lacks; they are shown black"
    assert text in radiograph.warnings


def test_a_palette_image_without_its_palette_is_refused(tmp_path: Path) -> None:
    lines = [row.tobytes() for row in GREY]
    content = png_of_lines(tmp_path / "a.png", lines, 8, 3, 0).read_bytes()
    start, end = content.index(b"PLTE") - 4, content.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(content[:start] + content[end:])
    with pytest.raises(CxrlocError, match="it has no palette"):
        read_radiograph(tmp_path / "a.png")


def test_a_wrong_checksum_of_the_pixels_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_png(path, GREY)
    assert read_radiograph(path).warnings == ()
    content = bytearray(path.read_bytes())
    content[-13] ^= 1  # the last byte of the checksum of IDAT, before the 12 bytes of IEND
    path.write_bytes(content)
    assert "a checksum of the PNG's pixels is wrong" in read_radiograph(path).warnings[-1]


def test_pixels_that_are_more_than_promised_and_fail_their_checksum_are_refused(
    tmp_path: Path,
) -> None:
    # Pillow stops at the last row of the header, before the checksum of all rows (RFC 1950).
    lines = [row.tobytes() for row in GREY] * 2
    content = png_of_lines(tmp_path / "a.png", lines, 8, 3, 0).read_bytes()
    start = content.index(b"IDAT")
    pixels = content[start + 4 : -20] + bytes(4)
    path = tmp_path / "b.png"
    path.write_bytes(content[: start - 4] + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    with pytest.raises(CxrlocError, match="its pixels end early or are damaged"):
        read_radiograph(path)


@pytest.mark.parametrize("share", [0.5, 0.97])
@pytest.mark.parametrize("after", [b"\xff\xd9", bytes(40)], ids=["end marker", "zeros"])
@pytest.mark.parametrize("kind", ["grey", "colour", "progressive", "12 bit", "lossless"])
def test_a_jpeg_whose_scan_is_cut_is_read_with_a_warning_or_refused(
    tmp_path: Path, kind: str, after: bytes, share: float
) -> None:
    image = Image.fromarray(GREY)
    buffer = BytesIO()
    if kind == "12 bit":
        whole = twelve_bit_jpeg((chest(8, 7) * 4000).astype(int))
    elif kind == "lossless":
        plain = write_dicom(tmp_path / "plain", DEEP, 16)
        whole = get_frame(dcmread(transcoded(plain, uid.JPEGLosslessSV1)).PixelData, 0)
    else:
        image = image.convert("RGB") if kind == "colour" else image
        image.save(buffer, "JPEG", progressive=kind == "progressive")
        whole = buffer.getvalue()
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert read_radiograph(path).warnings == ()
    scan = whole.index(b"\xff\xda")
    path.write_bytes(whole[: scan + int((len(whole) - scan) * share)] + after)
    try:
        (message,) = read_radiograph(path).warnings
    except CxrlocError as error:
        message = str(error)
    assert re.search("damaged|cut short", message)


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("kind", ["L", "RGB", "progressive"])
def test_a_whole_jpeg_without_its_end_marker_is_read_as_pillow_can_and_said(
    tmp_path: Path, kind: str, missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image.fromarray(GREY).convert("RGB" if kind == "RGB" else "L")
    image.save(tmp_path / "a.jpg", progressive=kind == "progressive")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[:-missing])
    radiograph = read_radiograph(tmp_path / "a.jpg")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    by_pillow = np.asarray(Image.open(tmp_path / "a.jpg").convert("L")) / 255
    assert np.abs(radiograph.pixels - by_pillow).max() < 1e-6
    assert radiograph.warnings == ("the file has no end marker; the image is complete",)


def test_a_black_last_row_is_no_damage(tmp_path: Path) -> None:
    black = GREY.copy()
    black[-9:] = 0
    for name, image in (
        ("grey.png", Image.fromarray(black)),
        ("bits.png", Image.fromarray(black > 9)),
        ("colour.png", Image.fromarray(np.stack([black] * 3, axis=2))),
    ):
        image.save(tmp_path / name)
        assert read_radiograph(tmp_path / name).pixels.shape == GREY.shape


@pytest.mark.parametrize("pixels", [100_000_000, 200_000_000])
def test_the_limit_of_pixels_is_ours_and_not_pillows(tmp_path: Path, pixels: int) -> None:
    # Pillow warns above 89 million pixels and refuses 179 million, whatever is asked for.
    side = int(pixels**0.5)
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", b"cut short") + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    assert image_size(tmp_path / "a.png") == (side, side)
    with pytest.raises(CxrlocError, match=r"more than the 80 million pixels"):
        read_radiograph(tmp_path / "a.png")
    with pytest.raises(CxrlocError, match="a damaged PNG"):
        read_radiograph(tmp_path / "a.png", max_megapixels=300)
