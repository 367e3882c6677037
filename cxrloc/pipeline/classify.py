"""`cxrloc classify`: images with labels in; probabilities, scores and their provenance out."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cxrloc.datasets.splits import LEAKS, draw_patients
from cxrloc.evaluation.classification.operating_points import (
    OTHER_PATIENTS,
    SAME_PATIENTS,
    UNNAMED_PATIENTS,
    OperatingPoint,
)
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
    with_note,
)
from cxrloc.evaluation.classification.tables import metrics_frame
from cxrloc.evaluation.classification.units import (
    Aggregation,
    ScoredUnits,
    Unit,
    score_units,
    select_units,
)
from cxrloc.evaluation.contamination import contaminated_patients
from cxrloc.evaluation.published import published_means
from cxrloc.evaluation.resampling import Resampling
from cxrloc.inference.batches import Failure, InferenceSettings
from cxrloc.inference.paired_images import Pairing, paired_images
from cxrloc.models.model import Model
from cxrloc.models.provenance import (
    caption_of,
    describe_models,
    names_training_patients,
    operating_point,
    selection_warnings,
)
from cxrloc.models.weights import read_model
from cxrloc.pipeline.beside import check_beside, write_beside
from cxrloc.pipeline.classify_files import write_classification
from cxrloc.pipeline.classify_inputs import (
    PredictionWatch,
    Seen,
    along_tree,
    labelled_images,
    of_file,
    of_models,
    source_of_labels,
)
from cxrloc.pipeline.image_sets import ImageSet, refuse_contamination
from cxrloc.pipeline.outputs import make_folder
from cxrloc.pipeline.own_split import leaking_models
from cxrloc.pipeline.report_page import Classified, write_classification_page
from cxrloc.pipeline.run_card import describe_labels, versions
from cxrloc.types import ClassificationReport, CxrlocError, Record

GROUPS = ("view", "sex", "age")
LEAK = "split by image: some of these patients trained the model"
NAMED, MISSING = 20, "missing_images.txt"
"""Missing images that `run.json` names, and the file that names them all where there are more."""
_PROTOCOL = ("split", "unit", "aggregation", "tuning", "operating_point", "groups", "resampling")


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """What `classify` does beside the data.

    Attributes:
        models: embedded names or checkpoint files; several make an ensemble.
        predictions: a CSV of probabilities to score instead of a model's.
        labels: labels out of reports (`cxrloc label`) in place of the data set's own.
        readings: what radiologists called, for their points beside the curves.
        products: take probabilities as conditional on the parent in CheXpert's tree, and score
            their products (`unconditional`); a model's own operating points then mean nothing.
        split: which images, a name of `classify_inputs.SPLITS`.
        unit: what is scored.
        aggregation: how a unit's images become its score.
        tuning: share of the patients on whom operating points are chosen and calibration is
            fitted, and who are not scored; 0: the model card's points, or those of the scored
            patients themselves, which every row then says.
        operating_point: label each unit with all findings whose probability is above it, and
            score these lists (Dong et al. 2017, task 3); None for no lists.
        groups: of `GROUPS`, to report apart.
        beside: published tables to stand beside the numbers.
        html: also write the run as one page, `report.html`.
        resampling: of the intervals; its seed also draws the tuning part.
        pairing: of images, for networks that read two views.
        inference: how the models are run.
    """

    models: tuple[str, ...]
    predictions: Path | None = None
    labels: Path | None = None
    readings: Path | None = None
    products: bool = False
    split: str = "all"
    unit: Unit = "image"
    aggregation: Aggregation = "max"
    tuning: float = 0.0
    operating_point: float | None = None
    groups: tuple[str, ...] = GROUPS
    beside: tuple[str, ...] = ()
    html: bool = False
    resampling: Resampling = field(default_factory=Resampling)
    pairing: Pairing = field(default_factory=Pairing)
    inference: InferenceSettings = field(default_factory=InferenceSettings)


class ClassifyResult(NamedTuple):
    """What came out, for the terminal; the files are written."""

    report: ClassificationReport
    failures: Sequence[Failure]
    run: dict[str, Any]
    beside: pd.DataFrame | None


def classify(
    data: Path | None, out: Path, options: ClassifyOptions, watch: PredictionWatch = iter
) -> ClassifyResult:
    """Score classification and write every table and curve to `out`.

    Without data the embedded phantoms are scored. An image that cannot be read is named in the
    result and the others go on.

    Raises:
        UsageError: a name does not exist, options exclude each other, or `out` cannot be written.
        CxrlocError: there is nothing to score, or a model was trained on these patients.
    """
    models = [] if options.predictions else [*map(read_model, options.models)]
    return classify_by(models, data, out, options, watch)


def classify_by(
    models: Sequence[Model],
    data: Path | None,
    out: Path,
    options: ClassifyOptions,
    watch: PredictionWatch = iter,
) -> ClassifyResult:
    """`classify` by models that are read already, whatever the options name; none for a file."""
    started = time.perf_counter()
    check_beside(options.beside, list(METRICS))
    make_folder(out)
    image_set = labelled_images(data, options.split, options.labels, models)
    readings = read_readings(options.readings) if options.readings else None
    paired = paired_images(*image_set[:3], models, options.pairing)
    image_set = image_set._replace(**paired._asdict())
    # A data set may list more patients than have an image on this disk, to be scored.
    here = {image.image_id for image in image_set.images}
    records = [record for record in image_set.records if record.image_id in here]
    leaked = _leaked_patients(models, records, options)
    leaks = {LEAK: sum(r.patient_id in leaked for r in records)} if leaked else {}
    chosen_by = selection_warnings(models, records)
    if options.predictions:
        seen = of_file(options.predictions, image_set)
    else:
        seen = of_models(models, image_set, options.inference, watch)
    if options.products:
        seen = along_tree(seen)
    units = score_units(seen.predictions, image_set.records, options.unit, options.aggregation)
    tuning, judged = _tuning_part(units, options)
    points = _operating_points([] if options.products else models, tuning, judged, bool(chosen_by))
    means = published_means(options.beside)
    scope = ReportScope(options.groups, options.operating_point, means)
    report = classify_units(judged, options.resampling, tuning, points, scope)
    report = with_note(report, LEAK) if leaked else report
    readers = score_readers(judged, readings) if readings else []
    origin = f"Probabilities from {options.predictions}."
    caption = caption_of(describe_models(models)) if models else origin
    write_predictions(seen.predictions, out / "probabilities.csv")
    write_classification(judged, points, report, out, caption, readers)
    shown = write_beside(metrics_frame(report), options.beside, out)
    run = {
        "versions": versions(),
        "probabilities_from": str(options.predictions or "model"),
        "model": describe_models(models) if models else None,
        "inference": asdict(options.inference) if models else None,
        "data": describe_labels(image_set.name, image_set.records),
        "products_along_tree": options.products,
        "labels_from": source_of_labels(data, options.labels),
        "readers": _describe_readers(readers),
        **_describe(options, points, tuning, report),
        **_describe_images(image_set, seen, out),
        LEAKS: bool(leaked),
        "warnings": {**leaks, **chosen_by, **seen.warnings},
        "notes": list(seen.notes),
        "contaminated_patients": len(leaked) if names_training_patients(models) else "unknown",
        "seconds": round(time.perf_counter() - started, 1),
    }
    (out / "run.json").write_text(json.dumps(run, indent=1) + "\n")
    if options.html:
        made = Classified(seen.predictions, judged, points, report)
        write_classification_page(image_set, models, options.inference, made, run, out)
    return ClassifyResult(report, seen.failures, run, shown)


def _leaked_patients(
    models: Sequence[Model], records: Sequence[Record], options: ClassifyOptions
) -> set[str]:
    """Patients who are scored though they trained a model: the leak of its own split by image.

    Raises:
        CxrlocError: a model was trained on one of these patients, and not by such a split.
    """
    leaking = leaking_models(models) if options.split == "own" else []
    refuse_contamination([model for model in models if model not in leaking], records)
    trained = (model.card.training_patients for model in leaking)
    return {patient for named in trained for patient in contaminated_patients(records, named)}


def _tuning_part(
    units: ScoredUnits, options: ClassifyOptions
) -> tuple[ScoredUnits | None, ScoredUnits]:
    """The patients that thresholds are chosen on, if any, and those who are scored."""
    if not options.tuning:
        return None, units
    drawn = draw_patients(units.patient_ids, options.tuning, options.resampling.seed)
    inside = np.array([patient in drawn for patient in units.patient_ids])
    if inside.all() or not inside.any():
        raise CxrlocError(
            f"--tuning {options.tuning:g} leaves {int(inside.sum())} of {inside.size} units to "
            "choose thresholds on: take another share, or more patients"
        )
    chosen, judged = (select_units(units, np.flatnonzero(part)) for part in (inside, ~inside))
    return chosen, judged


def _operating_points(
    models: Sequence[Model], tuning: ScoredUnits | None, judged: ScoredUnits, overlap: bool
) -> dict[str, OperatingPoint]:
    """Chosen on the tuning part; else the models' own; else on the scored patients themselves."""
    if tuning is not None:
        return choose_operating_points(tuning)
    known = {f: operating_point(models, f) for f in judged.findings} if models else {}
    named = all(model.card.validation_patients for model in models)
    chosen_on = SAME_PATIENTS if overlap else OTHER_PATIENTS if named else UNNAMED_PATIENTS
    points = {
        finding: OperatingPoint(threshold, "model card", chosen_on)
        for finding, threshold in known.items()
        if threshold is not None
    }
    return points or choose_operating_points(judged, chosen_on=SAME_PATIENTS)


def _describe(
    options: ClassifyOptions,
    points: Mapping[str, OperatingPoint],
    tuning: ScoredUnits | None,
    report: ClassificationReport,
) -> dict[str, Any]:
    return {
        "protocol": {name: value for name, value in asdict(options).items() if name in _PROTOCOL},
        "operating_points": {finding: asdict(point) for finding, point in points.items()},
        "scored": {"units": report.units, "patients": report.patients},
        "tuning": {"units": len(tuning.unit_ids) if tuning else 0},
    }


def _describe_readers(points: Sequence[ReaderPoint]) -> dict[str, float] | None:
    if not points:
        return None
    below, readers = readers_below(points)
    return {"mean_under_curve": below, "mean_readers": readers}


def _describe_images(image_set: ImageSet, seen: Seen, out: Path) -> dict[str, Any]:
    """What was predicted and what not; a long list of missing images goes to a file of its own."""
    failed = {failure.image_id: failure.reason for failure in seen.failures}
    done = {*seen.predictions.image_ids, *failed}
    absent = [r.image_id for r in image_set.records if r.image_id not in done]
    if len(absent) > NAMED:
        (out / MISSING).write_text("\n".join(absent) + "\n")
    return {
        "predicted_images": len(seen.predictions.image_ids),
        "missing": len(absent),
        "missing_images": absent[:NAMED],
        "missing_images_in": MISSING if len(absent) > NAMED else None,
        "failed_images": failed,
    }
