"""One data frame is written in four output formats."""

import io
from pathlib import Path

import pandas as pd
from rich.console import Console

from cxrloc.files.table_writer import markdown_table, terminal_table, write_csv

FRAME = pd.DataFrame(
    {"finding": ["Mass", "=A1|_"], "auc": [0.123456789, None], "n": pd.array([3, None], "Int64")}
)


def test_csv_keeps_digits_and_holds_no_formula(tmp_path: Path) -> None:
    write_csv(FRAME, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b"finding,auc,n\nMass,0.123457,3\n'=A1|_,,\n"
    write_csv(FRAME, tmp_path / "a.csv", float_format=None)
    assert b"Mass,0.123456789,3\n" in (tmp_path / "a.csv").read_bytes()


def test_names_of_columns_are_no_formula_either(tmp_path: Path) -> None:
    write_csv(pd.DataFrame([[1, "x"]], columns=["@a", "@a"]), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "'@a,'@a\n1,x\n"


def test_markdown_has_four_digits_and_empty_cells() -> None:
    lines = markdown_table(FRAME).splitlines()
    assert [
        [cell.strip() for cell in line.split(" | ")] for line in lines if "---" not in line
    ] == [
        ["| finding", "auc", "n |"],
        ["| Mass", "0.1235", "3 |"],
        [r"| =A1\|_", "", "|"],
    ]


def test_a_table_without_rows_has_its_heading() -> None:
    assert "finding" in markdown_table(FRAME.iloc[:0])


def test_brackets_and_control_characters_are_text_on_the_terminal() -> None:
    shown = io.StringIO()
    frame = pd.DataFrame({"image": ["[red]a\x1b[2J"], "score": [0.5]})
    Console(file=shown, width=60).print(terminal_table(frame))
    assert r"[red]a\x1b[2J" in shown.getvalue()
