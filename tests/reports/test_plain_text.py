"""Report text without markup, and where its sentences end."""

import pytest

from cxrloc.reports.plain_text import MAX_CHARACTERS, clean, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Heart normal.  Lungs clear.", ["Heart normal.", "Lungs clear."]),
        ("a 1.5 cm nodule, seen by Dr. No.", ["a 1.5 cm nodule, seen by Dr. No."]),
        ("small effusion\nis seen", ["small effusion is seen"]),  # a wrapped line
        ("no mass\n\nedema", ["no mass", "edema"]),
        ("1.Mass.Edema", ["1. Mass.", "Edema"]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_sentence_without_end_is_cut() -> None:
    found = sentences("mass " * 5000)
    assert max(map(len, found)) <= MAX_CHARACTERS + 1
    assert sum(map(len, found)) >= 24_000


def test_tags_and_entities_are_resolved_once() -> None:
    assert clean("a<BR>b &lt; c &#39;d&#39;\r\n\r\n\r\ne") == "a b < c 'd'\n\ne"


def test_a_stroke_between_two_words_is_no_line_break() -> None:
    assert clean(r"mass\nodule, left\right\nNo edema\r\nNo nodes") == (
        "mass\\nodule, left\\right\nNo edema\nNo nodes"
    )
