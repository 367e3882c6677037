import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cxrloc.files import structured
from cxrloc.files.structured import (
    parse_json,
    parse_toml,
    parse_xml,
    read_json,
    read_npz,
    read_toml,
    read_xml,
)
from cxrloc.types import CxrlocError


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[1e999]",
        "[Infinity]",
        "[NaN]",
        "[" + "9" * 5000 + "]",
        "[" + "9" * 25 + "]",
        '{"a": 1, "a": 2}',
        "",
        "{",
    ],
)
def test_json_that_is_deep_endless_or_not_finite_is_one_line(content: str) -> None:
    with pytest.raises(CxrlocError, match=r"x\.json cannot be read as JSON") as error:
        parse_json(content, "x.json")
    assert len(str(error.value)) < 300


def test_json_and_toml_take_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes('{"a": "\xe9"}'.encode(encoding))
        assert read_json(path) == {"a": "\xe9"}
        path.write_bytes('a = "\xe9"\r\n'.encode(encoding))
        assert read_toml(path) == {"a": "\xe9"}


@pytest.mark.parametrize(
    "content",
    [
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "9" * 5000,
        "a = inf",
        "a = nan",
        "a = [",
        "a = 1e999",
    ],
)
def test_toml_that_is_deep_endless_or_not_finite_is_one_line(content: str) -> None:
    with pytest.raises(CxrlocError, match=r"x\.toml: not TOML"):
        parse_toml(content, "x.toml")


@pytest.mark.parametrize(
    "content",
    [
        "<a>" * 100_000,
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "<a>",
        "",
        "<a/><b/>",
        b"\xff\xfe<\x00",
    ],
)
def test_xml_that_is_deep_or_defines_entities_is_one_line(content: str | bytes) -> None:
    with pytest.raises(CxrlocError, match=r"x\.xml"):
        parse_xml(content, "x.xml")


def test_xml_is_read_in_the_encodings_that_tools_write(tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    for encoding, name in (
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "windows-1252"),
    ):
        path.write_bytes(f'<?xml version="1.0" encoding="{name}"?>\n<a>\xe9</a>'.encode(encoding))
        assert read_xml(path).text == "\xe9"


def npz_bytes(header: bytes, data: bytes = b"", name: str = "maps.npy") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        magic = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
        archive.writestr(name, magic + header + data)
    return stream.getvalue()


def test_an_npz_of_arrays_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, maps=np.arange(6.0).reshape(1, 2, 3), findings=np.array(["Mass"]))
    arrays = read_npz(path)
    assert arrays["maps"].shape == (1, 2, 3)
    assert list(read_npz(path, ["findings"])) == ["findings"]


HUGE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999, 99999, 9), }\n"
SMALL = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an npz"),
        (b"\x93NUMPY\x01\x00", "not an npz"),
        (npz_bytes(HUGE), "declares the shape"),
        (npz_bytes(b"{'descr': "), "not an npz"),
        (npz_bytes(SMALL, b"\0" * 8, name="notes.txt"), "no array"),
        (npz_bytes(SMALL, b"\0" * 9000), "larger than"),
        (npz_bytes(SMALL.replace(b"<f8", b"|O")), "Python objects"),
    ],
    ids=["empty", "npy", "huge-shape", "bad-header", "other-file", "bomb", "pickle"],
)
def test_an_npz_that_is_none_or_has_no_bounds_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setattr(structured, "MAX_NPZ_BYTES", 5000)
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(CxrlocError, match=said) as error:
        read_npz(path)
    assert "a.npz" in str(error.value)


def test_an_encrypted_npz_is_one_line(tmp_path: Path) -> None:
    content = bytearray(npz_bytes(SMALL, b"\0" * 8))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(CxrlocError, match="encrypted"):
        read_npz(path)
