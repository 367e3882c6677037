"""Writes `report.html`: one page on which a reader can explore the results of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets.records import annotations_in_image
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.operating_points import OperatingPoint
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.evaluation.localization.claims import Claims
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scores import LocalizationScores
from cxrloc.inference.image_sets import ImageSet
from cxrloc.inference.localize import localize
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.inference.suitability import Suitability
from cxrloc.models.model import Model
from cxrloc.report_page.card import bench_card, classification_card, lead, warning_lines
from cxrloc.report_page.classification import ClassificationRun, classification_data
from cxrloc.report_page.localization import LocalizationRun, localization_data
from cxrloc.report_page.page import write_page
from cxrloc.report_page.pictures import Pair, picture_uri
from cxrloc.types import Heatmaps, Predictions, Record

PAGE = "report.html"

CLASSIFIED_IMAGES = 200
"""Most images on a classification page; they are the first by name, not chosen by score."""

_LARGE, _SMALL = 512, 320  # longest side of a picture, in pixels
_MANY = 256  # pages with at least this many images have small pictures


def write_bench_page(
    images: Sequence[Image],
    claims: Claims,
    scores: LocalizationScores,
    protocol: ScoringProtocol,
    run: dict[str, Any],
    out: Path,
) -> None:
    """Write the page of a localization run; `run` is its run card."""
    localization = LocalizationRun(
        records=claims.records,
        detections=claims.detections,
        heatmaps=claims.heatmaps,
        probabilities=claims.probabilities,
        predicted=claims.predicted,
        protocol=protocol,
        scores=scores,
    )
    shown = {record.image_id for record in claims.records}
    pictures = _pictures([image for image in images if image.image_id in shown])
    name = run["data"]["name"]
    data = {
        **localization_data(localization, pictures),
        "lead": lead(run, f"Boxes from: {run['boxes_from']}."),
        "outside": _outside(claims.suitability),
        "warnings": warning_lines(run),
        "card": bench_card(run),
        "run": run,
    }
    write_page(f"Localization on {name}", data, out / PAGE)


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """The results of `classify` that its page shows."""

    predictions: Predictions
    units: ScoredUnits
    points: Mapping[str, OperatingPoint]
    report: ClassificationReport
    suitability: Mapping[str, Suitability]


def write_classification_page(
    image_set: ImageSet,
    models: Sequence[Model],
    inference: InferenceSettings,
    classified: Classified,
    run: dict[str, Any],
    out: Path,
) -> None:
    """Write the page of a classification run; `run` is its run card.

    If there are models, the page shows heatmaps of its images.
    """
    predicted = classified.predictions
    probabilities = {
        (image_id, finding): float(probability)
        for image_id, row in zip(predicted.image_ids, predicted.probabilities, strict=True)
        for finding, probability in zip(predicted.findings, row, strict=True)
    }
    judged = set(classified.units.patient_ids)
    known = {*predicted.image_ids}
    records = sorted(
        (r for r in image_set.records if r.patient_id in judged and r.image_id in known),
        key=lambda record: record.image_id,
    )[:CLASSIFIED_IMAGES]
    names = {record.image_id for record in records}
    images = [image for image in image_set.images if image.image_id in names]
    shown_images = _with_maps(records, images, models, inference)
    classification = ClassificationRun(
        units=classified.units,
        points=classified.points,
        report=classified.report,
        bands=pd.read_csv(out / "roc_bands.csv"),
        records=shown_images.records,
        probabilities={pair: p for pair, p in probabilities.items() if pair[0] in names},
        heatmaps=shown_images.heatmaps,
        raw=shown_images.raw,
    )
    shown = f"{len(records)} of {len(known)} images are shown, the first by name."
    data = {
        **classification_data(classification, shown_images.pictures),
        "lead": lead(run, f"Probabilities from: {run['probabilities_from']}. {shown}"),
        "outside": _outside(classified.suitability),
        "warnings": warning_lines(run),
        "card": classification_card(run),
        "run": run,
    }
    write_page(f"Classification on {run['data']['name']}", data, out / PAGE)


class _Shown(NamedTuple):
    """Images to show: boxes in their pixels, pictures, and the maps that a model made, if any.

    `raw` is the probability before calibration of each (image_id, finding) with a map.
    """

    records: list[Record]
    pictures: dict[str, str]
    heatmaps: list[Heatmaps]
    raw: dict[Pair, float]


def _with_maps(
    records: Sequence[Record],
    images: Sequence[Image],
    models: Sequence[Model],
    inference: InferenceSettings,
) -> _Shown:
    placed = {record.image_id: record for record in records}
    if not models:
        return _Shown([*placed.values()], _pictures(images), [], {})
    pictures, heatmaps = {}, []
    raw: dict[Pair, float] = {}
    for result in localize(models, images, inference):
        if isinstance(result, Failure):  # the run has already named it
            continue
        image_id, pixels = result.heatmaps.image_id, result.radiograph.pixels
        placed[image_id] = annotations_in_image(placed[image_id], *pixels.shape)
        pictures[image_id] = picture_uri(pixels, _LARGE)
        heatmaps.append(result.heatmaps)
        probabilities = zip(result.heatmaps.findings, result.probabilities.tolist(), strict=True)
        raw |= {(image_id, finding): probability for finding, probability in probabilities}
    return _Shown([*placed.values()], pictures, heatmaps, raw)


def _outside(suitability: Mapping[str, Suitability]) -> dict[str, tuple[str, ...]]:
    """The images outside what the models were made for, and why."""
    return {name: found.reasons for name, found in suitability.items() if found.reasons}


def _pictures(images: Sequence[Image]) -> dict[str, str]:
    """Pictures of the images that can be read; the scores do not depend on them."""
    longest = _SMALL if len(images) >= _MANY else _LARGE
    pictures = {}
    for image in images:
        try:
            pictures[image.image_id] = picture_uri(image.read().pixels, longest)
        except CxrlocError:  # the page shows it black
            continue
    return pictures
