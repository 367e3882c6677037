"""Text is measured in the font in which figures are drawn."""

from collections.abc import Iterator

import pytest

from cxrloc.panels.lettering import line_mm, shortened, text_mm, wrapped
from cxrloc.panels.plots import figure_style


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


def test_letters_have_the_widths_of_arial() -> None:
    # In Arial a digit is 0.556 of the size wide, and a point is 25.4 / 72 mm.
    assert text_mm("0000", 10) == pytest.approx(4 * 5.56 * 25.4 / 72, abs=0.02)
    assert text_mm("0000", 10, "bold") == pytest.approx(4 * 5.56 * 25.4 / 72, abs=0.02)
    assert line_mm(8) == pytest.approx(10 * 25.4 / 72)


def test_lines_are_broken_at_spaces_and_a_long_word_inside() -> None:
    width = text_mm("no mass or")
    assert wrapped("no mass or nodule", width) == ["no mass or", "nodule"]
    assert wrapped("00000", text_mm("00") + 0.01) == ["00", "00", "0"]
    assert wrapped("", 10) == []


def test_a_line_that_is_too_wide_ends_in_an_ellipsis() -> None:
    assert shortened("Mass", 50) == "Mass"
    assert shortened("00000", text_mm("00…") + 0.01) == "00…"
