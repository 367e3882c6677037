"""The examples that `cxrloc bench` draws beside its numbers."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import PIL.Image

from cxrloc.evaluation.localization.claims import Claims, warning_lines
from cxrloc.evaluation.localization.hits import MatchRule, is_correct
from cxrloc.evaluation.localization.tables import CRITERION_NAMES
from cxrloc.inference.prepared import Image
from cxrloc.panels.overlay import Mark, Role, compose_panels, draw_panel
from cxrloc.types import Annotation, Detection

PANEL_WIDTH, PANELS_PER_ROW = 360, 4  # pixels; panels, two for each finding


def draw_examples(
    claims: Claims, images: Sequence[Image], rules: Sequence[MatchRule], caption: str
) -> PIL.Image.Image:
    """A picture with two panels for each finding: the radiograph, and its heatmap with boxes.

    The image is the first one by name on which an expert boxed the finding, so it is not chosen by
    its score. The left panel shows the expert's box. The right panel shows all boxes; the rule
    whose threshold is nearest to 0.5 decides which of them are drawn as correct.
    """
    rule = min(rules, key=lambda rule: abs(rule.threshold - 0.5))
    radiograph_of = {image.image_id: image.read for image in images}
    heatmaps_of = {(each.image_id, f): each for each in claims.heatmaps for f in each.findings}
    panels = []
    for annotation in _first_of_each_finding(claims):
        pair = (annotation.image_id, annotation.finding)
        pixels = radiograph_of[annotation.image_id]().pixels
        expert = Mark(annotation.box, Role.EXPERT)
        marks = [
            Mark(detection.box, _role(detection, annotation, rule))
            for detection in claims.detections
            if (detection.image_id, detection.finding) == pair
        ]
        panels += [
            draw_panel(pixels, PANEL_WIDTH, annotation.image_id, marks=[expert]),
            draw_panel(
                pixels,
                PANEL_WIDTH,
                annotation.finding,
                heatmaps_of.get(pair),
                annotation.finding,
                [expert, *marks],
            ),
        ]
    how = f"Correct: {CRITERION_NAMES[rule.criterion]} > {rule.threshold:g}."
    captions = [f"{how} The first image of each finding by name, not chosen by score.", caption]
    captions += warning_lines(claims)
    roles = [Role.EXPERT, Role.CORRECT, Role.FALSE_POSITIVE]
    return compose_panels(panels, PANELS_PER_ROW, captions, roles)


def _first_of_each_finding(claims: Claims) -> list[Annotation]:
    first: dict[str, Annotation] = {}
    for record in sorted(claims.records, key=lambda record: record.image_id):
        for annotation in record.annotations:
            first.setdefault(annotation.finding, annotation)
    return [first[finding] for finding in sorted(first)]


def _role(detection: Detection, annotation: Annotation, rule: MatchRule) -> Role:
    correct = is_correct(rule, np.array(astuple(detection.box)), np.array(astuple(annotation.box)))
    return Role.CORRECT if correct else Role.FALSE_POSITIVE
