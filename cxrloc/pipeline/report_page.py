"""`report.html`: a run as one page that a reader can explore, beside its other results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets.records import annotations_in_image
from cxrloc.evaluation.classification.operating_points import OperatingPoint
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.evaluation.localization.claims import Claims
from cxrloc.evaluation.localization.placed_run import ScoringProtocol
from cxrloc.evaluation.localization.scores import LocalizationScores
from cxrloc.inference.batches import Failure, Image, InferenceSettings
from cxrloc.inference.image_sets import ImageSet
from cxrloc.inference.localize import localize
from cxrloc.models.model import Model
from cxrloc.models.provenance import caption_of
from cxrloc.report_page.classification import ClassificationRun, classification_data
from cxrloc.report_page.localization import LocalizationRun, localization_data
from cxrloc.report_page.page import write_page
from cxrloc.report_page.pictures import picture_uri
from cxrloc.types import ClassificationReport, CxrlocError, Heatmaps, Predictions, Record

PAGE = "report.html"

CLASSIFIED_IMAGES = 200
"""Images of a classification page: the first by name, not chosen by score."""

_LARGE, _SMALL, _MANY = 512, 320, 256  # longest side in pixels; images from which it is the small


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
        "lead": _lead(run, f"Boxes from: {run['boxes_from']}."),
        "warnings": [f"{text} ({n} images)" for text, n in run["warnings"].items()],
        "card": [*_model_lines(run), *_bench_lines(run), *_last_lines(run)],
        "run": run,
    }
    write_page(f"Localization on {name}", data, out / PAGE)


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """What `classify` has made, for its page."""

    predictions: Predictions
    units: ScoredUnits
    points: Mapping[str, OperatingPoint]
    report: ClassificationReport


def write_classification_page(
    image_set: ImageSet,
    models: Sequence[Model],
    inference: InferenceSettings,
    made: Classified,
    run: dict[str, Any],
    out: Path,
) -> None:
    """Write the page of a classification run; `run` is its run card.

    With models, heatmaps are made of the images that are shown.
    """
    predicted = made.predictions
    probabilities = {
        (image_id, finding): float(probability)
        for image_id, row in zip(predicted.image_ids, predicted.probabilities, strict=True)
        for finding, probability in zip(predicted.findings, row, strict=True)
    }
    judged = set(made.units.patient_ids)
    known = {*predicted.image_ids}
    records = sorted(
        (r for r in image_set.records if r.patient_id in judged and r.image_id in known),
        key=lambda record: record.image_id,
    )[:CLASSIFIED_IMAGES]
    names = {record.image_id for record in records}
    images = [image for image in image_set.images if image.image_id in names]
    seen = _look(records, images, models, inference)
    classification = ClassificationRun(
        units=made.units,
        points=made.points,
        report=made.report,
        bands=pd.read_csv(out / "roc_bands.csv"),
        records=seen.records,
        probabilities={pair: p for pair, p in probabilities.items() if pair[0] in names},
        heatmaps=seen.heatmaps,
    )
    shown = f"{len(records)} of {len(known)} images are shown, the first by name."
    data = {
        **classification_data(classification, seen.pictures),
        "lead": _lead(run, f"Probabilities from: {run['probabilities_from']}. {shown}"),
        "warnings": [f"{text} ({n} images)" for text, n in run["warnings"].items()],
        "card": [*_model_lines(run), *_classify_lines(run), *_last_lines(run)],
        "run": run,
    }
    write_page(f"Classification on {run['data']['name']}", data, out / PAGE)


class _Seen(NamedTuple):
    """Images to show: boxes in their pixels, pictures, and maps if a model made some."""

    records: list[Record]
    pictures: dict[str, str]
    heatmaps: list[Heatmaps]


def _look(
    records: Sequence[Record],
    images: Sequence[Image],
    models: Sequence[Model],
    inference: InferenceSettings,
) -> _Seen:
    placed = {record.image_id: record for record in records}
    if not models:
        return _Seen([*placed.values()], _pictures(images), [])
    pictures, heatmaps = {}, []
    for result in localize(models, images, inference):
        if isinstance(result, Failure):  # named already by the run itself
            continue
        image_id, pixels = result.heatmaps.image_id, result.radiograph.pixels
        placed[image_id] = annotations_in_image(placed[image_id], *pixels.shape)
        pictures[image_id] = picture_uri(pixels, _LARGE)
        heatmaps.append(result.heatmaps)
    return _Seen([*placed.values()], pictures, heatmaps)


def _pictures(images: Sequence[Image]) -> dict[str, str]:
    """Pictures of the images that can be read; the scores do not depend on them."""
    longest = _SMALL if len(images) >= _MANY else _LARGE
    pictures = {}
    for image in images:
        try:
            pictures[image.image_id] = picture_uri(image.read().pixels, longest)
        except CxrlocError:  # its place in the page stays black
            continue
    return pictures


def _lead(run: dict[str, Any], origin: str) -> str:
    return f"{caption_of(run['model'])} {origin}" if run["model"] else origin


def _model_lines(run: dict[str, Any]) -> list[tuple[str, Any]]:
    if not run["model"]:
        return []
    titles = {"name": "Model", "sha256": "Weights (SHA-256)", "trained_on": "Trained on"}
    return [(title, run["model"][key]) for key, title in titles.items()] + [
        ("Limits", run["model"]["limits"])
    ]


def _bench_lines(run: dict[str, Any]) -> list[tuple[str, Any]]:
    data, divisors = run["data"], run["divisors"]
    per_finding = ", ".join(f"{name} {n:.0f}" for name, n in divisors["accuracy"].items())
    maps = sum(n for name, n in divisors["false_positives_per_heatmap"].items() if name != "mean")
    return [
        ("Boxes from", run["boxes_from"]),
        ("Scored", f"{run['scored_images']} images of {run['scored_patients']} patients"),
        ("Heatmaps that give boxes", f"{run['protocol']['population']} pairs, {maps:.0f}"),
        ("Accuracy divides by", per_finding),
        ("AFP divides by", f"{divisors['afp']} annotated boxes of all findings"),
        ("Boxes on other pairs, left out", run["detections_left_out"]),
        ("Degenerate maps", run["degenerate_maps"]),
        ("Scored pairs without a map", run["scored_pairs_without_map"]),
        ("Expert's boxes (SHA-256)", data["truth_sha256"]),
    ]


def _classify_lines(run: dict[str, Any]) -> list[tuple[str, Any]]:
    scored, data = run["scored"], run["data"]
    chosen = {f"{p['rule']}, on {p['chosen_on']}" for p in run["operating_points"].values()}
    return [
        ("Probabilities from", run["probabilities_from"]),
        ("Scored", f"{scored['units']} units of {scored['patients']} patients"),
        ("Unit", run["protocol"]["unit"]),
        *([("Thresholds", "; ".join(sorted(chosen)))] if chosen else []),
        ("Units to choose thresholds on", run["tuning"]["units"]),
        ("Labels (SHA-256)", data["truth_sha256"]),
    ]


def _last_lines(run: dict[str, Any]) -> list[tuple[str, Any]]:
    contaminated = run["contaminated_patients"]
    if contaminated == "unknown":
        contaminated = "unknown: nothing says on which patients the model was trained"
    else:
        contaminated = f"{contaminated} of these patients trained the model"
    return [
        ("Contamination", contaminated),
        ("Missing images", _named(run["missing_images"], run.get("missing"))),
        ("Images that could not be read", _named(run["failed_images"])),
        ("Images (SHA-256)", run["data"]["images_sha256"]),
        ("Versions", ", ".join(f"{name} {number}" for name, number in run["versions"].items())),
        ("Seconds", run["seconds"]),
    ]


def _named(image_ids: Iterable[str], count: int | None = None) -> str:
    """How many, and the first ten of those that the run card names."""
    names = list(image_ids)
    count = len(names) if count is None else count
    more = ", ..." if count > 10 else ""
    return f"{count}: {', '.join(names[:10])}{more}" if names else "0"
