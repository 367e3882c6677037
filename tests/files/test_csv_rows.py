"""CSV files that are written row by row."""

from pathlib import Path

import pytest

from cxrloc.files.csv_rows import csv_rows
from cxrloc.files.whole import DiskError


def test_rows_are_whole_only_at_the_end_and_hold_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "findings.csv"
    with csv_rows(path, ("image", "score", "above")) as add:
        add(("=A1", -0.5, None))
        add(("a\nb\udcff", "-1", True))
        assert not path.exists()
    assert path.read_bytes() == b'image,score,above\n\'=A1,-0.5,\n"a\nb\\udcff",-1,True\n'


def test_an_interrupted_table_is_not_there(tmp_path: Path) -> None:
    def interrupted() -> None:
        with csv_rows(tmp_path / "findings.csv", ("image",)) as add:
            add(("a",))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_of_several_tables_on_a_full_disk_the_one_that_was_written_is_named(tmp_path: Path) -> None:
    inner = tmp_path / "inner.csv"
    inner.symlink_to("/dev/full")

    def write() -> None:
        outer = Path("/dev/full")
        with csv_rows(outer, ("image",)) as add, csv_rows(inner, ("image",)):
            for _ in range(100):
                add(("0" * 1000,))

    with pytest.raises(DiskError, match=r"^/dev/full: cannot be written: No space left"):
        write()
