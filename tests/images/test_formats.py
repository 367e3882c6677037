"""Files of other formats are named in an error; paths of no regular file are refused at once."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.encaps import get_frame

from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from cxrloc.images.size import image_size
from tests.images.dicom_files import chest, write_dicom
from tests.images.test_dicom_pixels import transcoded

GREY = (chest(64, 56) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tif", "a TIFF file"),
        ("a.webp", "a WebP file"),
        ("a.gif", "a GIF file"),
        ("a.bmp", "a BMP file"),
        ("a.jp2", "a JPEG 2000 file"),
    ],
)
def test_a_picture_of_another_format_is_named(tmp_path: Path, name: str, kind: str) -> None:
    Image.fromarray(GREY).save(tmp_path / name)
    with pytest.raises(CxrlocError, match=f"{kind} by its content; .*convert"):
        read_radiograph(tmp_path / name)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04", "ZIP"),
        (b"MM\0+\0\x08\0\0", "TIFF"),
        (b"\0\0\0\x18ftypheic", "HEIF"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\x93NUMPY", "NumPy"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
    ],
)
def test_other_formats_are_named_by_their_first_bytes(
    tmp_path: Path, start: bytes, kind: str
) -> None:
    (tmp_path / "a.dcm").write_bytes(start + bytes(200))
    with pytest.raises(CxrlocError, match=f"a {kind} file by its content"):
        read_radiograph(tmp_path / "a.dcm")


def test_a_jpeg_ls_file_is_named(tmp_path: Path) -> None:
    path = transcoded(write_dicom(tmp_path / "a", GREY, 8), uid.JPEGLSLossless)
    (tmp_path / "a.jls").write_bytes(get_frame(dcmread(path).PixelData, 0))
    with pytest.raises(CxrlocError, match="a JPEG-LS file"):
        read_radiograph(tmp_path / "a.jls")


@pytest.mark.parametrize("read", [read_radiograph, image_size])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of Unix")
def test_pipes_sockets_and_devices_are_refused_at_once(tmp_path: Path, read: object) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        for path in (tmp_path / "pipe", Path("/dev/zero")):
            with pytest.raises(CxrlocError, match="no regular file"):
                read(path)  # type: ignore[operator]
        with pytest.raises(CxrlocError, match="s: "):
            read(tmp_path / "s")  # type: ignore[operator]
