"""Text from files is safe in each output format."""

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrloc.text import (
    MESSAGE_CHARACTERS,
    for_csv,
    for_latex,
    for_markdown,
    for_terminal,
    from_csv,
    one_line,
)


@given(st.text(st.characters(exclude_categories=()), max_size=2000))
def test_a_line_is_one_line_without_control_characters(text: str) -> None:
    line = one_line(text)
    assert len(line) <= MESSAGE_CHARACTERS
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in line)
    line.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),  # clears a terminal
        ("a\x9b31m", r"a\x9b31m"),  # the same in one character
        ("gpj\u202e.exe", r"gpj\u202e.exe"),  # turns the direction of writing
        ("\udcff.png", r"\udcff.png"),  # a file name that is no UTF-8
        ("Lungenödem 肺", "Lungenödem 肺"),
    ],
)
def test_control_characters_do_not_reach_a_terminal(text: str, shown: str) -> None:
    assert for_terminal(text) == shown


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_a_formula_is_text_in_a_spreadsheet(start: str) -> None:
    assert for_csv(f"{start}cmd") == f"'{start}cmd"


@pytest.mark.parametrize("number", ["-1", "+0.5", "-1e-3"])
def test_a_number_keeps_its_sign(number: str) -> None:
    assert for_csv(number) == number


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp"))))
def test_a_cell_is_read_again_as_it_was(text: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow([for_csv(text), "end"])
    ((cell, _),) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert from_csv(cell) == text


def test_markup_is_text() -> None:
    assert for_markdown("a|b [x](y) `z` *w*\n<b>") == r"a\|b \[x\](y) \`z\` \*w\* &lt;b>"
    assert for_latex(r"\input{a} 5 % & #1 $x_1^2$ ~") == (
        r"\textbackslash{}input\{a\} 5 \% \& \#1 \$x\_1\textasciicircum{}2\$ \textasciitilde{}"
    )
