"""Arrays come back as they were written, and a file that is no npz of arrays is one line."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cxrloc.errors import CxrlocError
from cxrloc.files import arrays
from cxrloc.files.arrays import read_npz


def npz_bytes(header: bytes, data: bytes = b"", name: str = "maps.npy") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        magic = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
        archive.writestr(name, magic + header + data)
    return stream.getvalue()


def test_an_npz_of_arrays_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, maps=np.arange(6.0).reshape(1, 2, 3), findings=np.array(["Mass"]))
    read = read_npz(path)
    assert read["maps"].shape == (1, 2, 3)
    assert list(read_npz(path, ["findings"])) == ["findings"]


HUGE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999, 99999, 9), }\n"
SMALL = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an npz"),
        (b"\x93NUMPY\x01\x00", "not an npz"),
        (npz_bytes(HUGE), "declares the shape"),
        (npz_bytes(b"{'descr': "), "not an npz"),
        (npz_bytes(SMALL, b"\0" * 8, name="notes.txt"), "not an array"),
        (npz_bytes(SMALL, b"\0" * 9000), "larger than"),
        (npz_bytes(SMALL.replace(b"<f8", b"|O")), "Python objects"),
    ],
    ids=["empty", "npy", "huge-shape", "bad-header", "other-file", "bomb", "pickle"],
)
def test_an_npz_that_is_none_or_has_no_bounds_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.setattr(arrays, "MAX_NPZ_BYTES", 5000)
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(CxrlocError, match=message) as error:
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
