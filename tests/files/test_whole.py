"""A file is whole or absent."""

import errno
import os
from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.files.whole import DiskError, remove_parts, whole_file, write_json, write_text


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")
    with whole_file(path) as part:
        part.write_text("half")
        assert path.read_text() == "before"
    assert path.read_text() == "half"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_former_file_and_no_part(
    error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")

    def fail() -> None:
        with whole_file(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


def test_the_part_keeps_the_suffix_by_which_writers_choose_a_format(tmp_path: Path) -> None:
    with whole_file(tmp_path / "1.2.840.png") as part:
        assert part.suffix == ".png"
        part.touch()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskError),
        (errno.EDQUOT, DiskError),
        (errno.EROFS, DiskError),
        (errno.ENAMETOOLONG, CxrlocError),
    ],
)
def test_an_error_of_the_disk_names_the_file(
    number: int, kind: type[CxrlocError], tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(CxrlocError) as raised, whole_file(path):
        raise OSError(number, os.strerror(number))
    assert type(raised.value) is kind
    assert str(raised.value) == f"{path}: cannot be written: {os.strerror(number)}"


def test_a_full_disk_is_known_behind_the_error_of_a_library(tmp_path: Path) -> None:
    def write() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:  # as pydicom does, which names the tag
            raise OSError("With tag (0040,A730) got exception: ...\nTraceback ...") from error

    path = tmp_path / "a.dcm"
    with pytest.raises(DiskError, match="cannot be written: No space left"), whole_file(path):
        write()


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(CxrlocError, match=r"table\.csv: cannot be written: Is a directory"):
        write_text(tmp_path / "table.csv", "text")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_device_is_written_directly_and_a_full_one_is_said() -> None:
    with pytest.raises(DiskError, match="/dev/full: cannot be written: No space left on device"):
        write_text(Path("/dev/full"), "text")


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 125 + ".json")
    write_json(path, {"auc": float("nan")})
    assert path.read_text() == '{\n "auc": null\n}\n'


def test_parts_of_a_killed_run_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    kept = tmp_path / "below/own.png"
    kept.touch()
    with whole_file(tmp_path / "below/a.png") as part:
        part.touch()
        remove_parts(tmp_path)
        assert not part.exists()
        part.touch()
    assert sorted((tmp_path / "below").iterdir()) == [tmp_path / "below/a.png", kept]
