"""Images are turned as their EXIF or XMP data say; Pillow's `exif_transpose` is the oracle."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from pydicom import dcmread, uid
from pydicom.encaps import get_frame

from cxrloc.images.read import read_radiograph
from cxrloc.images.size import image_size
from tests.images.dicom_files import write_dicom
from tests.images.test_bitmaps import DEEP, GREY, with_chunk
from tests.images.test_dicom_pixels import transcoded
from tests.images.test_read import write_png


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def by_pillow(orientation: int) -> np.ndarray:
    """The image as Pillow turns it."""
    image = Image.fromarray(GREY)
    image.getexif()[0x0112] = orientation
    buffer = BytesIO()
    image.save(buffer, "PNG", exif=image.getexif())
    return np.asarray(ImageOps.exif_transpose(Image.open(buffer))) / 255


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "late.png", "colour.jpg", "colour.png"])
def test_every_exif_orientation_is_applied_as_pillow_does(
    tmp_path: Path, name: str, orientation: int
) -> None:
    path = tmp_path / name
    image = Image.fromarray(GREY)
    if name.startswith("colour"):
        image = image.convert("RGB")
    if name == "late.png":
        image.save(path)
        with_chunk(path, b"eXIf", exif(orientation).removeprefix(b"Exif\0\0"), last=True)
    else:
        options = {"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}
        image.save(path, exif=exif(orientation), **options)
    radiograph = read_radiograph(path)
    expected = by_pillow(orientation)
    assert image_size(path) == radiograph.pixels.shape == expected.shape
    assert np.abs(radiograph.pixels - expected).max() < 0.02
    turned = [line for line in radiograph.warnings if f"EXIF orientation {orientation}:" in line]
    assert len(turned) == (orientation != 1)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_16_bit_colour_and_lossless_jpeg_are_turned_too(tmp_path: Path, orientation: int) -> None:
    expected = DEEP if orientation == 3 else np.rot90(DEEP, -1 if orientation == 6 else 1)
    expected = np.rot90(DEEP, 2) if orientation == 3 else expected
    write_png(tmp_path / "a.png", np.stack([DEEP] * 3, axis=2))
    with_chunk(tmp_path / "a.png", b"eXIf", exif(orientation).removeprefix(b"Exif\0\0"))
    dicom = transcoded(write_dicom(tmp_path / "a", DEEP, 16), uid.JPEGLosslessSV1)
    stream = get_frame(dcmread(dicom).PixelData, 0)
    body = exif(orientation)
    body = body if body.startswith(b"Exif") else b"Exif\0\0" + body
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    (tmp_path / "a.jpg").write_bytes(stream[:2] + segment + stream[2:])
    for name in ("a.png", "a.jpg"):
        radiograph = read_radiograph(tmp_path / name)
        assert np.abs(radiograph.pixels - expected / 65_535).max() < 1e-6
        assert image_size(tmp_path / name) == expected.shape


@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_that_cannot_be_turns_nothing(tmp_path: Path, value: int) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif(value))
    assert np.array_equal(read_radiograph(tmp_path / "a.png").pixels, by_pillow(1).astype("f4"))


@pytest.mark.parametrize("garbage", [b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", bytes(100)])
def test_damaged_exif_data_turn_nothing(tmp_path: Path, garbage: bytes) -> None:
    write_png(tmp_path / "a.png", GREY)
    with_chunk(tmp_path / "a.png", b"eXIf", garbage)
    assert read_radiograph(tmp_path / "a.png").pixels.shape == GREY.shape


def xmp(orientation: int, style: str) -> bytes:
    """XMP data with the orientation as an attribute or as an element."""
    at, inside = f' tiff:Orientation="{orientation}"', ""
    if style == "element":
        at, inside = "", f"<tiff:Orientation>{orientation}</tiff:Orientation>"
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{at}>{inside}</rdf:Description></rdf:RDF>'
        "</x:xmpmeta>"
    ).encode()


def write_turned(path: Path, exif: bytes | None, adobe: bytes | None, packed: bool) -> Path:
    """An image with EXIF data and XMP data, or without."""
    options: dict = {} if exif is None else {"exif": exif}
    if path.suffix == ".jpg":
        options |= {"quality": 100} | ({} if adobe is None else {"xmp": adobe})
    elif adobe is not None:
        options["pnginfo"] = texts = PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", adobe.decode(), zip=packed)
    Image.fromarray(GREY).save(path, **options)
    return path


@pytest.mark.parametrize("style", ["attribute", "element"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 9])
@pytest.mark.parametrize("orientation_tag", [None, 1, 8], ids=["no EXIF", "EXIF 1", "EXIF 8"])
@pytest.mark.parametrize(("name", "packed"), [("a.png", False), ("a.png", True), ("a.jpg", False)])
def test_xmp_turns_an_image_whose_exif_data_have_no_orientation(
    tmp_path: Path,
    name: str,
    packed: bool,
    orientation_tag: int | None,
    orientation: int,
    style: str,
) -> None:
    path = write_turned(
        tmp_path / name, orientation_tag and exif(orientation_tag), xmp(orientation, style), packed
    )
    with Image.open(path) as image:
        image.load()
        by_pillow = np.asarray(ImageOps.exif_transpose(image)) / 255
    radiograph = read_radiograph(path)
    assert image_size(path) == radiograph.pixels.shape == by_pillow.shape
    assert np.abs(radiograph.pixels - by_pillow).max() < 1e-6


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt"])
def test_exif_data_in_a_text_of_imagemagick_turn_a_png(tmp_path: Path, kind: bytes) -> None:
    write_png(tmp_path / "a.png", GREY)
    data = exif(6)
    text = b"\nexif\n%8d\n%s\n" % (len(data), data.hex().encode())
    body = text if kind == b"tEXt" else b"\0" + zlib.compress(text)
    path = with_chunk(tmp_path / "a.png", kind, b"Raw profile type exif\0" + body)
    assert np.array_equal(read_radiograph(path).pixels, np.rot90(GREY / 255, -1).astype("f4"))
    with Image.open(path) as image:
        assert ImageOps.exif_transpose(image).size == (64, 56)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"zTXt", b"Raw profile type exif\0\0no zlib"),
        (b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno digits"),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0no zlib"),
        (b"iTXt", b"XML:com.adobe.xmp\0"),
        (b"tEXt", b"XML:com.adobe.xmp"),
    ],
)
def test_damaged_texts_turn_nothing(tmp_path: Path, kind: bytes, body: bytes) -> None:
    write_png(tmp_path / "a.png", GREY)
    path = with_chunk(tmp_path / "a.png", kind, body)
    assert image_size(path) == read_radiograph(path).pixels.shape == GREY.shape
