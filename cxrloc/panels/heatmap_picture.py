"""The picture of `heatmap`: a radiograph beside the maps and boxes of its probable findings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from jaxtyping import Float

from cxrloc.panels.overlay import MARGIN, Mark, Role, compose_panels, draw_panel
from cxrloc.text import one_line
from cxrloc.types import Detection, Heatmaps

PICTURE_WIDTH = 1600
"""Maximum width of the picture, in pixels."""

THIN_BOXES = "Thin boxes are those of lower thresholds: how far the finding may reach."


def heatmap_picture(
    pixels: Float[np.ndarray, "row col"],
    heatmaps: Heatmaps,
    detections: Sequence[Detection],
    findings: Sequence[Mapping[str, Any]],
    captions: Sequence[str],
    note: str = "",
) -> PIL.Image.Image:
    """The radiograph alone, then a panel per finding, above a key and the captions.

    The boxes of a finding's highest threshold are bold, those of lower ones thin: the highest
    threshold shows where the map is strongest, the lower ones how far the finding may reach.

    Args:
        pixels: grey levels in [0, 1].
        heatmaps: of the radiograph.
        detections: the boxes, of any findings.
        findings: those to show, with the keys finding, probability, above_operating_point.
        captions: lines of small print: model, limits, warnings.
        note: is added to the title of every finding.
    """
    width = (PICTURE_WIDTH - MARGIN) // (len(findings) + 1) - MARGIN
    panels = [draw_panel(pixels, width, one_line(Path(heatmaps.image_id).name))]
    roles: dict[Role, None] = {}
    thin = False
    for row in findings:
        # None: the model has no operating point for the finding, so its boxes are drawn as if it
        # were above one.
        doubtful = row["above_operating_point"] is False
        role = Role.DOUBTFUL if doubtful else Role.DETECTION
        drawn = [detection for detection in detections if detection.finding == row["finding"]]
        highest = max((d.threshold for d in drawn if d.threshold is not None), default=None)
        marks = [Mark(d.box, role, thin=d.threshold != highest) for d in drawn]
        roles |= dict.fromkeys(mark.role for mark in marks)
        thin = thin or any(mark.thin for mark in marks)
        title = f"{row['finding']}  {row['probability']:.2f}"
        title += "  below the operating point" if doubtful else ""
        title += f"  {note}" if note else ""
        panels.append(draw_panel(pixels, width, title, heatmaps, row["finding"], marks))
    lines = [one_line(caption) for caption in captions] + [THIN_BOXES] * thin
    return compose_panels(panels, len(panels), lines, list(roles))
