"""Clusters of diagnosis clauses: a box for each cluster with its clauses inside."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cxrloc.panels.lettering import INCH_MM, LINE_HEIGHT, LINE_SPACING, text_mm, wrapped
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest
from cxrloc.panels.results import only_result, read_table
from cxrloc.panels.sheet import new_sheet

_COLUMNS = ("cluster", "medoid", "reports", "clause", "count")
_SMALLEST, _LARGEST = 6.0, 16.0  # points
_POINT_MM = INCH_MM / 72
_PAD_MM = 1.2


class Tile(NamedTuple):
    """A rectangle, in mm from the upper left corner of the figure."""

    x: float
    y: float
    width: float
    height: float


def draw_clusters(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A box for each cluster: its most central clause (medoid) on top, other wordings below.

    Source: Dong et al. 2017, figure 4, where each box is a cluster and larger letters mean a more
    frequent clause. The area of a box is proportional to its number of reports. Clauses that do
    not fit in letters of 6 points without a break inside a word are left out, the rarest first.

    Args:
        results: the clusters.csv that `label --cluster K` writes beside its labels.
        request: width and small print.
    """
    name = "labels_clusters.csv"
    path = only_result(results, "clusters")
    frame = read_table(path, name, _COLUMNS, "label --cluster K")
    sizes = frame.groupby("cluster")["reports"].first().sort_values(ascending=False, kind="stable")
    width = WIDTHS_MM[request.width]
    height = width * (0.5 if request.width == "double" else 0.9)
    sheet = new_sheet(request, height)
    tiles = treemap([float(size) for size in sizes], Tile(0.5, 0.5, width - 1, height - 1))
    for place, (cluster, tile) in enumerate(zip(sizes.index, tiles, strict=True)):
        _draw_tile(sheet.canvas, tile, frame[frame["cluster"] == cluster], place)
    return sheet.figure


def treemap(sizes: Sequence[float], tile: Tile) -> list[Tile]:
    """Rectangles that fill the tile, with areas proportional to the sizes.

    Source: Bruls, Huizing, van Wijk 2000, Squarified treemaps. Rectangles stand in rows along the
    shorter side of the space that is left. A row takes further rectangles as long as this
    brings their shapes nearer to squares.

    Args:
        sizes: above 0, the largest first.
        tile: the rectangle to fill.

    >>> for each in treemap([2.0, 1.0, 1.0], Tile(0.0, 0.0, 2.0, 2.0)):
    ...     print(*each)
    0.0 0.0 1.0 2.0
    1.0 0.0 1.0 1.0
    1.0 1.0 1.0 1.0
    """
    if not sizes:
        return []
    scale = tile.width * tile.height / sum(sizes)
    side = min(tile.width, tile.height)
    in_row = 1
    while in_row < len(sizes) and _worst_ratio(sizes[: in_row + 1], side, scale) <= _worst_ratio(
        sizes[:in_row], side, scale
    ):
        in_row += 1
    depth = sum(sizes[:in_row]) * scale / side
    tiles, along = [], 0.0
    for size in sizes[:in_row]:
        length = size * scale / depth
        if tile.width >= tile.height:
            tiles.append(Tile(tile.x, tile.y + along, depth, length))
        else:
            tiles.append(Tile(tile.x + along, tile.y, length, depth))
        along += length
    if tile.width >= tile.height:
        rest = Tile(tile.x + depth, tile.y, tile.width - depth, tile.height)
    else:
        rest = Tile(tile.x, tile.y + depth, tile.width, tile.height - depth)
    return tiles + treemap(sizes[in_row:], rest)


def _worst_ratio(sizes: Sequence[float], side: float, scale: float) -> float:
    """The largest ratio of longer to shorter side among the rectangles of a row."""
    depth = sum(sizes) * scale / side
    lengths = [size * scale / depth for size in sizes]
    return max(max(depth / length, length / depth) for length in lengths)


def _draw_tile(axes: Axes, tile: Tile, clauses: pd.DataFrame, place: int) -> None:
    axes.add_patch(
        Rectangle(
            (tile.x + 0.3, tile.y + 0.3),
            tile.width - 0.6,
            tile.height - 0.6,
            facecolor=f"C{place % 7}",
            alpha=0.16,
        )
    )
    axes.add_patch(
        Rectangle(
            (tile.x + 0.3, tile.y + 0.3),
            tile.width - 0.6,
            tile.height - 0.6,
            fill=False,
            edgecolor=f"C{place % 7}",
            linewidth=0.9,
        )
    )
    first = clauses.iloc[0]
    medoid = str(first["medoid"])
    largest = clauses["count"].max()
    y = tile.y + _PAD_MM
    texts = [(f"{medoid} ({first['reports']:,})", _LARGEST, "bold")]
    for _, row in clauses[clauses["clause"] != medoid].iterrows():
        share = (row["count"] / largest) ** 0.5
        texts.append(
            (str(row["clause"]), _SMALLEST + (_LARGEST / 1.6 - _SMALLEST) * share, "normal")
        )
    room = tile.width - 2 * _PAD_MM
    for words, points, weight in texts:
        points = max(_SMALLEST, min(points, room / text_mm(words, 1.0, weight)))
        if words.isascii() and any(text_mm(w, points, weight) > room for w in words.split()):
            return  # words of other scripts may be broken anywhere
        lines = wrapped(words, room, points, weight)
        height = points * LINE_HEIGHT * _POINT_MM * len(lines)
        if y + height > tile.y + tile.height - _PAD_MM / 2:
            return
        axes.text(
            tile.x + _PAD_MM,
            y,
            "\n".join(lines),
            fontsize=points,
            fontweight=weight,
            va="top",
            linespacing=LINE_SPACING,
        )
        y += height
