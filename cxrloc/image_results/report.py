"""Makes the content of one image's JSON file: findings, probabilities, boxes, warnings."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydicom import Dataset

from cxrloc.errors import CxrlocError
from cxrloc.files.installed import versions
from cxrloc.images.study import read_study
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import InferenceSettings, chosen_findings
from cxrloc.localization.box_rules import BoxRule
from cxrloc.localization.boxes import detections_by_rule
from cxrloc.localization.regions import is_degenerate
from cxrloc.models.described import Described
from cxrloc.models.provenance import (
    calibrated_probability,
    condition_warnings,
    describe_models,
    operating_point,
)
from cxrloc.types import Detection, Heatmaps

SCHEMA_VERSION = 2
"""Version of an image's JSON file, which `image_report.schema.json` describes."""


OUTSIDE = "outside what the model was made for"
"""How messages call an image whose status is `Status.OUTSIDE`."""


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """Settings of the report of an image.

    Attributes:
        top: number of findings in the picture, as `top_findings` ranks them.
        thresholds: thresholds of the box rule "two-threshold", between 0 and 255.
        below_operating_point: also draw and write boxes of findings below their operating point.
        uids: also write the SOP Instance UID (0008,0018) of a DICOM file.
        force: give an image outside boxes and operating points as well.
        strict: an image outside is a failure.
        object_date: date and time that DICOM objects get; None for those of the image.
        box_rule: how a map becomes boxes, a name of `BOX_RULES`.
    """

    top: int = 3
    thresholds: tuple[float, ...] = (60.0, 180.0)
    below_operating_point: bool = False
    uids: bool = False
    force: bool = False
    strict: bool = False
    object_date: datetime | None = None
    box_rule: str = "two-threshold"


def box_rule_of(models: Sequence[Described], settings: ReportSettings) -> BoxRule:
    """The box rule of the settings; its thresholds by finding are those of a single model's card.

    The maps of an ensemble have other levels than those of its models, so it has no thresholds.
    """
    of_finding = models[0].card.box_thresholds if len(models) == 1 else {}
    return BoxRule(settings.box_rule, settings.thresholds, of_finding)


class ImageResult(NamedTuple):
    """The result of one image with everything that is written about it.

    Attributes:
        localized: the radiograph, and the raw maps of all findings that were computed.
        detections: the boxes of the reported findings.
        report: the content of the JSON file.
        model: description of the models, from `describe_models`.
        settings: settings of the report.
        header: what DICOM objects inherit from the image's file; None if none is written.
    """

    localized: Localized
    detections: Sequence[Detection]
    report: dict[str, Any]
    model: dict[str, Any]
    settings: ReportSettings
    header: Dataset | None = None


def report_image(
    result: Localized,
    models: Sequence[Described],
    inference: InferenceSettings,
    settings: ReportSettings,
) -> ImageResult:
    """The boxes and the report of one image.

    Args:
        result: result of the image, whose id is its path; it may hold more findings than are
            reported.
        models: models that made the result.
        inference: how the models were run, and which findings are reported.
        settings: settings of the report.

    Raises:
        CxrlocError: the image is outside, and the settings are strict.
    """
    outside = result.suitability.reasons
    if outside and settings.strict:
        raise CxrlocError(f"{result.heatmaps.image_id}: {OUTSIDE}: {'; '.join(outside)}")
    result = _with_warnings(result, models, inference.products)
    heatmaps, probabilities = _chosen(result, chosen_findings(models, inference))
    claimless = bool(outside) and not settings.force
    points = [
        None if inference.products or claimless else operating_point(models, finding)
        for finding in heatmaps.findings
    ]
    # A finding without an operating point (None) is never below it.
    below = {
        finding
        for finding, point, probability in zip(
            heatmaps.findings, points, probabilities, strict=True
        )
        if point is not None and probability < point
    }

    def shown(finding: str, raw: float) -> float:
        # Calibration increases with the raw value, so it does not change decisions at the operating
        # point. Products along the tree are made of raw values, and no card calibrates products.
        return raw if inference.products else calibrated_probability(models, finding, raw)

    hidden = set() if settings.below_operating_point else below
    every = detections_by_rule(heatmaps, probabilities, box_rule_of(models, settings))
    boxes = [box for box in every if box.finding not in hidden and not claimless]
    degenerate = is_degenerate(heatmaps.scores).tolist()
    rows = [
        {
            "finding": finding,
            "probability": round(shown(finding, probability), 4),
            "raw_probability": round(probability, 4),
            "operating_point": None if point is None else round(shown(finding, point), 4),
            "above_operating_point": None if point is None else finding not in below,
            "degenerate": flat,
            "boxes": [_box(box) for box in boxes if box.finding == finding],
        }
        for finding, probability, point, flat in zip(
            heatmaps.findings, probabilities, points, degenerate, strict=True
        )
    ]
    model = describe_models(models)
    report = {
        **_describe_image(heatmaps.image_id, settings.uids),
        "rows": heatmaps.image_rows,
        "columns": heatmaps.image_columns,
        # The limits and the licence are long; pictures and run.json have them.
        "model": {key: model[key] for key in model if key not in ("limits", "licence")},
        "method": inference.method,
        "versions": inference.versions,
        "products_along_tree": inference.products,
        "status": result.suitability.status.value,
        "outside_because": list(outside),
        "distance": _rounded(result.suitability.distance),
        "warnings": list(result.radiograph.warnings),
        "findings": rows,
    }
    return ImageResult(result, boxes, report, model, settings)


def _rounded(distance: float | None) -> float | None:
    return None if distance is None else round(distance, 4)


def top_findings(report: dict[str, Any], top: int) -> list[dict[str, Any]]:
    """At most `top` findings of a report: those above their operating point, then all others.

    Each of the two groups begins with the most probable finding. What is above its operating point
    comes first because the model claims it; a finding without an operating point is no claim.
    """
    ranked = sorted(
        report["findings"],
        key=lambda row: (row["above_operating_point"] is True, row["probability"]),
        reverse=True,
    )
    return ranked[:top]


def boxed_findings(report: dict[str, Any], top: int) -> list[dict[str, Any]]:
    """The findings whose boxes DICOM objects hold: all above their operating point, at least `top`.

    A reader of a structured report must not miss a box because the picture shows few findings.
    """
    claims = sum(row["above_operating_point"] is True for row in report["findings"])
    return top_findings(report, max(top, claims))


def _with_warnings(result: Localized, models: Sequence[Described], products: bool) -> Localized:
    """The result with warnings about the models added to those about the image."""
    radiograph = result.radiograph
    warnings = [*radiograph.warnings, *result.suitability.reasons]
    if not products:
        warnings += condition_warnings(models)
    # What the header says of the image may be a warning and a reason too.
    return result._replace(radiograph=replace(radiograph, warnings=tuple(dict.fromkeys(warnings))))


def _chosen(result: Localized, findings: Sequence[str]) -> tuple[Heatmaps, list[float]]:
    """The maps and the probabilities of these findings alone."""
    every = result.heatmaps
    columns = [every.findings.index(finding) for finding in findings]
    heatmaps = replace(every, findings=tuple(findings), scores=every.scores[columns])
    return heatmaps, result.probabilities[columns].tolist()


def _describe_image(image_id: str, uids: bool) -> dict[str, Any]:
    """The report's facts about the image, and when and by which program the report was made.

    An image of an archive is named by its URI, and its file is not at hand when it is reported.
    """
    description = {
        "schema_version": SCHEMA_VERSION,
        "cxrloc": versions()["cxrloc"],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "image": image_id,
    }
    if "://" in image_id:
        return description
    path = Path(image_id)
    file = path.stat()
    return {
        **description,
        "image_bytes": file.st_size,
        "image_modified_ns": file.st_mtime_ns,
        **({"sop_instance_uid": read_study(path).image_uid or None} if uids else {}),
    }


def _box(detection: Detection) -> dict[str, float | None]:
    corners = {side: round(value, 3) for side, value in asdict(detection.box).items()}
    return {**corners, "threshold": detection.threshold, "score": round(detection.score or 0.0, 4)}
