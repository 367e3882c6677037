"""Which findings occur together, as a circle of arcs joined by chords."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Wedge
from matplotlib.path import Path as Curve

from cxrloc.datasets import read_dataset
from cxrloc.datasets.cooccurrence import Cooccurrence, cooccurrence
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.populations import of_projection
from cxrloc.findings import NO_FINDING, standard_finding
from cxrloc.panels.lettering import line_mm, text_mm
from cxrloc.panels.plots import GREY, WIDTHS_MM, FigureRequest, words_of
from cxrloc.panels.results import chosen_findings, only_result
from cxrloc.panels.sheet import Rectangle, axes_at, new_sheet
from cxrloc.reports.label_file import read_labels
from cxrloc.types import Label, Record

_GAP = 0.02  # of the circle, between arcs
_RING = 0.06
_AROUND = 1.06  # radius where labels begin
_HIGH = 1.2  # least half height of the plot, in radii
_SIZE = 6.0  # points
_WIDEST_MM = 90.0  # diameter
_NOTE = "Below each finding: its images, and the share of them that have another finding too."
_HATCHES = ("", "////", "....", "\\\\\\\\")


def draw_cooccurrence(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A circle with an arc for each finding, and chords as wide as the images with both findings.

    Source: Wang et al. 2017, figures 2 and 8. The pale part of an arc stands for the images that
    have this finding alone; chords start at the rest of the arc. An image with three findings is
    counted in three chords. Below the name of a finding stand the number of its images and the
    share of them that also have another finding.

    Args:
        results: a data set, or the labels.csv of `label`.
        request: `findings` chooses and orders the arcs.

    Raises:
        CxrlocError: no image is positive for any of the findings.
    """
    records = _records(only_result(results, "cooccurrence"))
    if request.projection:
        records = of_projection(records, request.projection)
    named = [f for r in records for f, label in r.labels.items() if label is Label.POSITIVE]
    counted = [f for f in dict.fromkeys(named) if standard_finding(f) != NO_FINDING]
    if not counted:
        raise CxrlocError(f"{results[0]}: no image with a positive finding to draw")
    counts = cooccurrence(records, chosen_findings(sorted(counted), request.findings))
    words = [_words(counts, row) for row in range(len(counts.findings))]
    width = WIDTHS_MM[request.width]
    side = max(text_mm(line, _SIZE) for text in words for line in text.split("\n")) + 6
    radius = min(width - 2 * side, _WIDEST_MM) / 2
    # Half of the labels stand on each side; where they are many, they decide the height.
    lines = max(2 * _HIGH * radius, 0.6 * len(words) * 2.4 * line_mm(_SIZE))
    note = " ".join([request.caption, _NOTE]).strip()
    sheet = new_sheet(replace(request, caption=note), lines)
    axes = axes_at(sheet, Rectangle(0, 0, width, lines))
    half = lines / 2 / radius
    axes.set(xlim=(-width / 2 / radius, width / 2 / radius), ylim=(-half, half))
    _draw_circle(axes, counts)
    _write_labels(axes, chord_spans(counts), words, line_mm(_SIZE) / radius)
    return sheet.figure


def chord_spans(counts: Cooccurrence) -> Float[np.ndarray, "finding finding 2"]:
    """Where each finding's chords begin and end on the circle, as shares of the circle.

    Element [i, j] is the part of arc i at which the chord to finding j starts. The diagonal is the
    part of the arc without a chord: the images that have this finding alone.

    >>> pair = np.array([[3, 1], [1, 2]])
    >>> counts = Cooccurrence(("Mass", "Nodule"), pair, np.array([1, 1]), images=4, without=0)
    >>> chord_spans(counts).round(3)[0].tolist()
    [[0.0, 0.384], [0.384, 0.576]]
    """
    width = counts.together.astype(float)
    np.fill_diagonal(width, np.diag(counts.together) - counts.overlap)
    n = len(counts.findings)
    shares = width * (1 - n * _GAP) / width.sum()
    spans = np.zeros((n, n, 2))
    place = 0.0
    for row in range(n):
        # In reverse order, so that the chords to the two neighbours do not cross each other.
        for column in (row, *((row - step) % n for step in range(1, n))):
            spans[row, column] = place, place + shares[row, column]
            place += shares[row, column]
        place += _GAP
    return spans


def _draw_circle(axes: Axes, counts: Cooccurrence) -> None:
    spans = chord_spans(counts)
    n = len(counts.findings)
    for row in range(n):
        colour = f"C{row % 7}"
        for column in range(row + 1, n):
            if counts.together[row, column]:
                # The colour of the rarer finding, as the chord is a larger share of its images.
                rarer = (
                    row if counts.together[row, row] <= counts.together[column, column] else column
                )
                axes.add_patch(_chord(spans[row, column], spans[column, row], f"C{rarer % 7}"))
        begin, alone, end = spans[row, row, 0], spans[row, row, 1], spans[row, :, 1].max()
        for low, high, opacity in ((begin, alone, 0.35), (alone, end, 1.0)):
            if high > low:
                axes.add_patch(
                    Wedge(
                        (0, 0),
                        1,
                        90 - 360 * high,
                        90 - 360 * low,
                        width=_RING,
                        facecolor=colour,
                        edgecolor=axes.figure.get_facecolor(),
                        hatch=_HATCHES[row // 7 % len(_HATCHES)],
                        linewidth=0.3,
                        alpha=opacity,
                    )
                )


def _chord(one: Float[np.ndarray, " 2"], other: Float[np.ndarray, " 2"], colour: str) -> PathPatch:
    """A chord: a band through the circle from one span to the other."""
    points = [*_arc(one), *_arc(other)]
    half = len(points) // 2
    vertices = [points[0], *points[1:half], (0, 0), *points[half:], (0, 0), points[0]]
    codes = [Curve.MOVETO, *[Curve.LINETO] * (half - 1), Curve.CURVE3, Curve.CURVE3]
    codes += [*[Curve.LINETO] * (half - 1), Curve.CURVE3, Curve.CURVE3]
    return PathPatch(Curve(vertices, codes), facecolor=colour, alpha=0.55, linewidth=0)


def _arc(span: Float[np.ndarray, " 2"]) -> list[tuple[float, float]]:
    radius = 1 - _RING - 0.01
    angles = np.pi / 2 - 2 * np.pi * np.linspace(span[0], span[1], 16)
    return [(radius * np.cos(a), radius * np.sin(a)) for a in angles]


def _write_labels(
    axes: Axes, arcs: Float[np.ndarray, "finding finding 2"], words: Sequence[str], line: float
) -> None:
    """Write names and counts around the circle.

    Where arcs are short, labels are moved apart, and a line leads from the label to its arc.

    Args:
        axes: their unit is the circle's radius.
        arcs: the result of `chord_spans`.
        words: of each finding.
        line: height of a line of text, in the same unit.
    """
    angles = np.pi / 2 - np.pi * (arcs[..., 0].min(axis=1) + arcs[..., 1].max(axis=1))
    halves = np.array([line * (text.count("\n") + 1.3) / 2 for text in words])
    wished = _AROUND * np.sin(angles)
    wished += np.where(np.abs(wished) > 0.6, np.sign(wished) * halves, 0)
    for side in (np.cos(angles) > 0, np.cos(angles) <= 0):
        rows = np.flatnonzero(side)
        edge = axes.get_ylim()[1]
        for row, y in zip(rows, moved_apart(wished[side], halves[side], edge), strict=True):
            foot = np.cos(angles[row]), np.sin(angles[row])
            out = 1 if foot[0] > 0 else -1
            nearest = max(abs(y) - halves[row], 0)
            x = out * max(np.sqrt(max(_AROUND**2 - nearest**2, 0)), _AROUND * abs(foot[0]))
            align = "left" if out > 0 else "right"
            if abs(y - wished[row]) > line / 2:
                x += 0.06 * out
                line_to = (x - 0.02 * out, y)
                axes.plot(*zip(foot, line_to, strict=True), color=GREY, linewidth=0.4)
            axes.text(x, y, words[int(row)], ha=align, va="center", fontsize=_SIZE)


def _words(counts: Cooccurrence, row: int) -> str:
    images, overlap = int(counts.together[row, row]), int(counts.overlap[row])
    share = f", {overlap / images:.0%}" if images else ""
    return f"{words_of(counts.findings[row], 22)}\n{images:,}{share}"


def moved_apart(
    places: Float[np.ndarray, " label"], halves: Float[np.ndarray, " label"], edge: float
) -> Float[np.ndarray, " label"]:
    """Heights of the labels' middles, moved until no label covers another.

    From the highest to the lowest, each label is pushed below the one above it, the highest below
    the upper edge of the plot. Then, from the lowest to the highest, labels below the lower edge
    are moved up again.

    Args:
        places: wished heights of the middles.
        halves: half the height of each label.
        edge: height of the upper edge of the plot; that of the lower one is `-edge`.

    >>> moved_apart(np.array([0.0, 0.1, 0.95]), np.full(3, 0.1), 1.0).round(2).tolist()
    [-0.1, 0.1, 0.9]
    """
    moved, floor = np.minimum(places, edge - halves), -edge
    falling = np.argsort(-places, kind="stable")
    for above, below in pairwise(falling):
        moved[below] = min(moved[below], moved[above] - halves[above] - halves[below])
    for row in falling[::-1]:
        moved[row] = max(moved[row], floor + halves[row])
        floor = moved[row] + halves[row]
    return moved


def _records(path: Path) -> list[Record]:
    """Records of a data set, or of a file of report labels, whose records have no images."""
    if path.is_file() and path.suffix == ".csv":
        head = path.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
        if head.startswith("report_id"):
            labels = read_labels(path)
            return [
                Record(name, name, name, None, labels=of_image) for name, of_image in labels.items()
            ]
    return read_dataset(path)
