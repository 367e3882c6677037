"""Radiographs on a sheet: the picture at print resolution, boxes, arrows and outlines as lines."""

from collections.abc import Sequence
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle as Frame

from cxrloc.panels.lettering import INCH_MM, SMALL, line_mm, text_mm
from cxrloc.panels.overlay import COLOUR_MAP, Mark, Role, shade
from cxrloc.panels.sheet import GAP_MM, Rectangle, Sheet, axes_at, write
from cxrloc.types import Heatmaps

ARROW = "#F0E442"
"""Okabe and Ito's yellow, which neither radiographs nor boxes contain."""

Point = tuple[float, float]

_DPI = 300
_LINE, _HALO = 1.0, 2.0  # points
_SOLID = {"dash_offset": 0, "dash_list": None}
_BAR_MM = 22.0
_SWATCH_MM = 6.0


def picture_place(pixels: Float[np.ndarray, "row col"], place: Rectangle) -> Rectangle:
    """The largest rectangle of the radiograph's shape in the middle of a place."""
    rows, columns = pixels.shape
    scale = min(place.width / columns, place.height / rows)
    width, height = columns * scale, rows * scale
    return Rectangle(
        place.x + (place.width - width) / 2, place.y + (place.height - height) / 2, width, height
    )


def draw_radiograph(
    sheet: Sheet,
    place: Rectangle,
    pixels: Float[np.ndarray, "row col"],
    heatmaps: Heatmaps | None = None,
    finding: str = "",
    marks: Sequence[Mark] = (),
) -> Axes:
    """A radiograph with a heatmap and boxes; the axes' units are its pixels.

    The picture has 300 dots per inch: averaged where it shrinks, its pixels repeated where it
    grows, so that no viewer has to interpolate.
    """
    place = picture_place(pixels, place)
    rows, columns = pixels.shape
    height, width = (max(1, round(side / INCH_MM * _DPI)) for side in (place.height, place.width))
    axes = axes_at(sheet, place)
    axes.imshow(
        shade(pixels, height, width, heatmaps, finding),
        extent=(0, columns, rows, 0),
        interpolation="none",
        aspect="auto",
    )
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    # The expert's box is drawn last, so that it covers the others.
    for mark in sorted(marks, key=lambda mark: mark.role is Role.EXPERT):
        box = mark.box
        corner = (box.x_min, box.y_min)
        sides = (box.x_max - box.x_min, box.y_max - box.y_min)
        axes.add_patch(Frame(corner, *sides, **role_line(mark.role)))
    return axes


def role_line(role: Role) -> dict[str, Any]:
    """How matplotlib draws a role's box: over a dark halo, to be visible on bone and on air."""
    # Dashes are given in pixels of a line two pixels wide, here in widths of the line.
    style: Any = (0, tuple(length / 2 for length in role.dash)) if role.dash else "-"
    return {
        "fill": False,
        "edgecolor": tuple(value / 255 for value in role.colour),
        "linestyle": style,
        "linewidth": _LINE,
        "path_effects": halo(),
    }


def halo() -> list[effects.AbstractPathEffect]:
    """A black line around a line."""
    around = effects.Stroke(linewidth=_HALO, foreground="black", dashes=_SOLID)
    return [around, effects.Normal()]


def draw_arrow(axes: Axes, tip: Point) -> None:
    """Draw an arrow to a point of a radiograph, from the outer side if there is room for it.

    Args:
        axes: of `draw_radiograph`.
        tip: where it points, in pixels.
    """
    columns, rows = axes.get_xlim()[1], axes.get_ylim()[0]
    length = 0.13 * min(columns, rows)
    middle = np.array([columns, rows]) / 2
    away = np.array(tip) - middle
    away = away / (np.hypot(*away) or 1.0) if away.any() else np.array([1.0, 0.0])
    tail = np.array(tip) + length * away
    if not (0 <= tail[0] <= columns and 0 <= tail[1] <= rows):
        tail = np.array(tip) - length * away
    axes.annotate(
        "",
        xy=tip,
        xytext=tuple(tail),
        arrowprops={
            "arrowstyle": "-|>,head_length=0.35,head_width=0.2",
            "color": ARROW,
            "linewidth": 1.2,
            "shrinkA": 0,
            "shrinkB": 0,
            "path_effects": [effects.withStroke(linewidth=2.4, foreground="black")],
        },
    )


def key_height(width_mm: float, roles: Sequence[Role], scale: str, note: str = "") -> float:
    """Height of the key that `draw_key` draws."""
    return sum(1 for _ in _key_lines(width_mm, roles, scale, note)) * 1.25 * line_mm() + 1.0


def draw_key(sheet: Sheet, y: float, roles: Sequence[Role], scale: str, note: str = "") -> None:
    """The heatmap's scale bar between words such as "min|max", roles of boxes, and a note.

    Args:
        sheet: to draw on.
        y: its upper edge, in millimetres.
        roles: styles of boxes to explain.
        scale: words at both ends of the bar, with | between; empty: no heatmap is shown.
        note: for example, what makes a box correct.
    """
    width = sheet.canvas.get_xlim()[1]
    for number, items in enumerate(_key_lines(width, roles, scale, note)):
        middle = y + 1.0 + (number + 0.5) * 1.25 * line_mm()
        x = 1.0
        for item in items:
            x = _draw_item(sheet, x, middle, item)


def _key_lines(
    width_mm: float, roles: Sequence[Role], scale: str, note: str
) -> list[list[Role | str]]:
    """The items of each line of the key; a text with | in it is the scale."""
    lines: list[list[Role | str]] = []
    room = 0.0
    items: list[Role | str] = [*([scale] if scale else []), *roles, *([note] if note else [])]
    for item in items:
        needs = _item_mm(item)
        if not lines or needs > room:
            lines.append([])
            room = width_mm - 2.0
        lines[-1].append(item)
        room -= needs + GAP_MM
    return lines


def _item_mm(item: Role | str) -> float:
    if isinstance(item, Role):
        return _SWATCH_MM + 1 + text_mm(item.words)
    bar = _BAR_MM + 2 if "|" in item else 0.0
    return text_mm(item.replace("|", "")) + bar


def _draw_item(sheet: Sheet, x: float, middle: float, item: Role | str) -> float:
    """One item of the key; returns where the next one starts."""
    end = x + _item_mm(item) + GAP_MM
    if isinstance(item, Role):
        corner = (x, middle - 1.2)
        sheet.canvas.add_patch(Frame(corner, _SWATCH_MM, 2.4, **role_line(item)))
        write(sheet, (x + _SWATCH_MM + 1, middle), item.words, SMALL, va="center")
    elif "|" in item:
        low, high = item.split("|")
        write(sheet, (x, middle), low, SMALL, va="center")
        x += text_mm(low) + 1
        bar = axes_at(sheet, Rectangle(x, middle - 1.1, _BAR_MM, 2.2))
        bar.imshow(np.arange(256)[None], cmap=COLOUR_MAP, aspect="auto", interpolation="none")
        write(sheet, (x + _BAR_MM + 1, middle), high, SMALL, va="center")
    else:
        write(sheet, (x, middle), item, SMALL, va="center")
    return end
