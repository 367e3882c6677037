"""Elements that all plots share: style, colours with line styles, grids of axes, legends.

The look is `print.mplstyle`, with `dark.mplstyle` over it for slides. Colours are named by their
place in the style's cycle ("C0", "C1", ...), so that one drawing serves both.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import ascii_lowercase
from textwrap import fill
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.findings import standard_finding
from cxrloc.panels.lettering import INCH_MM, text_mm, wrapped
from cxrloc.text import for_terminal

WIDTHS_MM = {"single": 89.0, "double": 183.0}
"""Widths of one and of two columns of a journal, in mm."""

PAGE_MM = 247.0
"""Height of a journal's page: no figure is higher."""

LINE_STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

GREY = "#808080"
"""Colour of curves that are drawn only for comparison; readable on white and on black slides."""

FONT = "Arimo"
"""The font of figures. It has the widths of Arial, which journals ask for, and is free (OFL)."""

_FOLDER = Path(__file__).parent
_CELL_MM, _SMALLEST_CELL_MM = 34.0, 24.0  # usual and least width of a small plot
_LEGEND_ROOM_MM = 20.0  # that a page keeps free for a legend
_LABELS_MM = 8.0  # at the left of small plots
_GRID_PAD = 0.05  # inches around small plots
_LEGEND_LINE_MM = 3.4  # of letters of 6.5 points, with matplotlib's gap between labels
_KEY_MM, _BETWEEN_MM = 9.0, 3.5  # a legend's line or marker, and the gap between its columns
_CJK_FONTS = ("NotoSansCJK-Regular", "NotoSansCJKsc-Regular", "SourceHanSans-Regular", "wqy-zenhei")


@dataclass(frozen=True, slots=True)
class FigureRequest:
    """The user's options for drawing a panel.

    Attributes:
        width: a name of `WIDTHS_MM`.
        findings: findings to draw, in this order; if empty, all findings. They are kept in their
            standard spelling.
        beside: published tables whose numbers are drawn beside the measured ones.
        caption: small print above, such as a model's limits.
        images: ids of images to draw, in this order; if empty, the panel chooses.
        projection: draw the results on images of this projection only, a name of `PROJECTIONS`;
            empty for all.
        names: what the results are called, in their order; if empty, names of their paths.

    Raises:
        UsageError: there is no such width.
    """

    width: str = "double"
    findings: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    caption: str = ""
    images: tuple[str, ...] = ()
    projection: str = ""
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", tuple(map(standard_finding, self.findings)))
        # No font has control characters.
        object.__setattr__(self, "caption", for_terminal(self.caption))
        if self.width not in WIDTHS_MM:
            raise UsageError(f"--width {self.width}: choose from {', '.join(WIDTHS_MM)}")


@contextmanager
def figure_style(dark: bool = False) -> Iterator[None]:
    """The style in which figures are drawn and written, without a user's own settings.

    Chinese, Japanese and Korean text takes a font of the system.

    Raises:
        CxrlocError: a character is in no font that is installed; names the package to install.
    """
    names = ["print.mplstyle", *(["dark.mplstyle"] if dark else [])]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", r"Glyph \d+", UserWarning)
        styles = [str(_FOLDER / name) for name in names]
        with matplotlib.style.context(styles, after_reset=True):
            matplotlib.rcParams["font.family"] = [*_latin_families(), *_cjk_families()]
            try:
                yield
            except UserWarning as warning:
                if not str(warning).startswith("Glyph"):
                    raise
                raise CxrlocError(
                    f"{warning} Install a font that has it: for Chinese, Japanese and Korean "
                    "Debian's package fonts-noto-cjk"
                ) from warning


def line_of(place: int) -> dict[str, Any]:
    """Colour and line style of curve number `place`: 49 pairs; the first seven differ in both.

    >>> line_of(1), line_of(8)
    ({'color': 'C1', 'linestyle': '--'}, {'color': 'C1', 'linestyle': '-.'})
    """
    colours = len(LINE_STYLES)
    style = LINE_STYLES[(place + place // colours) % colours]
    return {"color": f"C{place % colours}", "linestyle": style}


def marker_of(place: int) -> dict[str, Any]:
    """Colour and marker of series number `place`, whose points no line joins."""
    colours = len(MARKERS)
    marker = MARKERS[(place + place // colours) % colours]
    return {"color": f"C{place % colours}", "marker": marker, "linestyle": "none"}


def words_of(name: str, width: int = 18) -> str:
    r"""A finding's or run's name as a heading: without underscores, in lines of limited length.

    >>> words_of("Pleural_Thickening", 10)
    'Pleural\nThickening'
    """
    return fill(name.replace("_", " "), width)


def free_axes(
    rows: int, columns: int, request: FigureRequest, height_mm: float
) -> tuple[Figure, list[Axes]]:
    """Independent axes in a figure of the request's width and this height."""
    size = (WIDTHS_MM[request.width] / INCH_MM, height_mm / INCH_MM)
    figure = Figure(figsize=size)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def grid_of_axes(titles: Sequence[str], request: FigureRequest) -> tuple[Figure, list[Axes]]:
    """Small plots with common axes, one per title; the width decides how many are in a row."""
    width = WIDTHS_MM[request.width]
    heading = 3.2 * max(title.count("\n") + 1 for title in titles)
    for least in (_CELL_MM, _SMALLEST_CELL_MM):  # smaller plots only where a page has no room
        rows = -(-len(titles) // int(width // least))
        columns = -(-len(titles) // rows)  # rows as even as they can be
        cell = min((width - _LABELS_MM) / columns, (1.8 if rows == 1 else 1.35) * _CELL_MM)
        height = rows * (cell + heading)
        if height <= PAGE_MM - _LEGEND_ROOM_MM:
            break
    size = (width / INCH_MM, height / INCH_MM)
    figure = Figure(figsize=size)
    figure.set_layout_engine("compressed", h_pad=_GRID_PAD, w_pad=_GRID_PAD)
    every = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, title in zip(every, titles, strict=False):
        axes.set_title(title)
    for axes in every[len(titles) :]:
        axes.set_axis_off()
    # A column may have fewer plots than others: its lowest one shows the tick labels.
    for axes in every[max(0, len(titles) - columns) : len(titles)]:
        axes.xaxis.set_tick_params(labelbottom=True)
    return figure, list(every[: len(titles)])


def label_grid(figure: Figure, panels: Sequence[Axes], x: str, y: str) -> None:
    """Label the axes of small plots, once for all of them."""
    if len(panels) == 1:
        panels[0].set_xlabel(x)
    else:
        figure.supxlabel(x, fontsize=7)
    left = panels[0].get_position().x0
    for axes in panels:
        if axes.get_position().x0 == left:
            axes.set_ylabel(y)


def letter_axes(panels: Sequence[Axes]) -> None:
    """Write a bold a, b, c, ... at the upper left corner of each."""
    for letter, axes in zip(ascii_lowercase, panels, strict=False):
        axes.annotate(
            letter,
            xy=(0, 1),
            xycoords="axes fraction",
            xytext=(-20, 5),
            textcoords="offset points",
            fontsize=9,
            fontweight="bold",
        )


def add_legend(figure: Figure, marks: Sequence[Artist], caption: str = "") -> None:
    """Add small print and a legend below it, above all plots; the figure grows by their height.

    A label that is wider than the figure is broken into lines.
    """
    room = figure.get_figwidth() * INCH_MM - 4
    words = wrapped(caption, room)
    if not (marks or words):
        return
    labels = [wrapped(str(mark.get_label()), room - _KEY_MM) for mark in marks]
    for mark, lines in zip(marks, labels, strict=True):
        mark.set_label("\n".join(lines))
    longest = max((text_mm(line) for lines in labels for line in lines), default=0)
    columns = int((room + _BETWEEN_MM) / (longest + _KEY_MM + _BETWEEN_MM))
    columns = max(1, min(columns, len(marks)))
    figure.legend(
        handles=list(marks),
        loc="outside upper center",
        ncols=columns,
        title="\n".join(words) or None,
    )
    # The legend's columns are filled one after another.
    heights = np.array([len(lines) for lines in labels])
    most = max(int(column.sum()) for column in np.array_split(heights, columns)) if marks else 0
    height = (most + len(words)) * _LEGEND_LINE_MM + 2.0
    figure.set_figheight(figure.get_figheight() + height / INCH_MM)


@cache
def _latin_families() -> tuple[str, ...]:
    """The package's font, with the widths of Arial, then matplotlib's, with more characters."""
    for path in sorted((_FOLDER / "fonts").glob("*.ttf")):
        font_manager.fontManager.addfont(path)
    return FONT, "DejaVu Sans"


@cache
def _cjk_families() -> tuple[str, ...]:
    """The first font family of the system that has Chinese characters; empty if there is none."""
    for path in font_manager.findSystemFonts():
        if any(name in path for name in _CJK_FONTS):
            for weight in {path, path.replace("Regular", "Bold")}:
                if Path(weight).is_file():
                    font_manager.fontManager.addfont(weight)
            return (font_manager.FontProperties(fname=path).get_name(),)
    return ()
