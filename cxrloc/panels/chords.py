"""Which findings occur together, as a circle of arcs joined by chords."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Wedge
from matplotlib.path import Path as Curve

from cxrloc.datasets import read_dataset
from cxrloc.datasets.cooccurrence import Cooccurrence, cooccurrence
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest, add_legend, free_axes
from cxrloc.panels.results import chosen_findings, only_result
from cxrloc.reports.label_file import NORMAL, read_labels
from cxrloc.reports.labels import NO_FINDING
from cxrloc.types import CxrlocError, Label, Record

_GAP = 0.02  # of the circle, between arcs
_RING = 0.06
_HATCHES = ("", "////", "....", "\\\\\\\\")


def draw_cooccurrence(results: Sequence[Path], request: FigureRequest) -> Figure:
    """Arcs for findings, chords as wide as the images that carry both findings.

    Source: Wang et al. 2017, figures 2 and 8. An arc is the images with the finding alone (pale)
    and then its chords; an image with three findings is part of three chords. Behind a name stand
    its images and the share of them with another finding.

    Args:
        results: a data set, or the labels.csv of `label`.
        request: `findings` chooses and orders the arcs.

    Raises:
        CxrlocError: no image is positive for any of the findings.
    """
    records = _records(only_result(results, "cooccurrence"))
    named = [f for r in records for f, label in r.labels.items() if label is Label.POSITIVE]
    counted = [f for f in dict.fromkeys(named) if f not in (NO_FINDING, NORMAL)]
    if not counted:
        raise CxrlocError(f"{results[0]}: no image with a positive finding to draw")
    counts = cooccurrence(records, chosen_findings(sorted(counted), request.findings))
    figure, (axes,) = free_axes(1, 1, request, min(130.0, WIDTHS_MM[request.width] * 0.72))
    axes.set_aspect("equal")
    axes.set_axis_off()
    _draw_circle(axes, counts)
    axes.set(xlim=(-1.95, 1.95), ylim=(-1.35, 1.35))
    add_legend(figure, [], request.caption)
    return figure


def chord_spans(counts: Cooccurrence) -> Float[np.ndarray, "finding finding 2"]:
    """Begin and end of each finding's chords on the circle, as shares of it from 0 to 1.

    The diagonal is the part of the arc that no chord leaves: images with the finding alone.

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
        # Last first, so that chords to neighbours on either side do not cross.
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
                # The chord takes the colour of its rarer end, whose share it is most of.
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
        _label(axes, counts, row, (begin + end) / 2)


def _chord(one: Float[np.ndarray, " 2"], other: Float[np.ndarray, " 2"], colour: str) -> PathPatch:
    """A ribbon through the circle from one span to another."""
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


def _label(axes: Axes, counts: Cooccurrence, row: int, place: float) -> None:
    images, overlap = int(counts.together[row, row]), int(counts.overlap[row])
    share = f", {overlap / images:.0%} with others" if images else ""
    angle = np.pi / 2 - 2 * np.pi * place
    x, y = np.cos(angle), np.sin(angle)
    axes.text(
        1.06 * x,
        1.06 * y,
        f"{counts.findings[row].replace('_', ' ')}\n{images:,}{share}",
        ha="left" if x > 0 else "right",
        va="bottom" if y > 0.6 else "top" if y < -0.6 else "center",
        fontsize=6,
    )


def _records(path: Path) -> list[Record]:
    """A data set, or labels of reports as records without images."""
    if path.is_file() and path.suffix == ".csv":
        head = path.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
        if head.startswith("report_id"):
            labels = read_labels(path)
            return [Record(name, name, name, None, labels=said) for name, said in labels.items()]
    return read_dataset(path)
