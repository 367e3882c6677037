"""One image with a model's results: outlines of findings, or findings ranked by probability."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.patheffects as effects
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Frame
from shapely.geometry.base import BaseGeometry

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.prediction_files import read_predictions
from cxrloc.evaluation.classification.ranking import image_ranking_precision
from cxrloc.inference.map_files import Probabilities
from cxrloc.localization.outlines import heatmap_outlines
from cxrloc.panels.lettering import SMALL, TEXT, line_mm, shortened, text_mm
from cxrloc.panels.plots import GREY, LINE_STYLES, WIDTHS_MM, FigureRequest
from cxrloc.panels.radiographs import draw_radiograph
from cxrloc.panels.sheet import GAP_MM, Rectangle, Sheet, new_sheet, write
from cxrloc.panels.sources import maps_of, picture_of, read_sources
from cxrloc.types import Heatmaps, Label

OUTLINE_THRESHOLD = 180.0
"""Level of the outline in a map scaled to 0 to 255: the higher threshold of the box rule."""

TOP = 4
"""Number of the most probable findings that are outlined if the request names no findings."""

_COLOURS = ("#56B4E9", "#E69F00", "#2BCB9C", "#E29BC4", "#F0E442", "#FF7F3F", "#FFFFFF")
_TALLEST = 1.25


def draw_findings_overlay(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A radiograph with the outlines of several findings' maps, and their probabilities.

    Source: Pham et al. 2019, figure 5. An outline is the line where the map, scaled to 0 to
    255, has the value 180.

    Args:
        results: the data or the image; a folder of maps (`heatmap --save-maps`).
        request: width; findings (else the four most probable); the image (else the first by name
            that has maps).
    """
    sources = read_sources(results, request.projection)
    names = _at_most_one(request.images, "findings-overlay") or sorted(sources.records)
    found = next((m for name in names if (m := maps_of(sources, name)) is not None), None)
    if found is None:
        raise CxrlocError(
            "findings-overlay: no maps of this image; `cxrloc heatmap --save-maps` writes them"
        )
    probabilities, heatmaps = found
    pixels, _ = picture_of(sources, heatmaps.image_id)
    shown = _shown(probabilities, heatmaps, request.findings)
    width = WIDTHS_MM[request.width]
    side, beside = (width - 52, True) if request.width == "double" else (width - 2, False)
    picture = Rectangle(1, 1, side, min(_TALLEST, pixels.shape[0] / pixels.shape[1]) * side)
    line = 1.7 * line_mm()
    corner = (side + GAP_MM + 1, 1.0) if beside else (1.0, picture.height + 2)
    text = line * (len(shown) + 1) + line_mm()
    sheet = new_sheet(request, max(picture.height + 2, corner[1] + text))
    axes = draw_radiograph(sheet, picture, pixels)
    x, y = corner
    write(sheet, (x, y), "Finding, probability", TEXT, weight="bold", va="top")
    for place, finding in enumerate(shown):
        colour, style = _COLOURS[place % len(_COLOURS)], LINE_STYLES[place % len(LINE_STYLES)]
        for outline in heatmap_outlines(heatmaps, finding, [OUTLINE_THRESHOLD]):
            _draw_outline(axes, outline, colour, style)
        y += line
        middle = y + line / 2
        look = {"color": colour, "linestyle": style, "path_effects": _around()}
        sheet.canvas.plot([x, x + 8], [middle, middle], **look)
        p = probabilities[heatmaps.findings.index(finding)]
        words = f"{finding.replace('_', ' ')}  {p:.2f}"
        write(sheet, (x + 10, middle), shortened(words, width - x - 11), va="center")
    return sheet.figure


def _at_most_one(images: Sequence[str], panel: str) -> Sequence[str]:
    if len(images) > 1:
        raise UsageError(f"{panel} draws one image at a time")
    return images


def _shown(probabilities: Probabilities, heatmaps: Heatmaps, chosen: Sequence[str]) -> list[str]:
    if unknown := [finding for finding in chosen if finding not in heatmaps.findings]:
        raise UsageError(f"--finding {unknown[0]}: the maps have {', '.join(heatmaps.findings)}")
    ranked = np.argsort(-probabilities, kind="stable")
    return list(chosen) or [heatmaps.findings[k] for k in ranked[:TOP]]


def _draw_outline(axes: Axes, outline: BaseGeometry, colour: str, style: object) -> None:
    """All rings of an outline, holes too."""
    for part in shapely.get_parts(outline):
        if not isinstance(part, shapely.Polygon):
            continue
        for ring in (part.exterior, *part.interiors):
            points = np.asarray(ring.coords)
            axes.plot(*points.T, color=colour, linestyle=style, path_effects=_around())


def _around() -> list[effects.AbstractPathEffect]:
    dashes = {"dash_offset": 0, "dash_list": None}
    return [
        effects.Stroke(linewidth=2.1, foreground="black", alpha=0.6, dashes=dashes),
        effects.Normal(),
    ]


def draw_ranked_labels(results: Sequence[Path], request: FigureRequest) -> Figure:
    """A radiograph beside its findings, sorted by probability, with the true ones marked.

    Source: Dong et al. 2017, section V.D and figure 7, with the ranking precision (AP) of the
    image. The bar of a true finding is filled, that of another one is an outline.

    Args:
        results: the output folder of `classify` or its `probabilities.csv`; the data.
        request: width; findings; the image (else the first by name with at least two findings).
    """
    table, others = _probabilities(results)
    predictions = read_predictions(table)
    sources = read_sources(others, request.projection)
    image_id = _chosen_image(request, sources.records, predictions.image_ids)
    pixels, record = picture_of(sources, image_id)
    if image_id not in predictions.image_ids:
        raise UsageError(f"--image {image_id}: {table} has no such row")
    row = predictions.probabilities[predictions.image_ids.index(image_id)]
    truth = np.array([record.labels.get(f) is Label.POSITIVE for f in predictions.findings])
    precision = image_ranking_precision(truth[None], row[None])
    order = [int(k) for k in np.argsort(-row, kind="stable")]
    if request.findings:
        order = [k for k in order if predictions.findings[k] in request.findings]
    width = WIDTHS_MM[request.width]
    beside = request.width == "double"
    side = 0.36 * width if beside else width - 2
    picture = Rectangle(1, 1, side, min(_TALLEST, pixels.shape[0] / pixels.shape[1]) * side)
    line = 1.5 * line_mm()
    height = line * (len(order) + 3)
    corner = (side + GAP_MM + 2, 1.0) if beside else (1.0, picture.height + 2.5)
    sheet = new_sheet(request, max(picture.height + 2, corner[1] + height))
    draw_radiograph(sheet, picture, pixels)
    value = (
        f"AP of this image: {precision[0]:.3f}" if precision.size else "no finding: AP undefined"
    )
    write(sheet, corner, f"Probability by rank ({value})", TEXT, va="top")
    rows = [(predictions.findings[k], float(row[k]), bool(truth[k])) for k in order]
    _draw_bars(sheet, (corner[0], corner[1] + 1.2 * line), rows, line)
    return sheet.figure


def _probabilities(results: Sequence[Path]) -> tuple[Path, list[Path]]:
    """The file of probabilities, and the list of all other results."""
    for path in results:
        table = path / "probabilities.csv" if path.is_dir() else path
        if table.name == "probabilities.csv" and table.is_file():
            return table, [other for other in results if other != path]
    raise CxrlocError("ranked-labels needs the output folder of `cxrloc classify`")


def _chosen_image(request: FigureRequest, records: dict, known: Sequence[str]) -> str:
    if chosen := _at_most_one(request.images, "ranked-labels"):
        return chosen[0]
    labelled = [
        name
        for name in sorted(set(known) & set(records))
        if list(records[name].labels.values()).count(Label.POSITIVE) > 1
    ]
    if not labelled:
        raise CxrlocError("ranked-labels: no image with two findings; choose one with --image")
    return labelled[0]


def _draw_bars(
    sheet: Sheet, corner: tuple[float, float], rows: list[tuple[str, float, bool]], line: float
) -> None:
    """Draw rank, name, bar and number of every finding, then what filled and empty bars mean."""
    x, y = corner
    width = sheet.canvas.get_xlim()[1]
    names = min(0.6 * (width - x), max(text_mm(name, SMALL, "bold") for name, _, _ in rows) + 2)
    start = x + 5 + names
    longest = width - start - 9
    for rank, (name, p, true) in enumerate(rows, 1):
        middle = y + (rank - 0.5) * line
        weight = "bold" if true else "normal"
        write(sheet, (x + 3, middle), str(rank), ha="right", va="center")
        words = shortened(name.replace("_", " "), names - 1)
        write(sheet, (x + 5, middle), words, va="center", weight=weight)
        _bar(sheet, (start, middle), max(p * longest, 0.1), true)
        write(sheet, (start + p * longest + 1, middle), f"{p:.2f}", va="center")
    middle = y + (len(rows) + 0.9) * line
    for true, words in ((True, "has the finding"), (False, "does not have it")):
        _bar(sheet, (x + 1, middle), 5, true)
        write(sheet, (x + 7.5, middle), words, va="center")
        x += 12 + text_mm(words)


def _bar(sheet: Sheet, start: tuple[float, float], length: float, true: bool) -> None:
    x, middle = start
    fill = "C0" if true else "none"
    corner = (x, middle - 1.1)
    edge = "C0" if true else GREY
    bar = Frame(corner, length, 2.2, facecolor=fill, edgecolor=edge, linewidth=0.6)
    sheet.canvas.add_patch(bar)
