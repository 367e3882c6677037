"""Files that may be images are listed once and in order, on a disk and in an object store."""

import os
from pathlib import Path

import pytest
from fsspec import filesystem

from cxrloc.archive.listing import list_files
from cxrloc.errors import CxrlocError

FILES = ("b/2.dcm", "b/1.dcm", "a/x", "a/._x", "a/Thumbs.db")


def test_a_folder_and_a_store_list_the_same_files_in_the_same_order(tmp_path: Path) -> None:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        filesystem("memory").pipe(f"/listed/{name}", name.encode())
    (tmp_path / "b/parent").symlink_to(tmp_path)
    for place in (str(tmp_path), "memory://listed"):
        found = [*list_files([place, f"{place}/a/x"])]
        assert [file.uri.rsplit("/", 2)[1:] for file in found] == [
            ["a", "x"],
            ["b", "1.dcm"],
            ["b", "2.dcm"],
            ["a", "x"],
        ]
        assert [file.size for file in found] == [3, 7, 7, 3]
        assert found[1].first_bytes(3) == b"b/1"
        assert all(file.version for file in found)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.dcm")
    (pipe,) = list_files([str(tmp_path)])
    with pytest.raises(CxrlocError, match="a pipe"):
        pipe.first_bytes(3)
