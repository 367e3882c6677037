"""CSV files that are written row by row."""

from pathlib import Path

import pytest

from cxrloc.files.csv_rows import csv_rows


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
