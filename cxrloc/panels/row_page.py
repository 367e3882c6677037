"""Rows on a page: a report, a radiograph with boxes, and its heatmap."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from cxrloc.errors import UsageError
from cxrloc.panels.lettering import LETTER, TEXT, line_mm, shortened, text_mm, wrapped
from cxrloc.panels.overlay import Mark, Role
from cxrloc.panels.plots import PAGE_MM, WIDTHS_MM, FigureRequest
from cxrloc.panels.radiographs import (
    draw_arrow,
    draw_key,
    draw_radiograph,
    key_height,
    picture_place,
)
from cxrloc.panels.report_text import (
    Marked,
    text_height,
    write_mark_key,
    write_marked,
)
from cxrloc.panels.sheet import GAP_MM, Rectangle, Sheet, letter_of, new_sheet, write, write_title
from cxrloc.types import Heatmaps, Label

_SCALE = "heatmap: min|max of each map"
_TITLE_MM = 5.0
_TALLEST = 1.25  # of a picture's width
_MOST_COLUMNS = 4
_SMALLEST = 14.0  # mm, of a picture


class Row(NamedTuple):
    """What one row shows; `claims` are the boxes that were scored."""

    image_id: str
    finding: str
    pixels: Float[np.ndarray, "row col"]
    experts: list[Mark]
    claims: list[Mark]
    heatmaps: Heatmaps | None
    arrows: list[tuple[float, float]]
    report: Marked
    keywords: list[str]


class _Layout(NamedTuple):
    """Where rows stand on a page, in mm.

    Attributes:
        cell: width of a column of rows.
        side: width of a picture.
        text: width of the lines of a report.
        maps: whether there is a second picture, with a heatmap.
        pictures: place of each row's radiograph.
        reports: upper left corner of each row's report.
        height: of all rows together.
    """

    cell: float
    side: float
    text: float
    maps: bool
    pictures: list[Rectangle]
    reports: list[tuple[float, float]]
    height: float


class _Foot(NamedTuple):
    """The key below the rows: its roles, scale and note, the labels of keywords; heights in mm."""

    roles: list[Role]
    scale: str
    note: str
    labels: list[Label]
    key: float
    height: float


def draw_rows(
    rows: Sequence[Row], request: FigureRequest, roles: Sequence[Role], note: str
) -> Figure:
    """Rows in as many columns as they need to fit on a page, above the key.

    The key says how many rows are left out, because the page has no room for them.

    Raises:
        UsageError: not even the first row fits.
    """
    width = WIDTHS_MM[request.width]
    caption = line_mm() * len(wrapped(request.caption, width - 2))

    def page(count: int) -> tuple[_Layout | None, _Foot]:
        foot = _foot(rows, count, width, roles, note)
        return _layout(rows[:count], width, PAGE_MM - foot.height - caption), foot

    count = len(rows)
    if page(count)[0] is None:
        # The more rows, the higher the page: a binary search finds the first that does not fit.
        count = bisect_left(range(1, count), True, key=lambda number: page(number)[0] is None)
    layout, foot = page(count)
    if layout is None or not count:
        raise UsageError(
            "a page has no room for the first row; shorten its report"
            + (", or take --width double" if width < WIDTHS_MM["double"] else "")
        )
    return _sheet(rows[:count], request, layout, foot)


def _foot(rows: Sequence[Row], count: int, width: float, roles: Sequence[Role], note: str) -> _Foot:
    """The key of the first rows."""
    shown = rows[:count]
    present = [role for role in roles if any(_shows(row, role) for row in shown)]
    scale = _SCALE if any(row.heatmaps is not None for row in shown) else ""
    labels = sorted({k.label for row in shown for k in row.report.keywords}, reverse=True)
    left_out = f"first {count} of {len(rows)} rows" if count < len(rows) else ""
    note = "; ".join(filter(None, (note, left_out)))
    key = key_height(width, present, scale, note)
    return _Foot(present, scale, note, labels, key, key + 1.3 * line_mm() * bool(labels) + 1.0)


def _sheet(rows: Sequence[Row], request: FigureRequest, layout: _Layout, foot: _Foot) -> Figure:
    sheet = new_sheet(request, layout.height + foot.height)
    for number, row in enumerate(rows):
        _draw_pictures(sheet, number, row, layout)
        _write_report(sheet, layout.reports[number], row, layout.text)
    draw_key(sheet, layout.height, foot.roles, foot.scale, foot.note)
    if foot.labels:
        y = layout.height + foot.key + 0.9 * line_mm()
        write(sheet, (1.0, y), "keywords:", va="baseline")
        write_mark_key(sheet, (16.0, y), foot.labels)
    return sheet.figure


def _layout(rows: Sequence[Row], width: float, height: float) -> _Layout | None:
    """The layout with the largest pictures that is not higher than this; None if there is none."""
    for columns in range(1, _MOST_COLUMNS + 1):
        layout = _in_columns(rows, width, columns)
        if layout.height <= height and layout.side >= _SMALLEST:
            return layout
    return None


def _in_columns(rows: Sequence[Row], width: float, columns: int) -> _Layout:
    """The rows in columns, from left to right and then from top to bottom.

    Text stands at the left of the pictures where they leave room for it, else below them.
    """
    cell = (width - (columns - 1) * GAP_MM) / columns
    has_text = any(row.report.text for row in rows)
    beside = has_text and cell > WIDTHS_MM["single"]
    text = 0.32 * cell - GAP_MM if beside else cell - 2
    left = 0.32 * cell if beside else 1.0
    side = (cell - left - 1.0 - GAP_MM) / 2
    maps = any(row.heatmaps is not None for row in rows)
    if not maps:
        side = min(cell - left - 1.0, 1.2 * side)
    pictures, reports, y = [], [], 0.0
    for first in range(0, len(rows), columns):
        bottom = y
        for column, row in enumerate(rows[first : first + columns]):
            x = column * (cell + GAP_MM)
            place = Rectangle(x + left, y + _TITLE_MM, side, _picture_height(row, side))
            pictures.append(place)
            written = _text_height(row, text) if has_text else 0.0
            under = y + _TITLE_MM if beside else place.y + place.height + 1.0
            reports.append((x + 1.0, under))
            bottom = max(bottom, place.y + place.height, under + written + 0.5 * has_text)
        y = bottom + GAP_MM / 2
    return _Layout(cell, side, text, maps, pictures, reports, y)


def _shows(row: Row, role: Role) -> bool:
    return any(mark.role is role for mark in (*row.experts, *row.claims))


def _picture_height(row: Row, side: float) -> float:
    rows, columns = row.pixels.shape
    return min(side * rows / columns, _TALLEST * side)


def _draw_pictures(sheet: Sheet, number: int, row: Row, layout: _Layout) -> None:
    first = layout.pictures[number]
    finding = f"{row.finding.replace('_', ' ')}, "
    letter = text_mm(letter_of(number), LETTER, "bold") + 1.2
    room = layout.cell - 2.0 - letter - (first.x - layout.reports[number][0])
    name = finding + shortened(row.image_id, room - text_mm(finding, TEXT), TEXT)
    write_title(sheet, (first.x, first.y + 3.8 - _TITLE_MM), number, name)
    axes = draw_radiograph(sheet, first, row.pixels, marks=[*row.experts, *row.claims])
    for point in row.arrows:
        draw_arrow(axes, point)
    second = first._replace(x=first.x + first.width + GAP_MM)
    if row.heatmaps is not None:
        draw_radiograph(sheet, second, row.pixels, row.heatmaps, row.finding, row.experts)
    elif layout.maps:
        middle = picture_place(row.pixels, second)
        at = (middle.x + middle.width / 2, middle.y + middle.height / 2)
        write(sheet, at, "no map", ha="center", va="center")


def _text_height(row: Row, width: float) -> float:
    words = len(wrapped("; ".join(row.keywords), width)) * line_mm()
    return text_height(row.report, width) + words + 3.2 * line_mm(TEXT)


def _write_report(sheet: Sheet, at: tuple[float, float], row: Row, width: float) -> None:
    if not row.report.text:
        return
    x, y = at
    write(sheet, (x, y + 0.8 * line_mm(TEXT)), "Report", TEXT, weight="bold", va="baseline")
    y += 1.2 * line_mm(TEXT)
    write_marked(sheet, (x, y), row.report, width)
    y += text_height(row.report, width) + 1.6 * line_mm(TEXT)
    write(sheet, (x, y), "Keywords", TEXT, weight="bold", va="baseline")
    lines = wrapped("; ".join(row.keywords) or "none", width)
    write(sheet, (x, y + 0.3 * line_mm()), "\n".join(lines), va="top")
