"""The inputs of `cxrloc classify`: images with labels, and probabilities for these images."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets import label_origin, official_parts_of
from cxrloc.datasets.report_labels import match_note, with_labels
from cxrloc.evaluation.classification.populations import of_projection
from cxrloc.evaluation.classification.prediction_files import match_predictions
from cxrloc.evaluation.classification.units import Aggregation, Uncertain, Unit
from cxrloc.evaluation.resampling import Resampling
from cxrloc.evaluation.result_folders import REPORTS
from cxrloc.files.journal import Journal
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.batches import Failure, InferenceSettings, chosen_findings
from cxrloc.inference.hierarchy import unconditional
from cxrloc.inference.image_sets import DataOptions, ImageSet, read_images
from cxrloc.inference.paired_images import Pairing
from cxrloc.inference.predict import Predicted, gather
from cxrloc.inference.resumed import predict_on
from cxrloc.inference.threads import Counted
from cxrloc.models.model import Model
from cxrloc.models.provenance import contamination_warnings, view_warnings
from cxrloc.pipeline.own_split import own_test_part
from cxrloc.reports.label_file import other_columns, read_labels
from cxrloc.types import CxrlocError, Predictions, Record, UsageError

SPLITS = ("all", "own", "train_val", "train", "validation", "test")
"""Values of `--split`: all images, the test part of the models' own split, or an official part.

`train_val` is everything but the test part; ChestX-ray14 publishes no other training list.
"""

GROUPS = ("view", "sex", "age")

PredictionWatch = Callable[[Iterable[Predicted | Failure]], Iterable[Predicted | Failure]]
"""A function that passes results on, and may show the progress."""


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """What `classify` does beside the data.

    Attributes:
        models: embedded names or checkpoint files; several make an ensemble.
        predictions: a CSV of probabilities to score instead of a model's.
        labels: labels out of reports (`cxrloc label`) in place of the data set's own.
        readings: a file of radiologists' decisions, shown as operating points beside the curves.
        products: take probabilities as conditional on the parent in CheXpert's tree, and score
            their products (`unconditional`); a model's own operating points then mean nothing.
        split: which part of the data set, a name of `classify_inputs.SPLITS`.
        projection: score images of this projection only, a name of `PROJECTIONS`; empty for all.
        findings: score these findings only, and take their mean; empty for all.
        population: score units with one or with several labels only, a name of `POPULATIONS`.
        unit: what is scored, such as images or patients.
        aggregation: how the scores of a unit's images are combined to the unit's score.
        uncertain: whether an uncertain label leaves the pair out or counts as negative.
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
    products: bool = False
    split: str = "all"
    projection: str = ""
    findings: tuple[str, ...] = ()
    population: str = "all"
    unit: Unit = "image"
    aggregation: Aggregation = "max"
    uncertain: Uncertain = "unknown"
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


class PredictedImages(NamedTuple):
    """Predictions of the images that could be read, with failures, warnings and notes.

    Attributes:
        predictions: of the images that could be read.
        failures: the images that could not be read.
        warnings: each warning, with the number of its images.
        notes: sentences about the file that the predictions come from.
    """

    predictions: Predictions
    failures: Sequence[Failure]
    warnings: Mapping[str, int]
    notes: Sequence[str] = ()


def labelled_images(
    data: Path | None, options: ClassifyOptions, models: Sequence[Model]
) -> tuple[ImageSet, list[str]]:
    """The images to score, with their true labels, and notes on the labels.

    Args:
        data: a data set; None for the embedded phantoms.
        options: the part of the data set, the projection, and labels of reports in place of the
            data set's own; images without a report are left out.
        models: the models that are scored.

    Raises:
        UsageError: there is no such split or projection, or the data have no official lists.
        CxrlocError: the data or the labels cannot be read, or the part is empty.
    """
    declared = [finding for model in models for finding in model.card.findings]
    declared += options.findings
    image_set = _part(read_images(data, options.data, declared), data, options.split, models)
    if not image_set.records:
        raise CxrlocError(
            f"--split {options.split}: that part is empty ({image_set.name}): score another part, "
            "or another data set"
        )
    if options.projection:
        name = f"{image_set.name}, {options.projection} images"
        kept = of_projection(image_set.records, options.projection)
        image_set = _with_records(image_set._replace(name=name), kept)
    if options.labels is None or image_set.own:
        return image_set, [*image_set.notes]
    records, notes = with_labels_of(options.labels, image_set.records, declared)
    return _with_records(image_set, records), notes


def with_labels_of(
    path: Path, records: list[Record], declared: Sequence[str]
) -> tuple[list[Record], list[str]]:
    """The records with labels of a file in place of their own, and notes on unmatched rows.

    Args:
        path: the file, from `cxrloc label` or another program.
        records: the data set.
        declared: findings that count beside the known ones and those of the data set.

    Raises:
        CxrlocError: the file cannot be read, or none of its rows belongs to an image.
    """
    known = {*declared, *(finding for record in records for finding in record.labels)}
    labels = read_labels(path, known)
    notes = []
    if others := other_columns(path, known):
        notes.append(f"{path.name}: no findings, and left out, are the columns {', '.join(others)}")
    notes += filter(None, [match_note(path.name, records, labels)])
    return with_labels(records, labels), notes


def source_of_labels(data: Path | None, labels: Path | None) -> str:
    """The source of the true labels, in words."""
    if labels is not None:
        return f"{REPORTS}{labels}"
    return label_origin(data) if data is not None else "what was drawn"


def predictions_of_file(
    path: Path, image_set: ImageSet, declared: Sequence[str]
) -> PredictedImages:
    """Probabilities from a file of any program, for the images and findings of the data set.

    Raises:
        CxrlocError: as `match_predictions`.
    """
    matched = match_predictions(path, image_set.records, image_set.name, declared)
    return PredictedImages(matched.predictions, (), {}, matched.notes)


def predictions_of_models(
    models: Sequence[Model],
    image_set: ImageSet,
    inference: InferenceSettings,
    watch: PredictionWatch,
    journal: Journal | None = None,
) -> PredictedImages:
    """The models' predictions; an image that cannot be read is a failure, and the run continues.

    Raises:
        CxrlocError: no image is on this disk, or none can be read.
    """
    if not image_set.images:
        raise CxrlocError(f"{image_set.name}: none of the images is on this disk{_hint(image_set)}")
    predicted, failures = [], []
    warnings: Counter[str] = Counter()
    images = image_set.images
    results = Counted(predict_on(models, images, inference, journal), len(images))
    for result in watch(results):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        predicted.append(result)
        warnings.update([*result.warnings, *view_warnings(models, result.view)])
        warnings.update(contamination_warnings(models, result.image_id))
    if not predicted:
        raise CxrlocError(f"no image could be read; the first: {failures[0].reason}")
    return PredictedImages(
        gather(predicted, chosen_findings(models, inference)), failures, warnings
    )


def _hint(image_set: ImageSet) -> str:
    """A hint at where the images were looked for, if the records say it."""
    said = next((w for record in image_set.records for w in record.warnings if "looked" in w), "")
    return f": {said}" if said else ""


def products_along_tree(outcome: PredictedImages) -> PredictedImages:
    """Probabilities taken as conditional on the parent, multiplied along CheXpert's tree."""
    image_ids, findings = outcome.predictions.image_ids, outcome.predictions.findings
    products = unconditional(outcome.predictions.probabilities, findings, CHEXPERT_PARENTS)
    return outcome._replace(predictions=Predictions(image_ids, findings, products))


def _part(image_set: ImageSet, data: Path | None, split: str, models: Sequence[Model]) -> ImageSet:
    """A part of a data set: all images, an official list's images, or the models' own test part."""
    if split not in SPLITS:
        raise UsageError(f"--split {split}: choose from {', '.join(SPLITS)}")
    if split == "all":
        return image_set
    if split == "own":
        return _with_records(image_set, own_test_part(models, data, image_set.records))
    if data is None:
        raise UsageError(f"--split {split}: the embedded phantoms have no official split")
    parts = official_parts_of(data, image_set.records)
    wanted = ("train", "validation") if split == "train_val" else (split,)
    kept = [r for r in image_set.records if parts.get(r.image_id) in wanted]
    unlisted = sum(record.image_id not in parts for record in image_set.records)
    said = f", {unlisted} images in no official list" if unlisted else ""
    return _with_records(image_set._replace(name=image_set.name + said), kept)


def _with_records(image_set: ImageSet, records: list[Record]) -> ImageSet:
    """The image set with these records only, and their images."""
    names = {record.image_id for record in records}
    images = [image for image in image_set.images if image.image_id in names]
    return image_set._replace(records=records, images=images)
