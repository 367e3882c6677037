"""`cxrloc classify`: images with labels in; probabilities, scores and their provenance out."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets.splits import LEAKS
from cxrloc.evaluation.beside import check_beside, write_beside
from cxrloc.evaluation.classification.operating_points import (
    SAME_PATIENTS,
    OperatingPoint,
    card_operating_points,
)
from cxrloc.evaluation.classification.populations import of_findings, select_population
from cxrloc.evaluation.classification.prediction_files import write_predictions
from cxrloc.evaluation.classification.reader_files import (
    ReaderPoint,
    read_readings,
    readers_below,
    score_readers,
)
from cxrloc.evaluation.classification.report import (
    METRICS,
    ReportScope,
    choose_operating_points,
    classify_units,
)
from cxrloc.evaluation.classification.tables import metrics_frame
from cxrloc.evaluation.classification.units import (
    ScoredUnits,
    hide_patients,
    score_units,
    split_units,
)
from cxrloc.evaluation.published import published_means
from cxrloc.files.journal import Journal
from cxrloc.files.run_folder import make_folder
from cxrloc.files.whole import write_json, write_text
from cxrloc.inference.batches import Failure
from cxrloc.inference.image_sets import ImageSet, data_warnings
from cxrloc.inference.paired_images import paired_images
from cxrloc.models.model import Model
from cxrloc.models.provenance import (
    caption_of,
    condition_warnings,
    describe_models,
    selection_warnings,
)
from cxrloc.models.weights import read_model
from cxrloc.phantom import NOT_OF_PATIENTS, is_synthetic
from cxrloc.pipeline.classify_files import write_classification
from cxrloc.pipeline.classify_inputs import (
    ClassifyOptions,
    PredictedImages,
    PredictionWatch,
    labelled_images,
    predictions_of_file,
    predictions_of_models,
    products_along_tree,
    source_of_labels,
)
from cxrloc.pipeline.installed import versions
from cxrloc.pipeline.own_split import check_patients
from cxrloc.pipeline.report_page import Classified, write_classification_page
from cxrloc.pipeline.run_card import describe_labels
from cxrloc.types import ClassificationReport

LEAK = "split by image: some of these patients trained the model"
NAMED, MISSING = 20, "missing_images.txt"
"""How many missing images `run.json` names, and the file that names all of them."""


class ClassifyResult(NamedTuple):
    """The results for the terminal; the files are already written."""

    report: ClassificationReport
    failures: Sequence[Failure]
    run: dict[str, Any]
    beside: pd.DataFrame | None


def classify(
    data: Path | None,
    out: Path,
    options: ClassifyOptions,
    watch: PredictionWatch = iter,
    journal: Journal | None = None,
) -> ClassifyResult:
    """Score classification and write every table and curve to `out`.

    Without data, the embedded phantoms are scored. The result names images that cannot be read, and
    the other images are still scored.

    Raises:
        UsageError: a name does not exist, options exclude each other, or `out` cannot be written.
        CxrlocError: there is nothing to score, or a model was trained on these patients.
    """
    models = [] if options.predictions else [*map(read_model, options.models)]
    return classify_by(models, data, out, options, watch, journal)


def classify_by(
    models: Sequence[Model],
    data: Path | None,
    out: Path,
    options: ClassifyOptions,
    watch: PredictionWatch = iter,
    journal: Journal | None = None,
) -> ClassifyResult:
    """`classify` with models that are already loaded, in place of those that the options name.

    There are no models if a file of predictions is scored.
    """
    started = time.perf_counter()
    synthetic = is_synthetic(data)
    check_beside(options.beside, list(METRICS), synthetic)
    make_folder(out)
    readings = read_readings(options.readings) if options.readings else None
    # Images and their truth.
    image_set, notes = labelled_images(data, options, models)
    paired = paired_images(*image_set[:3], models, options.pairing)
    image_set = image_set._replace(**paired._asdict())
    here = {image.image_id for image in image_set.images}
    records = [record for record in image_set.records if record.image_id in here]
    contamination, leaked = check_patients(models, image_set, options.split, options.data)
    chosen_by = selection_warnings(models, records)
    # Probabilities.
    if options.predictions:
        outcome = predictions_of_file(options.predictions, image_set, options.findings)
        outcome = products_along_tree(outcome) if options.products else outcome
    else:
        inference = replace(options.inference, products=options.products)
        outcome = predictions_of_models(models, image_set, inference, watch, journal)
    # Units with truth and scores, and the operating points of their decisions.
    predicted = of_findings(outcome.predictions, options.findings)
    units = score_units(
        predicted, image_set.records, options.unit, options.aggregation, options.uncertain
    )
    units = select_population(units, options.population)
    tuning, judged = split_units(units, options.tuning, options.resampling.seed)
    points = _operating_points([] if options.products else models, tuning, judged, bool(chosen_by))
    # Numbers.
    scope = ReportScope(options.groups, options.operating_point, published_means(options.beside))
    report = classify_units(judged, options.resampling, tuning, points, scope)
    report = replace(
        report,
        remarks=(LEAK,) * bool(leaked)
        + contamination.remarks
        + (NOT_OF_PATIENTS,) * bool(synthetic),
    )
    readers = score_readers(judged, readings) if readings else []
    # Files.
    written = judged if options.patient_ids else hide_patients(judged)
    caption = _caption(models, options, synthetic)
    write_predictions(outcome.predictions, out / "probabilities.csv")
    write_classification(written, points, report, out, caption, readers)
    shown = write_beside(metrics_frame(report), options.beside, out, report.remarks)
    leaks = {LEAK: sum(r.patient_id in leaked for r in records)} if leaked else {}
    run = {
        "versions": versions(),
        "probabilities_from": str(options.predictions or "model"),
        "model": describe_models(models) if models else None,
        "inference": asdict(options.inference) if models else None,
        "data": {
            **describe_labels(image_set.name, image_set.records),
            "path": str(data) if data else None,
            "synthetic": synthetic,
        },
        "products_along_tree": options.products,
        "labels_from": source_of_labels(data, options.labels),
        "readers": _describe_readers(readers),
        "protocol": {name: value for name, value in asdict(options).items() if name in PROTOCOL},
        "operating_points": {finding: asdict(point) for finding, point in points.items()},
        "scored": {"units": report.units, "patients": report.patients},
        "tuning": {"units": len(tuning.unit_ids) if tuning else 0},
        **_describe_images(image_set, outcome, out),
        LEAKS: bool(leaked),
        "warnings": {**leaks, **chosen_by, **data_warnings(image_set.records), **outcome.warnings},
        "remarks": list(report.remarks),
        "notes": [*notes, *outcome.notes, *_conditional(models, options)],
        "contaminated_patients": contamination.count,
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_json(out / "run.json", run)
    if options.html:
        made = Classified(outcome.predictions, judged, points, report)
        write_classification_page(image_set, models, options.inference, made, run, out)
    return ClassifyResult(report, outcome.failures, run, shown)


PROTOCOL = (
    *("split", "projection", "findings", "population", "unit", "aggregation", "uncertain"),
    *("tuning", "operating_point", "groups", "resampling"),
)
"""Options that say how the numbers were made."""


def _operating_points(
    models: Sequence[Model], tuning: ScoredUnits | None, judged: ScoredUnits, overlap: bool
) -> dict[str, OperatingPoint]:
    """Operating points from the tuning part, else of the models, else from the scored patients."""
    if tuning is not None:
        return choose_operating_points(tuning)
    known = card_operating_points(models, overlap)
    points = {finding: point for finding, point in known.items() if finding in judged.findings}
    return points or choose_operating_points(judged, chosen_on=SAME_PATIENTS)


def _caption(models: Sequence[Model], options: ClassifyOptions, synthetic: bool) -> str:
    """The caption under every figure."""
    origin = f"Probabilities from {options.predictions}."
    made_by = caption_of(describe_models(models)) if models else origin
    return f"{made_by} {NOT_OF_PATIENTS.capitalize()}." if synthetic else made_by


def _conditional(models: Sequence[Model], options: ClassifyOptions) -> list[str]:
    return [] if options.products else condition_warnings(models)


def _describe_readers(points: Sequence[ReaderPoint]) -> dict[str, float] | None:
    if not points:
        return None
    below, readers = readers_below(points)
    areas = [point.auc for point in points]
    return {
        "mean_under_curve": below,
        "mean_readers": readers,
        "mean_auc": sum(areas) / len(areas),
    }


def _describe_images(image_set: ImageSet, outcome: PredictedImages, out: Path) -> dict[str, Any]:
    """Which images were predicted and which not; a long list of the latter gets its own file."""
    failed = {failure.image_id: failure.reason for failure in outcome.failures}
    done = {*outcome.predictions.image_ids, *failed}
    absent = [r.image_id for r in image_set.records if r.image_id not in done]
    if len(absent) > NAMED:
        write_text(out / MISSING, "\n".join(absent) + "\n")
    return {
        "predicted_images": len(outcome.predictions.image_ids),
        "missing": len(absent),
        "missing_images": absent[:NAMED],
        "missing_images_in": MISSING if len(absent) > NAMED else None,
        "failed_images": failed,
    }
