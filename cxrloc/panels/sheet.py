"""Figures laid out in millimetres: pictures keep their shapes, and text is measured to fit.

A `Sheet` is a figure with one set of axes over all of it, whose units are millimetres from the
upper left corner: text, boxes and arrows are drawn there, pictures in axes of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from cxrloc.panels.lettering import (
    INCH_MM,
    LETTER,
    LINE_SPACING,
    SMALL,
    TEXT,
    line_mm,
    text_mm,
    wrapped,
)
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest

GAP_MM = 3.0
"""Distance between pictures, and between columns of text, in mm."""

_FOOT_MM = 0.8  # below the last line of a caption


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
    total = height_mm + line_mm() * len(lines) + (_FOOT_MM if lines else 0.0)
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
        sheet.canvas.text(*at, text, fontsize=size, linespacing=LINE_SPACING, **style)


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
