"""Sizes of letters, and text measured in the figure's font so that it fits where it is put."""

from functools import cache

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

INCH_MM = 25.4

TEXT, SMALL, LETTER = 7.0, 6.5, 9.0
"""Sizes of text in points: headings, all else, panel letters."""

LINE_HEIGHT = 1.25
"""Height of a line, as a multiple of the size of its letters."""

LINE_SPACING = LINE_HEIGHT / 1.12
"""The same for matplotlib, as a multiple of the height of the font, whose ascent and descent are
1.12 of its size."""

_POINT_MM = INCH_MM / 72
_FINE = 1440  # dots per inch at which text is measured: the rounding of letters is negligible


def line_mm(size: float = SMALL) -> float:
    """Height of a line of text."""
    return size * LINE_HEIGHT * _POINT_MM


def text_mm(text: str, size: float = SMALL, weight: str = "normal") -> float:
    """Width of a line of text in the figure's fonts."""
    font = FontProperties(family=matplotlib.rcParams["font.family"], size=size, weight=weight)
    width, _, _ = _renderer().get_text_width_height_descent(text, font, ismath=False)
    return width / _FINE * INCH_MM


def wrapped(text: str, width_mm: float, size: float = SMALL, weight: str = "normal") -> list[str]:
    """Lines no wider than this, broken at spaces; a word that is too wide is broken inside."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_mm(longer, size, weight) <= width_mm:
            lines[-1] = longer
            continue
        pieces = [word]
        while text_mm(pieces[-1], size, weight) > width_mm and len(pieces[-1]) > 1:
            fits = max(1, _fitting(pieces[-1], width_mm, size, weight))
            pieces[-1:] = [pieces[-1][:fits], pieces[-1][fits:]]
        lines += pieces
    return lines


def shortened(text: str, width_mm: float, size: float = SMALL) -> str:
    """The text in one line, cut with an ellipsis if it is wider than this."""
    if text_mm(text, size) <= width_mm:
        return text
    return text[: _fitting(text, width_mm - text_mm("…", size), size)].rstrip() + "…"


def _fitting(text: str, width_mm: float, size: float, weight: str = "normal") -> int:
    """The number of characters, from the first on, that fit into the width."""
    return next(
        (n for n in range(len(text), 0, -1) if text_mm(text[:n], size, weight) <= width_mm), 0
    )


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(8, 8, _FINE)
