"""How results look in a notebook: pictures, and tables as HTML and LaTeX.

The methods `plot`, `table` and `to_latex` of results call these functions (`types.shown`).
"""

import io
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
from matplotlib.figure import Figure

from cxrloc.errors import UsageError
from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.tables import (
    classification_latex,
    metrics_frame,
    printed_frame,
)
from cxrloc.evaluation.localization.result_files import detections_frame
from cxrloc.evaluation.localization.scores import LocalizationScores
from cxrloc.evaluation.localization.tables import localization_frame, rows_of, subjects_frame
from cxrloc.files.latex import PACKAGES, latex_tables
from cxrloc.files.table_writer import in_words
from cxrloc.panels.auc import draw_auc_ranking
from cxrloc.panels.localization import draw_localization
from cxrloc.panels.overlay import Mark, Role, compose_panels, draw_panel
from cxrloc.panels.plots import FigureRequest, figure_style
from cxrloc.types import Annotation, Detection, Heatmaps, Radiograph

__all__ = [
    "classification_latex",
    "detections_frame",
    "heatmaps_picture",
    "html",
    "latex",
    "metrics_frame",
    "png",
    "printed_frame",
    "radiograph_picture",
    "report_picture",
    "scores_picture",
]

_WIDTH = 512  # pixels of a panel
_PER_ROW = 4
_DPI = 150


def png(picture: PIL.Image.Image) -> bytes:
    """The picture as a PNG file."""
    stream = io.BytesIO()
    picture.save(stream, format="png")
    return stream.getvalue()


def html(frame: pd.DataFrame) -> str:
    """The table as HTML; its text is escaped."""
    return in_words(frame).to_html(index=False)


def latex(frame: pd.DataFrame, caption: str) -> str:
    """The table for a paper."""
    return f"{PACKAGES}\n{latex_tables(frame, caption)}"


def radiograph_picture(
    radiograph: Radiograph, boxes: Iterable[Annotation | Detection] = ()
) -> PIL.Image.Image:
    """A panel for each finding that has boxes, experts' in blue and detected ones in white.

    Without boxes the radiograph is drawn alone.
    """
    marks: dict[str, list[Mark]] = {}
    for each in boxes:
        role = Role.EXPERT if isinstance(each, Annotation) else Role.DETECTION
        marks.setdefault(each.finding, []).append(Mark(each.box, role))
    if not marks:
        return draw_panel(radiograph.pixels, _WIDTH, radiograph.view or "")
    width = _WIDTH if len(marks) == 1 else _WIDTH // 2
    panels = [
        draw_panel(radiograph.pixels, width, name, marks=marks_of_finding)
        for name, marks_of_finding in marks.items()
    ]
    roles = list(
        dict.fromkeys(mark.role for marks_of_finding in marks.values() for mark in marks_of_finding)
    )
    return compose_panels(panels, _PER_ROW, radiograph.warnings, roles, maps=False)


def heatmaps_picture(
    heatmaps: Heatmaps, radiograph: Radiograph | None = None, findings: Sequence[str] = ()
) -> PIL.Image.Image:
    """A panel for each of the findings, over the radiograph or over black.

    Raises:
        UsageError: a finding has no map, or the radiograph has another size than the maps' image.
    """
    if unknown := [finding for finding in findings if finding not in heatmaps.findings]:
        raise UsageError(f"{unknown[0]}: the maps are of {', '.join(heatmaps.findings)}")
    size = (heatmaps.image_rows, heatmaps.image_columns)
    pixels = np.zeros(size, dtype=np.float32) if radiograph is None else radiograph.pixels
    if pixels.shape != size:
        raise UsageError(
            f"the maps are of an image of {size[0]} x {size[1]} pixels, this radiograph has "
            f"{pixels.shape[0]} x {pixels.shape[1]}"
        )
    chosen = list(findings) or list(heatmaps.findings)
    panels = [draw_panel(pixels, _WIDTH // 2, each, heatmaps, each) for each in chosen]
    return compose_panels(panels, _PER_ROW, (), ())


def scores_picture(scores: LocalizationScores) -> PIL.Image.Image:
    """The panel `localization` of these scores."""
    measurements = scores.measurements
    tables = {
        "localization.csv": localization_frame(rows_of(measurements)),
        "controls.csv": subjects_frame(measurements, scores.controls, "control"),
    }
    return _picture(tables, draw_localization)


def report_picture(report: ClassificationReport) -> PIL.Image.Image:
    """The panel `auc-ranking` of this report."""
    return _picture({"auc.csv": metrics_frame(report).assign(group="all")}, draw_auc_ranking)


def _picture(tables: Mapping[str, pd.DataFrame], draw: Callable[..., Figure]) -> PIL.Image.Image:
    """A panel that reads these tables from a folder."""
    with tempfile.TemporaryDirectory() as folder, figure_style():
        for name, frame in tables.items():
            frame.to_csv(Path(folder) / name, index=False)
        figure = draw([Path(folder)], FigureRequest())
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=_DPI)
    return PIL.Image.open(stream)
