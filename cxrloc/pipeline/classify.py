"""`cxrloc classify`: images with labels in; probabilities, scores and their provenance out."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cxrloc.datasets import label_origin
from cxrloc.datasets.box_findings import warn_of_unknown_findings
from cxrloc.datasets.description import describe_labels
from cxrloc.datasets.splits import LEAKS
from cxrloc.evaluation.beside import check_beside, write_beside
from cxrloc.evaluation.classification.classification_report import ClassificationReport
from cxrloc.evaluation.classification.operating_points import known_or_chosen_points
from cxrloc.evaluation.classification.populations import (
    images_of_projection,
    of_findings,
    select_population,
)
from cxrloc.evaluation.classification.predicted_images import (
    PredictionWatch,
    describe_images,
    predictions_of_file,
    predictions_of_models,
    products_along_tree,
    refuse_other_scores,
)
from cxrloc.evaluation.classification.prediction_files import write_predictions
from cxrloc.evaluation.classification.reader_files import (
    Readings,
    describe_readers,
    read_readings,
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
    NoFinding,
    Uncertain,
    under_rules,
    with_no_finding,
)
from cxrloc.evaluation.classification.units import (
    Aggregation,
    Unit,
    hide_patients,
    score_units,
    split_units,
)
from cxrloc.evaluation.contamination import check_with_leaks
from cxrloc.evaluation.image_status import write_image_status
from cxrloc.evaluation.published import published_means
from cxrloc.evaluation.resampling import Resampling
from cxrloc.files.installed import versions
from cxrloc.files.journal import Journal
from cxrloc.files.run_folder import make_folder
from cxrloc.files.whole import write_json
from cxrloc.inference.batches import with_precision
from cxrloc.inference.image_sets import (
    DataOptions,
    data_warnings,
    part_of,
    read_images,
    with_file_labels,
)
from cxrloc.inference.paired_images import Pairing, paired_images
from cxrloc.inference.prepared import Failure, InferenceSettings
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
from cxrloc.panels.figure_files import write_figure
from cxrloc.panels.plots import FigureRequest, figure_style
from cxrloc.panels.roc import draw_roc
from cxrloc.phantom import NOT_OF_PATIENTS, is_synthetic
from cxrloc.recipe_of_model import own_recipe, truth_rules
from cxrloc.report_page.write import Classified, write_classification_page
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.records import own_test_part

LEAK = "split by image: some of these patients trained the model"

_FEW = 2
"""Most ROC plots that fit into one column of a page."""

GROUPS = ("view", "sex", "age")


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """What `classify` does beside the data.

    Attributes:
        models: embedded names or checkpoint files; several make an ensemble.
        predictions: a CSV of probabilities to score instead of a model's.
        labels: labels out of reports (`cxrloc label`) in place of the data set's own.
        readings: a file of radiologists' decisions, shown as operating points beside the curves.
        split: which part of the data set, a name of `inference.image_sets.SPLITS`.
        projection: score images of this projection only, a name of `PROJECTIONS`; empty for all.
        findings: score these findings only, and take their mean; empty for all.
        population: score units with one or with several labels only, a name of `POPULATIONS`.
        unit: what is scored, such as images or patients.
        aggregation: how the scores of a unit's images are combined to the unit's score.
        uncertain: as in `TruthRules`; None: as in the recipe of the models (`truth_rules`).
        no_finding: likewise.
        tuning: share of the patients on whom operating points are chosen and calibration is
            fitted, and who are not scored. If 0, operating points are those of the model's card
            or, without a card's points, are chosen on the scored patients; every row then says so.
        operating_point: label each unit with all findings whose probability is above it, and
            score these lists (Dong et al. 2017, task 3); None for no lists.
        groups: names of `GROUPS`, which are also reported separately.
        beside: published tables to show beside the numbers; for synthetic radiographs each must
            be named twice.
        patient_ids: if units are patients, write their ids instead of keyed hashes of the ids.
        html: also write the run as one page, `report.html`.
        resampling: settings of the intervals; the seed also draws the tuning part.
        pairing: how images are paired, for networks that read two views.
        inference: how the models are run.
        data: further settings of the data set.
    """

    models: tuple[str, ...]
    predictions: Path | None = None
    labels: Path | None = None
    readings: Path | None = None
    split: str = "all"
    projection: str = ""
    findings: tuple[str, ...] = ()
    population: str = "all"
    unit: Unit = "image"
    aggregation: Aggregation = "max"
    uncertain: Uncertain | None = None
    no_finding: NoFinding | None = None
    tuning: float = 0.0
    operating_point: float | None = None
    groups: tuple[str, ...] = GROUPS
    beside: tuple[str, ...] = ()
    patient_ids: bool = False
    html: bool = False
    resampling: Resampling = field(default_factory=Resampling)
    pairing: Pairing = field(default_factory=Pairing)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    data: DataOptions = field(default_factory=DataOptions)


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
    # Images and their truth.
    image_set = read_images(data, options.data, declared)
    own = partial(own_test_part, _recipes(models, options), data)
    image_set = part_of(image_set, data, options.split, own)
    image_set = images_of_projection(image_set, options.projection)
    image_set = with_file_labels(image_set, options.labels, declared)
    paired = paired_images(*image_set[:3], models, options.pairing)
    image_set = image_set._replace(**paired._asdict())
    here = {image.image_id for image in image_set.images}
    records = [record for record in image_set.records if record.image_id in here]
    contamination, leaked = check_with_leaks(
        models,
        [m for m in models if options.split == "own" and own_recipe(m).data.split.kind == "image"],
        records,
        image_set.data_sets,
        options.data.allow_contaminated,
    )
    chosen_by = selection_warnings(models, records)
    # Probabilities.
    if options.predictions:
        outcome = predictions_of_file(options.predictions, image_set, options.findings)
        if options.inference.products or options.operating_point is not None:
            needing = "--products" if options.inference.products else "--operating-point"
            refuse_other_scores(options.predictions, outcome.predictions, needing)
        outcome = products_along_tree(outcome) if options.inference.products else outcome
    else:
        outcome = predictions_of_models(models, image_set, options.inference, watch, journal)
    named = [*declared, *options.data.finding_columns, *outcome.predictions.findings]
    unknown = warn_of_unknown_findings(image_set.records, named)
    # Units with truth and scores, and the operating points of their decisions. Products along the
    # tree are made of raw values, and no card calibrates products.
    raw = outcome.predictions
    calibrating = models and not options.inference.products
    predictions = calibrated_predictions(models, raw) if calibrating else raw
    predicted = of_findings(predictions, options.findings)
    rules = truth_rules(models, options.uncertain, options.no_finding)
    truth = under_rules(image_set.records, rules)
    truth = with_no_finding(truth, outcome.predictions.findings)
    units = score_units(predicted, truth, options.unit, options.aggregation)
    units = select_population(units, options.population)
    tuning, judged = split_units(units, options.tuning, options.resampling.seed)
    # The operating points of a card are not those of products along the tree.
    of_cards = [] if options.inference.products else models
    points = known_or_chosen_points(of_cards, tuning, judged, overlap=bool(chosen_by))
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
    write_predictions(predictions, out / "probabilities.csv", report.remarks)
    if not np.array_equal(predictions.probabilities, raw.probabilities, equal_nan=True):
        write_predictions(raw, out / "raw_probabilities.csv", report.remarks)
    status = write_image_status(outcome.suitability, outcome.failures, out, report.remarks)
    write_classification(written, points, report, out, readers)
    width = "double" if len(written.findings) > _FEW else "single"
    with figure_style():
        results = [out, out / "readers.csv"] if readers else [out]
        figure = draw_roc(results, FigureRequest(width=width, caption=caption))
        write_figure(figure, [out / "roc.png", out / "roc.pdf"])
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
            "options": asdict(options.data),
            "synthetic": synthetic,
        },
        "products_along_tree": options.inference.products,
        "labels_from": label_origin(data, options.labels),
        "readers": describe_readers(readers),
        "protocol": {name: of for name, of in asdict(options).items() if name in PROTOCOL}
        | asdict(rules),
        "operating_points": {finding: asdict(point) for finding, point in points.items()},
        "scored": {"units": report.units, "patients": report.patients},
        "tuning": {"units": len(tuning.unit_ids) if tuning else 0},
        **describe_images(image_set, outcome, out),
        "images": status,
        LEAKS: bool(leaked),
        "warnings": {
            **leaks,
            **chosen_by,
            **unknown,
            **data_warnings(image_set.records),
            **outcome.warnings,
        },
        "remarks": list(report.remarks),
        "notes": [
            *image_set.notes,
            *outcome.notes,
            *_not_judged(predicted.findings, units.findings),
            *_conditional(models, options),
            *(calibration_warnings(models, predictions.findings) if calibrating else ()),
            *_columns_of_readings(readings),
        ],
        "contaminated_patients": contamination.count,
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_json(out / "run.json", run)
    if options.html:
        made = Classified(predictions, judged, points, report, outcome.suitability)
        write_classification_page(image_set, models, options.inference, made, run, out)
    return ClassifyResult(report, outcome.failures, run, shown)


PROTOCOL = (
    *("split", "projection", "findings", "population", "unit", "aggregation"),
    *("tuning", "operating_point", "groups", "resampling"),
)
"""Options that say how the numbers were made, beside the rules of truth."""


def _caption(models: Sequence[Model], options: ClassifyOptions, synthetic: bool) -> str:
    """The caption under every figure."""
    origin = f"Probabilities from {options.predictions}."
    made_by = caption_of(describe_models(models)) if models else origin
    return f"{made_by} {NOT_OF_PATIENTS.capitalize()}." if synthetic else made_by


def _not_judged(predicted: Sequence[str], judged: Sequence[str]) -> list[str]:
    lacking = [finding for finding in predicted if finding not in judged]
    reason = "not judged, because the labels of these images do not name"
    return [f"{reason}: {', '.join(lacking)}"] if lacking else []


def _columns_of_readings(readings: Readings | None) -> list[str]:
    if readings is None or not readings.left_out:
        return []
    return [f"readings: no findings, and left out, are the columns {', '.join(readings.left_out)}"]


def _conditional(models: Sequence[Model], options: ClassifyOptions) -> list[str]:
    return [] if options.inference.products else condition_warnings(models)


def _recipes(models: Sequence[Model], options: ClassifyOptions) -> list[Recipe]:
    """The recipes whose own test part is scored."""
    return [own_recipe(model) for model in models] if options.split == "own" else []
