"""Chooses the content of rows with a report, a radiograph with boxes, and its heatmap."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.localization.hits import MatchRule, is_correct
from cxrloc.evaluation.localization.tables import CRITERION_NAMES
from cxrloc.files.structured import expecting, read_json
from cxrloc.panels.overlay import Mark, Role
from cxrloc.panels.plots import FigureRequest
from cxrloc.panels.report_text import marked_text
from cxrloc.panels.results import chosen_findings
from cxrloc.panels.row_page import Row, draw_rows
from cxrloc.panels.sources import Sources, maps_of, picture_of, read_sources, report_key
from cxrloc.types import Box

_ROLES = (Role.EXPERT, Role.CORRECT, Role.FALSE_POSITIVE)
_NO_BOX = """localization-rows: none of the images on this disk has an expert's box; if the boxes
lie in a file of their own, name it and the images behind the run"""


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
    return draw_rows(rows, request, _ROLES, note)


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
    return draw_rows(rows, request, (Role.EXPERT,), "")


def _rule(run: Path) -> MatchRule:
    """The rule of a run whose threshold is nearest to 0.5."""
    path = run / "run.json"
    with expecting(path, "the run card of `cxrloc bench`"):
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
    chosen = {*findings}
    pairs = [(i, f) for image in request.images for i, f in boxed if i == image and f in chosen]
    if not pairs:
        raise CxrlocError(
            f"localization-rows: there is no box of these findings on {', '.join(request.images)}"
        )
    return pairs


def _row(sources: Sources, image_id: str, finding: str, rule: MatchRule | None) -> Row:
    pixels, record = picture_of(sources, image_id)
    truth = [each.box for each in record.annotations if each.finding == finding]
    claims = [d.box for d in sources.detections if (d.image_id, d.finding) == (image_id, finding)]
    found = maps_of(sources, image_id)
    mined = report_key(sources.explanations, record)
    written = report_key(sources.reports, record)
    mentions = sources.explanations[mined] if mined else None
    present = [] if mentions is None else mentions[mentions["label"] == 1]["finding"].tolist()
    return Row(
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
