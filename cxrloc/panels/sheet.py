"""Figures laid out in millimetres: pictures keep their shapes, and text is measured to fit.

A `Sheet` is a figure with one set of axes over all of it, whose units are millimetres from the
upper left corner: text, boxes and arrows are drawn there, pictures in axes of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from string import ascii_lowercase
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch

from cxrloc.panels.plots import INCH_MM, WIDTHS_MM, FigureRequest

GAP_MM = 3.0
"""Distance between pictures, and between columns of text, in mm."""

TEXT, SMALL, LETTER = 7.0, 6.5, 9.0
"""Sizes of text in points: headings, all else, panel letters."""

_LINE_HEIGHT = 1.25
_POINT_MM = INCH_MM / 72
_FINE = 1440  # dots per inch at which text is measured: the rounding of letters is negligible


class Rectangle(NamedTuple):
    """A place on a sheet, in millimetres from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A figure and the axes in millimetres over all of it."""

    figure: Figure
    canvas: Axes


def new_sheet(request: FigureRequest, height_mm: float) -> Sheet:
    """An empty sheet of the request's width, its caption in small print at the bottom."""
    width = WIDTHS_MM[request.width]
    lines = wrapped(request.caption, width - 2)
    total = height_mm + line_mm() * len(lines)
    figure = Figure(figsize=(width / INCH_MM, total / INCH_MM))
    figure.set_layout_engine("none")
    canvas = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(total, 0))
    canvas.set_axis_off()
    sheet = Sheet(figure, canvas)
    write(sheet, (1, height_mm), "\n".join(lines), va="top")
    return sheet


def axes_at(sheet: Sheet, place: Rectangle) -> Axes:
    """Axes without frame or ticks, above the canvas."""
    width, height = sheet.canvas.get_xlim()[1], sheet.canvas.get_ylim()[0]
    bottom = height - place.y - place.height
    axes = sheet.figure.add_axes(
        (place.x / width, bottom / height, place.width / width, place.height / height)
    )
    axes.set_axis_off()
    return axes


def write(
    sheet: Sheet, at: tuple[float, float], text: str, size: float = SMALL, **style: Any
) -> None:
    """Write text at a place, unless it is empty; `style` goes to matplotlib's `text`."""
    if text:
        sheet.canvas.text(*at, text, fontsize=size, linespacing=_LINE_HEIGHT, **style)


def write_title(sheet: Sheet, at: tuple[float, float], number: int, text: str) -> None:
    """Write a panel's bold letter and its heading beside it, both with their baseline at y."""
    x, y = at
    letter = letter_of(number)
    write(sheet, (x, y), letter, LETTER, weight="bold", va="baseline")
    x += text_mm(letter, LETTER, "bold") + 1.2
    write(sheet, (x, y), text, TEXT, va="baseline")


def write_node(
    sheet: Sheet,
    place: Rectangle,
    lines: Sequence[str],
    colour: str,
    bold: int = 1,
    dashed: bool = False,
) -> None:
    """Draw a rounded box with lines of text in its middle, the first `bold` of them bold."""
    x, y, width, height = place
    sheet.canvas.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=1",
            facecolor=(*matplotlib.colors.to_rgb(colour), 0.14),
            edgecolor=colour,
            linestyle="--" if dashed else "-",
            linewidth=0.8,
        )
    )
    top = y + height / 2 - line_mm() * (len(lines) - 1) / 2
    for number, line in enumerate(lines):
        weight = "bold" if number < bold else "normal"
        at = (x + width / 2, top + number * line_mm())
        write(sheet, at, line, ha="center", va="center", weight=weight)


def letter_of(number: int) -> str:
    """The letter of a panel, counted from 0.

    >>> letter_of(0), letter_of(25), letter_of(26)
    ('a', 'z', 'aa')
    """
    rounds, place = divmod(number, len(ascii_lowercase))
    return (letter_of(rounds - 1) if rounds else "") + ascii_lowercase[place]


def line_mm(size: float = SMALL) -> float:
    """Height of a line of text."""
    return size * _LINE_HEIGHT * _POINT_MM


def text_mm(text: str, size: float = SMALL, weight: str = "normal") -> float:
    """Width of a line of text in the figure's fonts."""
    font = FontProperties(family=matplotlib.rcParams["font.family"], size=size, weight=weight)
    width, _, _ = _renderer().get_text_width_height_descent(text, font, ismath=False)
    return width / _FINE * INCH_MM


def wrapped(text: str, width_mm: float, size: float = SMALL) -> list[str]:
    """Lines no wider than this, broken at spaces; a word that is too wide is broken inside."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_mm(longer, size) <= width_mm:
            lines[-1] = longer
            continue
        pieces = [word]
        while text_mm(pieces[-1], size) > width_mm and len(pieces[-1]) > 1:
            fits = max(1, _fitting(pieces[-1], width_mm, size))
            pieces[-1:] = [pieces[-1][:fits], pieces[-1][fits:]]
        lines += pieces
    return lines


def shortened(text: str, width_mm: float, size: float = SMALL) -> str:
    """One line, cut with an ellipsis where it is wider than this."""
    if text_mm(text, size) <= width_mm:
        return text
    return text[: _fitting(text, width_mm - text_mm("…", size), size)].rstrip() + "…"


def _fitting(text: str, width_mm: float, size: float) -> int:
    """The number of characters, from the first on, that fit into the width."""
    return next((n for n in range(len(text), 0, -1) if text_mm(text[:n], size) <= width_mm), 0)


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(8, 8, _FINE)
