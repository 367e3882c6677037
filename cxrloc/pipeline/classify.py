"""`cxrloc classify`: images with labels in; probabilities, scores and their provenance out."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets import label_origin
from cxrloc.datasets.box_findings import warn_of_unknown_findings
from cxrloc.datasets.description import describe_labels
from cxrloc.datasets.splits import LEAKS
from cxrloc.evaluation.beside import check_beside, write_beside
from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.operating_points import OperatingPoint, known_or_chosen_points
from cxrloc.evaluation.classification.populations import (
    images_of_projection,
    of_findings,
    select_population,
)
from cxrloc.evaluation.classification.predicted_images import (
    PredictedImages,
    PredictionWatch,
    describe_images,
    predictions_of_file,
    predictions_of_models,
    products_along_tree,
    refuse_other_scores,
)
from cxrloc.evaluation.classification.prediction_files import write_probabilities
from cxrloc.evaluation.classification.reader_files import (
    describe_readers,
    read_readings,
    readings_notes,
    score_readers,
)
from cxrloc.evaluation.classification.report import (
    METRICS,
    ReportScope,
    classify_units,
)
from cxrloc.evaluation.classification.result_files import write_classification
from cxrloc.evaluation.classification.tables import metrics_frame
from cxrloc.evaluation.classification.truth import (
    TruthRules,
    under_rules,
    with_no_finding,
)
from cxrloc.evaluation.classification.units import (
    ScoredUnits,
    hide_patients,
    score_units,
    split_units,
    unjudged_notes,
)
from cxrloc.evaluation.contamination import check_with_leaks
from cxrloc.evaluation.image_status import write_image_status
from cxrloc.evaluation.published import published_means
from cxrloc.files.installed import versions
from cxrloc.files.journal import Journal
from cxrloc.files.run_folder import make_folder
from cxrloc.files.whole import write_json
from cxrloc.inference.batches import with_precision
from cxrloc.inference.image_sets import (
    ImageSet,
    data_warnings,
    part_of,
    read_images,
    with_file_labels,
)
from cxrloc.inference.paired_images import paired_images
from cxrloc.inference.prepared import Failure
from cxrloc.models.model import Model
from cxrloc.models.provenance import (
    calibrated_predictions,
    calibration_warnings,
    caption_of,
    condition_warnings,
    describe_models,
    selection_warnings,
)
from cxrloc.models.weights import read_model
from cxrloc.panels.roc import write_roc
from cxrloc.phantom import NOT_OF_PATIENTS, SYNTHETIC_CAPTION, is_synthetic
from cxrloc.pipeline.classify_options import ClassifyOptions
from cxrloc.recipe_of_model import is_split_by_image, own_recipe, truth_rules
from cxrloc.report_page.write import Classified, write_classification_page
from cxrloc.training.records import own_test_part
from cxrloc.types import Predictions

PROTOCOL = (
    *("split", "projection", "findings", "population", "unit", "aggregation"),
    *("tuning", "operating_point", "groups", "resampling"),
)
"""Options that say how the numbers were made, beside the rules of truth."""


class ClassifyResult(NamedTuple):
    """The results for the terminal; the files are already written."""

    report: ClassificationReport
    failures: Sequence[Failure]
    run: dict[str, Any]
    beside: pd.DataFrame | None


def classify(
    data: Path | str | None,
    out: Path | str,
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
    data = None if data is None else Path(data)
    return classify_by(models, data, Path(out), options, watch, journal)


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
    options = replace(options, inference=with_precision(options.inference))
    synthetic = is_synthetic(data)
    check_beside(options.beside, list(METRICS), synthetic)
    make_folder(out)
    declared = [*(f for model in models for f in model.card.findings), *options.findings]
    readings = read_readings(options.readings, declared) if options.readings else None
    image_set = _images_to_score(models, data, options, declared)
    here = {image.image_id for image in image_set.images}
    records = [record for record in image_set.records if record.image_id in here]
    by_image = [m for m in models if options.split == "own" and is_split_by_image(m)]
    allowed = options.data.allow_contaminated
    contamination = check_with_leaks(models, by_image, records, image_set.data_sets, allowed)
    chosen_on_these = selection_warnings(models, records)
    outcome = _predict(models, image_set, options, watch, journal)
    named = [*declared, *options.data.finding_columns, *outcome.predictions.findings]
    warnings = {
        **contamination.leak_warnings(records),
        **chosen_on_these,
        **warn_of_unknown_findings(image_set.records, named),
        **data_warnings(image_set.records),
        **outcome.warnings,
    }
    remarks = contamination.remarks + (NOT_OF_PATIENTS,) * synthetic
    scored = _score(models, image_set, outcome, options, overlap=bool(chosen_on_these))
    report = replace(scored.report, remarks=remarks)
    readers = score_readers(scored.judged, readings) if readings else []
    # Files.
    written = scored.judged if options.patient_ids else hide_patients(scored.judged)
    write_probabilities(scored.predictions, outcome.predictions, out, remarks)
    status = write_image_status(outcome.suitability, outcome.failures, out, remarks)
    write_classification(written, scored.points, report, out, readers)
    origin = f"Probabilities from {options.predictions}."
    caption = caption_of(describe_models(models)) if models else origin
    results = [out, out / "readers.csv"] if readers else [out]
    write_roc(results, len(written.findings), caption + SYNTHETIC_CAPTION * synthetic, out)
    shown = write_beside(metrics_frame(report), options.beside, out, remarks)
    run = {
        "versions": versions(),
        "probabilities_from": str(options.predictions or "model"),
        "model": describe_models(models) if models else None,
        "inference": asdict(options.inference) if models else None,
        "data": {
            **describe_labels(image_set.name, image_set.records),
            "path": str(data) if data else None,
            "options": asdict(options.data),
            "synthetic": synthetic,
        },
        "products_along_tree": options.inference.products,
        "labels_from": label_origin(data, options.labels),
        "readers": describe_readers(readers),
        "protocol": {name: of for name, of in asdict(options).items() if name in PROTOCOL}
        | asdict(scored.rules),
        "operating_points": {finding: asdict(point) for finding, point in scored.points.items()},
        "scored": {"units": report.units, "patients": report.patients},
        "tuning": {"units": len(scored.tuning.unit_ids) if scored.tuning else 0},
        **describe_images(image_set, outcome, out),
        "images": status,
        LEAKS: bool(contamination.leaked),
        "warnings": warnings,
        "remarks": list(remarks),
        "notes": [*image_set.notes, *outcome.notes, *scored.notes, *readings_notes(readings)],
        "contaminated_patients": contamination.count,
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_json(out / "run.json", run)
    if options.html:
        classified = Classified(
            scored.predictions, scored.judged, scored.points, report, outcome.suitability
        )
        write_classification_page(image_set, models, options.inference, classified, run, out)
    return ClassifyResult(report, outcome.failures, run, shown)


def _images_to_score(
    models: Sequence[Model], data: Path | None, options: ClassifyOptions, declared: Sequence[str]
) -> ImageSet:
    """The images of the chosen part and projection, with their truth."""
    image_set = read_images(data, options.data, declared)
    recipes = [own_recipe(model) for model in models] if options.split == "own" else []
    image_set = part_of(image_set, data, options.split, partial(own_test_part, recipes, data))
    image_set = images_of_projection(image_set, options.projection)
    image_set = with_file_labels(image_set, options.labels, declared)
    paired = paired_images(*image_set[:3], models, options.pairing)
    return image_set._replace(**paired._asdict())


def _predict(
    models: Sequence[Model],
    image_set: ImageSet,
    options: ClassifyOptions,
    watch: PredictionWatch,
    journal: Journal | None,
) -> PredictedImages:
    """Probabilities of the models, or those of a file."""
    if options.predictions is None:
        return predictions_of_models(models, image_set, options.inference, watch, journal)
    outcome = predictions_of_file(options.predictions, image_set, options.findings)
    products = options.inference.products
    if products or options.operating_point is not None:
        needing = "--products" if products else "--operating-point"
        refuse_other_scores(options.predictions, outcome.predictions, needing)
    return products_along_tree(outcome) if products else outcome


class _Scored(NamedTuple):
    """Scored units, the decisions on them, and the numbers.

    Attributes:
        predictions: calibrated probabilities of all images and findings.
        rules: how labels became truth.
        tuning: units on which operating points were chosen, if a part was drawn for it.
        judged: the units that are scored.
        points: operating points by finding.
        report: the numbers.
        notes: what is not judged, not calibrated, or conditional.
    """

    predictions: Predictions
    rules: TruthRules
    tuning: ScoredUnits | None
    judged: ScoredUnits
    points: dict[str, OperatingPoint]
    report: ClassificationReport
    notes: list[str]


def _score(
    models: Sequence[Model],
    image_set: ImageSet,
    outcome: PredictedImages,
    options: ClassifyOptions,
    overlap: bool,
) -> _Scored:
    """Join probabilities and truth to units, choose operating points, and measure.

    Products along the tree are made of raw values, so no model's calibration and no model's
    operating point belongs to them.
    """
    cards = [] if options.inference.products else models
    raw = outcome.predictions
    predictions = calibrated_predictions(cards, raw) if cards else raw
    predicted = of_findings(predictions, options.findings)
    rules = truth_rules(models, options.uncertain, options.no_finding)
    truth = with_no_finding(under_rules(image_set.records, rules), raw.findings)
    units = score_units(predicted, truth, options.unit, options.aggregation)
    units = select_population(units, options.population)
    tuning, judged = split_units(units, options.tuning, options.resampling.seed)
    points = known_or_chosen_points(cards, tuning, judged, overlap)
    scope = ReportScope(options.groups, options.operating_point, published_means(options.beside))
    report = classify_units(judged, options.resampling, tuning, points, scope)
    notes = [
        *unjudged_notes(predicted.findings, units),
        *condition_warnings(cards),
        *(calibration_warnings(cards, predictions.findings) if cards else ()),
    ]
    return _Scored(predictions, rules, tuning, judged, points, report, notes)
