"""Small valid files of every kind that cxrloc reads, from which hostile files are made."""

import gzip
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread, uid
from pydicom.sequence import Sequence

from tests.images.dicom_files import chest, dicom_header, twelve_bit_jpeg
from tests.images.test_dicom_pixels import transcoded

GREY = (chest(48, 40) * 255).astype("u1")
DEEP = (chest(48, 40) * 4095).astype("u2")
COMPRESSED = (
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.RLELossless,
    uid.DeflatedExplicitVRLittleEndian,
)


def plain_dicoms(folder: Path) -> list[bytes]:
    """Uncompressed files: windows, LUTs, padding, colour, palette, big endian, implicit VR."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, 16])
    item.add_new("LUTData", "OW", np.arange(4096, dtype="<u2").tobytes())
    window = {"WindowCenter": [2000, 1000], "WindowWidth": [3000, 500], "PatientAge": "064Y"}
    headers = [
        dicom_header(DEEP, 12, **window, PixelSpacing=[0.1, 0.1], PixelPaddingValue=0),
        dicom_header(DEEP, 12, VOILUTSequence=Sequence([item]), RescaleSlope=1),
        dicom_header(GREY, 8, NumberOfFrames=1, PatientOrientation=["L", "F"]),
        dicom_header(DEEP.byteswap(), 12, **window),
        dicom_header(DEEP, 12, **window, SpecificCharacterSet="ISO_IR 100"),
    ]
    headers[3].file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    headers[4].file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    colour = dicom_header(GREY, 8, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    colour.PlanarConfiguration, colour.PixelData = 0, np.stack([GREY] * 3, axis=2).tobytes()
    return [_saved(header, folder) for header in (*headers, colour)]


def compressed_dicoms(folder: Path) -> list[bytes]:
    """Files of every codec that has an encoder here."""
    plain = folder / "plain"
    dicom_header(DEEP, 12, WindowCenter=2000, WindowWidth=3000).save_as(
        plain, enforce_file_format=True
    )
    found = [transcoded(plain, syntax).read_bytes() for syntax in COMPRESSED]
    flat = dicom_header(GREY, 8)
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "JPEG")
    for syntax, stream, bits in (
        (uid.JPEGBaseline8Bit, buffer.getvalue(), 8),
        (uid.JPEGExtended12Bit, twelve_bit_jpeg(DEEP[::8, ::8]), 12),
    ):
        header = flat if bits == 8 else dicom_header(DEEP, 12)
        header.file_meta.TransferSyntaxUID = syntax
        header.PixelData = _items(stream)
        header["PixelData"].VR = "OB"
        found.append(_saved(header, folder))
    return found


def pngs(folder: Path) -> list[bytes]:
    """Grey and colour, 8 and 16 bits, palette, interlaced rows, text and EXIF."""
    deep = np.stack([DEEP * 16] * 3, axis=2).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep.reshape(len(deep), -1))
    head = struct.pack(">IIBBBBB", deep.shape[1], len(deep), 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    coloured = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        _picture(Image.fromarray(GREY), "PNG", exif=exif),
        _picture(Image.fromarray(DEEP), "PNG"),
        _picture(Image.fromarray(GREY).convert("P"), "PNG"),
        _picture(Image.fromarray(GREY).convert("RGBA"), "PNG"),
        coloured,
    ]


def jpegs(folder: Path) -> list[bytes]:
    """Grey, colour, progressive, turned, and the two processes of more than 8 bits."""
    lossless = dcmread(io.BytesIO(compressed_dicoms(folder)[0])).PixelData
    start = lossless.index(b"\xff\xd8")
    exif = Image.Exif()
    exif[0x0112] = 8
    return [
        _picture(Image.fromarray(GREY), "JPEG", exif=exif),
        _picture(Image.fromarray(GREY).convert("RGB"), "JPEG"),
        _picture(Image.fromarray(GREY), "JPEG", progressive=True),
        twelve_bit_jpeg(DEEP[::8, ::8]),
        lossless[start:],
    ]


def coco_files(folder: Path) -> list[bytes]:
    """Boxes as COCO JSON."""
    return [
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.png", "height": 100, "width": 90}],
                "categories": [{"id": 1, "name": "Mass"}],
                "annotations": [
                    {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]},
                    {"id": 2, "image_id": 1, "category_id": 1, "bbox": [5, 6.5, 7, 8]},
                ],
            }
        ).encode()
    ]


def tables(folder: Path) -> list[bytes]:
    """Boxes as CSV, with commas and with semicolons."""
    rows = "image,finding,x_min,y_min,x_max,y_max,score\n" + "".join(
        f"i{row},Mass,{row},2,{row + 30},40,.5\n" for row in range(8)
    )
    return [rows.encode(), rows.replace(",", ";").encode("utf-8-sig"), gzip.compress(rows.encode())]


def recipes(folder: Path) -> list[bytes]:
    """A recipe that extends another."""
    return [
        b'extends = "phantom_few"\n[fit]\nseed = 3\nsteps = 20\n[network]\nfindings = ["Mass"]\n'
    ]


def maps(folder: Path) -> list[bytes]:
    """Raw maps, as `heatmap --save-maps` writes them; stored and deflated."""
    arrays = {
        "findings": np.array(["Mass"]),
        "probabilities": np.array([0.5]),
        "maps": np.linspace(0, 1, 16).reshape(1, 4, 4),
        "rows": 40,
        "columns": 40,
    }
    found = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **arrays)
        found.append(buffer.getvalue())
    return found


def report_archives(folder: Path) -> list[bytes]:
    """An archive of reports, packed and not."""
    text = b"<a><uId id='CXR1'/><AbstractText Label='FINDINGS'>Clear lungs.</AbstractText></a>"
    found = []
    for mode in ("w", "w:gz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            for name in ("1.xml", "2.xml"):
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text))
        found.append(buffer.getvalue())
    return found


def _items(stream: bytes) -> bytes:
    stream += b"\0" * (len(stream) % 2)
    item = b"\xfe\xff\x00\xe0"
    closing = b"\xfe\xff\xdd\xe0" + bytes(4)
    return item + bytes(4) + item + struct.pack("<I", len(stream)) + stream + closing


def _saved(header: Dataset, folder: Path) -> bytes:
    header.save_as(folder / "saved", enforce_file_format=True)
    return (folder / "saved").read_bytes()


def _picture(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


SEEDS: dict[str, tuple[Callable[[Path], list[bytes]], str]] = {
    "plain DICOM": (plain_dicoms, "a.dcm"),
    "compressed DICOM": (compressed_dicoms, "a.dcm"),
    "PNG": (pngs, "a.png"),
    "JPEG": (jpegs, "a.jpg"),
    "COCO JSON": (coco_files, "boxes.json"),
    "CSV": (tables, "boxes.csv"),
    "recipe": (recipes, "recipe.toml"),
    "npz": (maps, "a.npz"),
    "report archive": (report_archives, "reports.tgz"),
}
"""Kinds of files: their seeds, and the name that a hostile one gets."""
