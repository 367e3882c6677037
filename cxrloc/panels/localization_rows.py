"""Rows with a report, a radiograph with boxes, and its heatmap."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from cxrloc.evaluation.localization.hits import is_correct
from cxrloc.evaluation.localization.tables import CRITERION_NAMES
from cxrloc.files.structured import read_json, unlike
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
    marked_text,
    text_height,
    write_mark_key,
    write_marked,
)
from cxrloc.panels.results import chosen_findings
from cxrloc.panels.sheet import GAP_MM, Rectangle, Sheet, letter_of, new_sheet, write, write_title
from cxrloc.panels.sources import Sources, maps_of, picture_of, read_sources, report_key
from cxrloc.types import Box, CxrlocError, Heatmaps, MatchRule, UsageError

_ROLES = (Role.EXPERT, Role.CORRECT, Role.FALSE_POSITIVE)
_SCALE = "heatmap: min|max of each map"
_TITLE_MM = 5.0
_TALLEST = 1.25  # of a picture's width
_NO_BOX = """localization-rows: none of the images on this disk has an expert's box; if the boxes
lie in a file of their own, name it and the images behind the run"""
_MOST_COLUMNS = 4
_SMALLEST = 14.0  # mm, of a picture


class _Row(NamedTuple):
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


def draw_localization_rows(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A figure with a row for each finding: report and keywords, radiograph with boxes, heatmap.

    Source: Wang et al. 2017, tables 8 to 15. Without `images`, a row shows the first image by name
    on which an expert boxed the finding, so it is not chosen by its score. The run's rule whose
    threshold is nearest to 0.5 decides whether a box is drawn as correct.

    Args:
        results: the output folder of `bench --save-maps`, which names its data; or the data and a
            folder of maps (`heatmap --save-maps`) beside it; reports and `label --explain`'s file,
            if any.
        request: width, findings, images.
    """
    sources = read_sources(results, request.projection)
    if sources.run is None:
        raise CxrlocError("localization-rows needs the output folder of `cxrloc bench`")
    rule = _rule(sources.run)
    rows = [_row(sources, *pair, rule) for pair in _boxed_pairs(sources, request)]
    overlap = CRITERION_NAMES[rule.criterion].removeprefix("T(").removesuffix(")")
    note = f"correct: {overlap} > {rule.threshold:g}"
    return _draw_rows(rows, request, _ROLES, note)


def draw_gradcam(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A figure with a row for each image: radiograph with its box or arrows, and a heatmap.

    Source: Baltruschat et al. 2019, figure 4: is the highest activation at the pneumothorax, or at
    the drain that treated it?

    Args:
        results: the data; a folder of maps of `heatmap --method gradcam --save-maps`; a CSV of
            arrows (image, x, y in pixels), if any.
        request: its one finding (else Pneumothorax); images (else those with arrows and the first
            one with a box).
    """
    sources = read_sources(results, request.projection)
    finding = request.findings[0] if request.findings else "Pneumothorax"
    images = list(request.images)
    if not images:
        annotations = (a for r in sources.records.values() for a in r.annotations)
        boxed = {a.image_id for a in annotations if a.finding == finding}
        first = min(boxed - sources.arrows.keys(), default=None)
        images = [*([first] if first else []), *sorted(sources.arrows)]
    if not images:
        raise CxrlocError(f"gradcam: no image has a box of {finding}, and there are no arrows")
    rows = [_row(sources, image_id, finding, None) for image_id in images]
    return _draw_rows(rows, request, (Role.EXPERT,), "")


def _rule(run: Path) -> MatchRule:
    """The rule of a run whose threshold is nearest to 0.5."""
    path = run / "run.json"
    with unlike(path, "the run card of `cxrloc bench`"):
        rules = [MatchRule(**rule) for rule in read_json(path)["protocol"]["rules"]]
    return min(rules, key=lambda rule: abs(rule.threshold - 0.5))


def _boxed_pairs(sources: Sources, request: FigureRequest) -> list[tuple[str, str]]:
    """Image and finding of every row."""
    records = [r for r in sources.records.values() if r.annotations and r.path is not None]
    boxed = sorted({(r.image_id, each.finding) for r in records for each in r.annotations})
    if not boxed:
        raise CxrlocError(_NO_BOX)
    findings = chosen_findings(sorted({finding for _, finding in boxed}), request.findings)
    if not request.images:
        return [next(pair for pair in boxed if pair[1] == finding) for finding in findings]
    asked = {*findings}
    pairs = [(i, f) for image in request.images for i, f in boxed if i == image and f in asked]
    if not pairs:
        raise CxrlocError(
            f"localization-rows: no box of these findings on {', '.join(request.images)}"
        )
    return pairs


def _row(sources: Sources, image_id: str, finding: str, rule: MatchRule | None) -> _Row:
    pixels, record = picture_of(sources, image_id)
    truth = [each.box for each in record.annotations if each.finding == finding]
    claims = [d.box for d in sources.detections if (d.image_id, d.finding) == (image_id, finding)]
    found = maps_of(sources, image_id)
    mined = report_key(sources.explanations, record)
    written = report_key(sources.reports, record)
    mentions = sources.explanations[mined] if mined else None
    present = [] if mentions is None else mentions[mentions["label"] == 1]["finding"].tolist()
    return _Row(
        image_id,
        finding,
        pixels,
        [Mark(box, Role.EXPERT) for box in truth],
        [Mark(box, _role(box, truth, rule)) for box in claims] if rule else [],
        found[1] if found and finding in found[1].findings else None,
        sources.arrows.get(image_id, []),
        marked_text(sources.reports[written].text if written else "", mentions),
        [name.replace("_", " ") for name in dict.fromkeys(present) if name],
    )


def _role(claim: Box, truth: Sequence[Box], rule: MatchRule) -> Role:
    boxes = np.array([astuple(box) for box in truth]).reshape(-1, 4)
    correct = is_correct(rule, np.array(astuple(claim)), boxes).any()
    return Role.CORRECT if correct else Role.FALSE_POSITIVE


def _draw_rows(
    rows: Sequence[_Row], request: FigureRequest, roles: Sequence[Role], note: str
) -> Figure:
    """Rows in as many columns as let them fit on a page, above the key."""
    width = WIDTHS_MM[request.width]
    shown = [role for role in roles if any(_shows(row, role) for row in rows)]
    scale = _SCALE if any(row.heatmaps is not None for row in rows) else ""
    labels = sorted({k.label for row in rows for k in row.report.keywords}, reverse=True)
    key = key_height(width, shown, scale, note)
    foot = key + (1.3 * line_mm() if labels else 0.0) + 1.0
    caption = line_mm() * len(wrapped(request.caption, width - 2))
    layout = _layout(rows, width, PAGE_MM - foot - caption)
    sheet = new_sheet(request, layout.height + foot)
    for number, row in enumerate(rows):
        _draw_pictures(sheet, number, row, layout)
        _write_report(sheet, layout.reports[number], row, layout.text)
    draw_key(sheet, layout.height, shown, scale, note)
    if labels:
        y = layout.height + key + 0.9 * line_mm()
        write(sheet, (1.0, y), "keywords:", va="baseline")
        write_mark_key(sheet, (16.0, y), labels)
    return sheet.figure


def _layout(rows: Sequence[_Row], width: float, height: float) -> _Layout:
    """The layout with the largest pictures that is not higher than this.

    Raises:
        UsageError: there is none.
    """
    for columns in range(1, _MOST_COLUMNS + 1):
        layout = _in_columns(rows, width, columns)
        if layout.height <= height and layout.side >= _SMALLEST:
            return layout
    raise UsageError(
        f"a page has no room for {len(rows)} rows; choose some with --finding or --image"
        + (", or take --width double" if width < WIDTHS_MM["double"] else "")
    )


def _in_columns(rows: Sequence[_Row], width: float, columns: int) -> _Layout:
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


def _shows(row: _Row, role: Role) -> bool:
    return any(mark.role is role for mark in (*row.experts, *row.claims))


def _picture_height(row: _Row, side: float) -> float:
    rows, columns = row.pixels.shape
    return min(side * rows / columns, _TALLEST * side)


def _draw_pictures(sheet: Sheet, number: int, row: _Row, layout: _Layout) -> None:
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


def _text_height(row: _Row, width: float) -> float:
    words = len(wrapped("; ".join(row.keywords), width)) * line_mm()
    return text_height(row.report, width) + words + 3.2 * line_mm(TEXT)


def _write_report(sheet: Sheet, at: tuple[float, float], row: _Row, width: float) -> None:
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
