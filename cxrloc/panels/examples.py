"""Examples of findings in a grid, and one image beside its report."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Frame

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.panels.lettering import TEXT, line_mm, shortened, text_mm, wrapped
from cxrloc.panels.overlay import Mark, Role
from cxrloc.panels.plots import GREY, PAGE_MM, WIDTHS_MM, FigureRequest
from cxrloc.panels.radiographs import draw_arrow, draw_key, draw_radiograph, key_height
from cxrloc.panels.report_text import marked_text, text_height, write_mark_key, write_marked
from cxrloc.panels.results import chosen_findings
from cxrloc.panels.sheet import GAP_MM, Rectangle, Sheet, new_sheet, write, write_title
from cxrloc.panels.sources import Sources, on_disk, picture_of, read_sources, report_key
from cxrloc.types import Box, Label

_LEAST_MM = {"single": 27.0, "double": 34.0}  # of a picture, where there are few
_MOST_COLUMNS = 8
_KEY_MM = 12.0  # room for the key and the small print
_SMALL_SHARE = 0.01  # of the image; an arrow points at a smaller box, whose frame would hide it
_TITLE_MM = 5.0
_LETTERS_MM = 5.5  # of a panel's letters, and the gap behind them


class _Cell(NamedTuple):
    """One example: heading, picture (None if there is none), boxes of the finding, arrows."""

    title: str
    pixels: Float[np.ndarray, "row col"] | None
    boxes: list[Box]
    arrows: list[tuple[float, float]]


def draw_examples(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A grid with a radiograph for each finding, and the expert's box, or an arrow to a small box.

    Source: Wang et al. 2017, figure 1; Baltruschat et al. 2019, figure 1; Dong et al. 2017,
    figure 5. Without `images`, the example of a finding is the first image by name that has it,
    if possible one with a box. With `images`, each of them is shown with all its boxes.

    Args:
        results: the data; a CSV of arrows (image, x, y in pixels) may replace boxes.
        request: width, findings, images.
    """
    sources = read_sources(results, request.projection)
    cells = [_cell(sources, *pair) for pair in _chosen(sources, request)]
    width = WIDTHS_MM[request.width]
    # A column is as wide as the longest name of a finding, unless the page is too small for that.
    names = [text_mm(cell.title, TEXT) + _LETTERS_MM for cell in cells if ", " not in cell.title]
    for columns in range(
        _columns(len(cells), width, max([_LEAST_MM[request.width], *names])), _MOST_COLUMNS + 1
    ):
        side = (width - 2 - GAP_MM * (columns - 1)) / columns
        height = max(_height(cell, side) for cell in cells)
        pitch = _TITLE_MM + height + GAP_MM / 2
        grid = pitch * -(-len(cells) // columns)
        if grid < PAGE_MM - _KEY_MM:
            break
    roles = [Role.EXPERT] if any(cell.boxes for cell in cells) else []
    key = key_height(width, roles, "") if roles else 0.0
    sheet = new_sheet(request, grid + key)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        place = Rectangle(1 + column * (side + GAP_MM), row * pitch, side, height)
        _draw_cell(sheet, number, cell, place)
    draw_key(sheet, grid, roles, "")
    return sheet.figure


def _columns(count: int, width: float, least: float) -> int:
    """The number of pictures in a row; rows are about equally long."""
    fits = int((width - 2 + GAP_MM) // (least + GAP_MM))
    most = max(1, min(_MOST_COLUMNS, fits))
    return -(-count // -(-count // most))


def _chosen(sources: Sources, request: FigureRequest) -> list[tuple[str, str]]:
    """Finding and image of every cell; an empty finding means all findings, an empty image none."""
    if request.images:
        return [("", image_id) for image_id in request.images]
    first: dict[str, tuple[bool, str]] = {}
    for record in on_disk(sources):
        boxed = {each.finding for each in record.annotations}
        present = {f for f, label in record.labels.items() if label is Label.POSITIVE}
        for finding in sorted(boxed | present):
            candidate = (finding not in boxed, record.image_id)
            first[finding] = min(first.get(finding, candidate), candidate)
    if not first and not request.findings:
        raise CxrlocError("examples: no image has a finding; choose pictures with --image")
    named = {finding for record in sources.records.values() for finding in record.labels}
    known = sorted(named | first.keys()) if request.findings else sorted(first)
    findings = chosen_findings(known, request.findings)
    return [(finding, first.get(finding, (True, ""))[1]) for finding in findings]


def _cell(sources: Sources, finding: str, image_id: str) -> _Cell:
    if not image_id:
        return _Cell(finding.replace("_", " "), None, [], [])
    pixels, record = picture_of(sources, image_id)
    boxes = [each.box for each in record.annotations if finding in ("", each.finding)]
    arrows = sources.arrows.get(image_id, [])
    small = [box for box in boxes if _area(box) < _SMALL_SHARE * pixels.size]
    arrows = arrows or [_point_at(box, pixels.shape[1]) for box in small]
    names = dict.fromkeys(each.finding for each in record.annotations)
    title = finding or ", ".join(names) or image_id
    return _Cell(
        title.replace("_", " "), pixels, [box for box in boxes if box not in small], arrows
    )


def _area(box: Box) -> float:
    return (box.x_max - box.x_min) * (box.y_max - box.y_min)


def _point_at(box: Box, columns: int) -> tuple[float, float]:
    """The middle of the left or right side of a box, whichever is nearer to the image's border."""
    middle = (box.x_min + box.x_max) / 2
    return (box.x_max if middle > columns / 2 else box.x_min, (box.y_min + box.y_max) / 2)


def _height(cell: _Cell, side: float) -> float:
    if cell.pixels is None:
        return side
    rows, columns = cell.pixels.shape
    return min(1.25, rows / columns) * side


def _draw_cell(sheet: Sheet, number: int, cell: _Cell, place: Rectangle) -> None:
    title = shortened(cell.title, place.width - _LETTERS_MM, TEXT)
    write_title(sheet, (place.x, place.y + 3.8), number, title)
    inside = place._replace(y=place.y + _TITLE_MM)
    if cell.pixels is None:
        corner = (inside.x, inside.y)
        frame = Frame(corner, *inside[2:], fill=False, edgecolor=GREY, linewidth=0.5)
        sheet.canvas.add_patch(frame)
        at = (inside.x + inside.width / 2, inside.y + inside.height / 2)
        write(sheet, at, "no image", ha="center", va="center")
        return
    marks = [Mark(box, Role.EXPERT) for box in cell.boxes]
    axes = draw_radiograph(sheet, inside, cell.pixels, marks=marks)
    for point in cell.arrows:
        draw_arrow(axes, point)


def draw_report_example(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A radiograph beside its report, with mined keywords marked, and its labels.

    Source: Dong et al. 2017, figure 3.

    Args:
        results: the data; reports; `label --explain`'s file, if any.
        request: width; the image (else the first by name that has a report).
    """
    sources = read_sources(results, request.projection)
    known = {**sources.explanations, **sources.reports}
    reported = [r.image_id for r in on_disk(sources) if report_key(known, r) is not None]
    if len(request.images) > 1:
        raise UsageError("report-example draws one image at a time")
    if not (chosen := [*request.images, *reported][:1]):
        raise CxrlocError("report-example: no report has the id of an image or its study")
    pixels, record = picture_of(sources, chosen[0])
    mined, written = report_key(sources.explanations, record), report_key(sources.reports, record)
    mentions = sources.explanations[mined] if mined else None
    report = marked_text(sources.reports[written].text if written else "", mentions)
    labels = [f for f, label in record.labels.items() if label is Label.POSITIVE]
    if mentions is not None:
        labels = [f for f in dict.fromkeys(mentions[mentions["label"] == 1]["finding"]) if f]
    width = WIDTHS_MM[request.width]
    side = 0.46 * width if request.width == "double" else width - 2
    rows, columns = pixels.shape
    picture = Rectangle(1.0, 1.0, side, min(1.25, rows / columns) * side)
    beside = request.width == "double"
    text_width = width - side - GAP_MM - 2 if beside else width - 2
    corner = (side + GAP_MM + 1, 1.0) if beside else (1.0, picture.height + 3)
    names = wrapped("; ".join(labels).replace("_", " ") or "none", text_width)
    heading = 1.3 * line_mm(TEXT)
    height = text_height(report, text_width) + 2.6 * heading + len(names) * line_mm()
    height += 1.6 * heading if report.keywords else 0.0
    sheet = new_sheet(request, max(picture.height + 2, corner[1] + height + 1))
    draw_radiograph(sheet, picture, pixels)
    x, y = corner
    write(sheet, (x, y + 0.8 * line_mm(TEXT)), "Report", TEXT, weight="bold", va="baseline")
    write_marked(sheet, (x, y + heading), report, text_width)
    y += heading + text_height(report, text_width) + heading
    write(sheet, (x, y), "Labels", TEXT, weight="bold", va="baseline")
    write(sheet, (x, y + 0.4 * line_mm()), "\n".join(names), va="top")
    marked_labels = sorted({keyword.label for keyword in report.keywords}, reverse=True)
    if marked_labels:
        foot = y + 0.4 * line_mm() + len(names) * line_mm() + heading
        write(sheet, (x, foot), "keywords:", va="baseline")
        write_mark_key(sheet, (x + 15, foot), marked_labels)
    return sheet.figure
