"""Where the boxes to be scored come from: models, maps on disk, or a list of boxes."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxrloc.datasets.boxes import read_detections
from cxrloc.datasets.records import annotations_in_image
from cxrloc.images.size import image_size
from cxrloc.inference.batches import Failure, Image, InferenceSettings
from cxrloc.inference.localize import Localized, localize
from cxrloc.inference.map_files import Probabilities, read_maps
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.models.model import Model
from cxrloc.models.provenance import (
    above_operating_point,
    contamination_warnings,
    selection_warnings,
    view_warnings,
)
from cxrloc.types import CxrlocError, Detection, Heatmaps, Record

Watch = Callable[[Iterable[Localized | Failure]], Iterable[Localized | Failure]]
"""Passes results on, and may show how far they have come."""


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """Everything that is claimed of a benchmark's images.

    Attributes:
        records: those scored, with boxes in the pixels of their images.
        detections: the boxes to score.
        heatmaps: the maps behind them, image by image; empty where there are none.
        probabilities: of each (image_id, finding) with a map.
        predicted: (image_id, finding) at or above the operating point; empty without a model.
        failures: images that could not be read, and why.
        warnings: what the reader of any result should know, with the number of images.
    """

    records: Sequence[Record]
    detections: Sequence[Detection]
    heatmaps: Sequence[Heatmaps] = ()
    probabilities: Mapping[tuple[str, str], float] = field(default_factory=dict)
    predicted: frozenset[tuple[str, str]] = frozenset()
    failures: Sequence[Failure] = ()
    warnings: Mapping[str, int] = field(default_factory=dict)


def warning_lines(claims: Claims) -> list[str]:
    """Every warning with the number of its images, as outputs show them."""
    return [f"Warning: {text} ({n} images)" for text, n in claims.warnings.items()]


def claims_of_models(
    records: Sequence[Record],
    images: Iterable[Image],
    models: Sequence[Model],
    thresholds: Sequence[float],
    inference: InferenceSettings,
    watch: Watch,
) -> Claims:
    """Run models on the images; an image that cannot be read is a failure, not an end."""
    found: list[tuple[Probabilities, Heatmaps]] = []
    failures = []
    warnings: Counter[str] = Counter()
    for result in watch(localize(models, images, inference)):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        found.append((result.probabilities, result.heatmaps))
        warnings.update(result.radiograph.warnings)
        warnings.update(view_warnings(models, result.radiograph.view))
        warnings.update(contamination_warnings(models, result.heatmaps.image_id))
    seen = {heatmaps.image_id for _, heatmaps in found}
    warnings.update(selection_warnings(models, [r for r in records if r.image_id in seen]))
    predicted = frozenset(
        (heatmaps.image_id, finding)
        for probabilities, heatmaps in found
        for finding, probability in zip(heatmaps.findings, probabilities.tolist(), strict=True)
        if above_operating_point(models, finding, probability)
    )
    return _claims(records, found, thresholds, predicted, failures, warnings)


def claims_of_maps(records: Sequence[Record], folder: Path, thresholds: Sequence[float]) -> Claims:
    """Take maps that any tool wrote as `<image_id>.npz`; a missing file is a failure."""
    found, failures = [], []
    for record in records:
        try:
            path = folder / f"{record.image_id}.npz"
            found.append(read_maps(path, record.image_id))
        except CxrlocError as error:
            failures.append(Failure(record.image_id, str(error)))
    return _claims(records, found, thresholds, frozenset(), failures, {})


def claims_of_detections(records: Sequence[Record], path: Path) -> Claims:
    """Take the boxes of any tool, in pixels of the image file.

    Where an image is not on this disk, its boxes are taken to be in the frame that the expert's
    boxes are in (1024 x 1024 for ChestX-ray14); where that is not known either, it is missing.
    """
    detections = read_detections(path)
    placed, failures = [], []
    for record in records:
        try:
            if record.path is not None:
                placed.append(annotations_in_image(record, *image_size(record.path)))
            elif record.annotation_frame is not None:
                placed.append(record)
        except CxrlocError as error:
            failures.append(Failure(record.image_id, str(error)))
    return Claims(placed, detections, failures=failures)


def _claims(
    records: Sequence[Record],
    found: Sequence[tuple[Probabilities, Heatmaps]],
    thresholds: Sequence[float],
    predicted: frozenset[tuple[str, str]],
    failures: Sequence[Failure],
    warnings: Mapping[str, int],
) -> Claims:
    """Boxes out of maps, and the records in the pixels of the images that were mapped."""
    record_of = {record.image_id: record for record in records}
    return Claims(
        records=[
            annotations_in_image(record_of[each.image_id], each.image_rows, each.image_columns)
            for _, each in found
        ],
        detections=[
            detection
            for probabilities, each in found
            for detection in detections_from_heatmaps(each, probabilities.tolist(), thresholds)
        ],
        heatmaps=[each for _, each in found],
        probabilities={
            (each.image_id, finding): probability
            for probabilities, each in found
            for finding, probability in zip(each.findings, probabilities.tolist(), strict=True)
        },
        predicted=predicted,
        failures=failures,
        warnings=warnings,
    )
