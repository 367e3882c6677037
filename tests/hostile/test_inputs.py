"""A harmful file leads to one error line that names it, at once and without much memory."""

import gzip
import io
import json
import os
import resource
import struct
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, uid

from cxrloc.datasets import read_as, read_dataset
from cxrloc.datasets.boxes import read_boxed_images, read_detections
from cxrloc.datasets.dicom_regions import read_regions
from cxrloc.errors import CxrlocError
from cxrloc.images.read import read_radiograph
from cxrloc.images.size import image_size
from cxrloc.inference.map_files import read_maps
from cxrloc.recipe import read_recipe
from cxrloc.reports.read import read_reports
from tests.hostile.seeds import compressed_dicoms
from tests.images.dicom_files import write_dicom
from tests.images.test_bitmaps import chunk
from tests.images.test_dicom_pixels import transcoded

pytestmark = pytest.mark.slow


def refused(read: Callable[[Path], object], path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(CxrlocError) as caught:
        read(path)
    line = str(caught.value)
    assert len(line) <= 600
    assert line.isprintable()
    assert path.name in line
    return line


@pytest.mark.parametrize("read", [read_radiograph, image_size])
def test_a_png_whose_header_is_not_its_first_chunk(tmp_path: Path, read: Callable) -> None:
    text = chunk(b"tEXt", struct.pack(">IIBB", 50, 50, 8, 0) + b"xxxxxxxxxx")
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8900, 2**31 - 1, 8, 3, 0, 0, 0))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + text + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    assert "does not begin with a header" in refused(read, path)


@pytest.mark.parametrize("side", [8000, 30_000, 65_535])
@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.JPEGLosslessSV1])
def test_a_compressed_stream_that_promises_a_huge_image(
    tmp_path: Path, syntax: uid.UID, side: int
) -> None:
    path = transcoded(write_dicom(tmp_path / "a", np.zeros((96, 80), "u2"), 12), syntax)
    content = bytearray(path.read_bytes())
    if syntax == uid.JPEG2000Lossless:
        at = content.index(b"\xff\x4f\xff\x51")
        content[at + 8 : at + 16] = struct.pack(">II", side, side)
    else:
        at = content.index(b"\xff\xf7" if syntax == uid.JPEGLSLossless else b"\xff\xc3")
        content[at + 5 : at + 9] = struct.pack(">HH", side, side)
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    line = refused(read_radiograph, path)
    assert f"{side} rows x {side} columns" in line
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss == before


def test_an_rle_image_of_more_rows_than_its_stream_holds(tmp_path: Path) -> None:
    path = transcoded(write_dicom(tmp_path / "a", np.zeros((96, 80), "u2"), 12), uid.RLELossless)
    header = dcmread(path)
    header.Rows, header.Columns = 8000, 9000
    header.save_as(path)
    assert "cannot be decoded" in refused(read_radiograph, path)


@pytest.mark.parametrize("read", [read_radiograph, image_size])
def test_every_seed_cut_at_any_place(tmp_path: Path, read: Callable) -> None:
    for number, content in enumerate(compressed_dicoms(tmp_path)):
        path = tmp_path / f"{number}.dcm"
        for share in range(0, 100, 7):
            path.write_bytes(content[: len(content) * share // 100])
            try:
                read(path)
            except CxrlocError as error:
                assert path.name in str(error)  # noqa: PT017  some cuts leave a file that can be read


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of Unix")
@pytest.mark.parametrize(
    "read",
    [
        read_radiograph,
        image_size,
        read_boxed_images,
        read_detections,
        read_regions,
        read_dataset,
        read_recipe,
    ],
)
def test_a_named_pipe(tmp_path: Path, read: Callable) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    assert refused(read, tmp_path / "pipe.toml")


COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": 100, "width": 100}],
    "categories": [{"id": 1, "name": "Mass"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        json.dumps(COCO).replace("[1, 2, 3, 4]", f"[0, 0, {10**370}, 1]"),
        json.dumps(COCO).replace("[1, 2, 3, 4]", "[0, 0, NaN, 1]"),
        json.dumps(COCO).replace('"height": 100', '"height": Infinity'),
        json.dumps(COCO).replace('"height": 100', '"height": 1e999'),
        json.dumps(COCO).replace('"height": 100, "width": 100', '"height": 0.5, "width": 0.5'),
        json.dumps(COCO).replace('"a.png"', '"../../a.png\\u0000"'),
    ],
    ids=["deep list", "deep table", "big", "nan", "inf", "overflow", "float", "path"],
)
def test_coco_boxes(tmp_path: Path, text: str) -> None:
    (tmp_path / "boxes.json").write_text(text)
    assert refused(read_boxed_images, tmp_path / "boxes.json")


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        ("chestx_det", '[{"file_name": "a.png", "syms": [5], "boxes": [[0, 0, 1, 1]]}]'),
        ("chexlocalize", '{"/etc/x": {"img_size": [10, 10], "Mass": [[[0, 0], [1, 0], [1, 1]]]}}'),
        ("chexlocalize", '{"../x": {"img_size": [10, 10], "Mass": [[[0, 0], [1, 0], [1, 1]]]}}'),
        ("chexlocalize", '{"a": {"Mass": {"size": [200000, 200000], "counts": "1oooo0"}}}'),
        ("chexlocalize", '{"a": {"img_size": [0, 0], "Mass": [[[0, 0], [1, 0], [1, 1]]]}}'),
    ],
)
def test_other_box_files(tmp_path: Path, reader: str, text: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(text)
    assert refused(lambda file: read_as(reader, file), path)


ENTRY = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"


def test_a_voc_file_without_end(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        "<annotation><filename>a.png</filename><size><width>inf</width><height>inf</height></size>"
        "<object><name>Mass</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>50</xmax><ymax>50"
        "</ymax></bndbox></object></annotation>"
    )
    with pytest.raises(CxrlocError, match=r"a\.xml"):
        read_boxed_images(tmp_path)


@pytest.mark.parametrize(
    "cell", ["x" * 3_000_000, "Mass|" * 2_000_000], ids=["first cell", "label cell"]
)
def test_a_table_with_an_endless_cell(tmp_path: Path, cell: str) -> None:
    row = f"{cell},Mass,0,1,58,M,PA" if cell[0] == "x" else f"a.png,{cell},0,1,58,M,PA"
    (tmp_path / "Data_Entry_2017.csv").write_text(f"{ENTRY}\n{row}\n")
    assert refused(
        lambda folder: read_as("chestxray14", tmp_path), tmp_path / "Data_Entry_2017.csv"
    )


def test_a_table_with_a_ragged_row(tmp_path: Path) -> None:
    path = tmp_path / "Data_Entry_2017.csv"
    path.write_text(f"{ENTRY}\na.png,Mass,0,1,58,M,PA\na,b\n")
    line = refused(
        lambda folder: read_as("chestxray14", tmp_path), tmp_path / "Data_Entry_2017.csv"
    )
    assert "row 3" in line


def test_a_packed_table_that_grows_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrloc.files.encodings.MAX_CHARACTERS", 10_000_000)
    with gzip.open(tmp_path / "boxes.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"image,finding,x_min,y_min,x_max,y_max\n" + b"a,Mass,0,0,1,1\n" * 1_000_000)
    assert refused(read_boxed_images, tmp_path / "boxes.csv.gz")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 50_000,
        f'extends = "phantom_few"\n[fit]\nseed = {"9" * 5000}\n',
        'extends = "\\u0000"',
        'extends = "../../etc/passwd"',
        'extends = "phantom_few"\n[fit]\nlearning_rate = nan\n',
    ],
    ids=["deep", "endless number", "NUL", "path", "nan"],
)
def test_recipes(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    assert refused(read_recipe, tmp_path / "recipe.toml")


def npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_maps_that_unpack_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrloc.files.arrays.MAX_NPZ_BYTES", 10_000_000)
    path = tmp_path / "a.npz"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": (1, 2000, 2000)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("findings.npy", "rows.npy", "columns.npy"):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.array([40]))
            archive.writestr(name, buffer.getvalue())
        with archive.open("maps.npy", "w", force_zip64=True) as file:
            file.write(head.getvalue())
            file.write(bytes(8 * 2000 * 2000))
    assert refused(lambda file: read_maps(file, "a"), path)


@pytest.mark.parametrize("kind", ["npy", "rows as text", "huge header", "encrypted", "objects"])
def test_maps(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.npz"
    maps = np.zeros((1, 4, 4), "f4")
    good = {"findings": np.array(["Mass"]), "maps": maps, "rows": 40, "columns": 40}
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, maps)
    elif kind == "rows as text":
        npz(path, **{**good, "rows": np.array(["x"])})
    elif kind == "objects":
        npz(path, **{**good, "rows": np.array([{}], dtype=object)})
    elif kind == "huge header":
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": "<f4", "fortran_order": False, "shape": (10**14,)}
        )
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("findings.npy", head.getvalue())
    else:
        npz(path, **good)
        content = bytearray(path.read_bytes())
        for start, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = -1
            while (place := content.find(start, place + 1)) >= 0:
                content[place + at] |= 1
        path.write_bytes(content)
    assert refused(lambda file: read_maps(file, "a"), path)


@pytest.mark.parametrize("kind", ["sparse", "bad sparse", "huge", "nested"])
def test_report_archives(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "reports.tgz"
    text = b"<a><uId id='CXR1'/><AbstractText Label='FINDINGS'>Clear.</AbstractText></a>"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("a.tgz" if kind == "nested" else "a.xml")
        entry.size = len(text)
        if "sparse" in kind:
            entry.pax_headers = {
                "GNU.sparse.major": "1" if kind == "sparse" else "x",
                "GNU.sparse.minor": "0",
                "GNU.sparse.realsize": "99999999999999",
            }
        archive.addfile(entry, io.BytesIO(text))
    content = bytearray(buffer.getvalue())
    if kind == "huge":
        content[124:136] = b"77777777777\0"  # 8 GiB
        content[148:156] = b" " * 8
        content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
    path.write_bytes(gzip.compress(bytes(content)))
    lines = []
    with suppress(CxrlocError):  # an archive that cannot be opened at all
        lines = ["refused"]
        lines = [getattr(report, "reason", "") for report in read_reports(path)]
    assert any(lines) or kind == "sparse"
    assert all(len(line) <= 600 and line.isprintable() for line in lines)
