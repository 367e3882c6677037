"""What `cxrloc classify` scores: images with labels, and probabilities of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets import label_origin
from cxrloc.datasets.chestxray14 import official_split
from cxrloc.datasets.report_labels import with_labels
from cxrloc.evaluation.classification.prediction_files import match_predictions
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.batches import Failure, InferenceSettings, chosen_findings
from cxrloc.inference.hierarchy import unconditional
from cxrloc.inference.predict import Predicted, gather, predict
from cxrloc.models.model import Model
from cxrloc.models.provenance import contamination_warnings, view_warnings
from cxrloc.pipeline.image_sets import ImageSet, read_images
from cxrloc.pipeline.own_split import own_test_part
from cxrloc.reports.label_file import read_labels
from cxrloc.types import CxrlocError, Predictions, Record, UsageError

SPLITS = ("all", "train_val", "test", "own")
REPORTS = "reports: "
"""How a run card names a file of labels out of reports."""

PredictionWatch = Callable[[Iterable[Predicted | Failure]], Iterable[Predicted | Failure]]
"""Passes results on, and may show how far they have come."""


class Seen(NamedTuple):
    """Predictions of the images that could be read, and what a reader must know of them.

    Attributes:
        predictions: of the images that could be read.
        failures: the other images.
        warnings: with the number of images that each is about.
        notes: sentences about the file that the predictions come from.
    """

    predictions: Predictions
    failures: Sequence[Failure]
    warnings: Mapping[str, int]
    notes: Sequence[str] = ()


def labelled_images(
    data: Path | None, split: str, labels: Path | None, models: Sequence[Model]
) -> ImageSet:
    """The images to judge on, with their truth.

    Args:
        data: a data set; None for the embedded phantoms.
        split: a name of `SPLITS`: all images, those of an official list of ChestX-ray14, or the
            test part of the models' own split (`own_split`).
        labels: of reports, in place of the data set's own; images without a report are left out.
        models: that are judged.

    Raises:
        UsageError: there is no such split, or the data have no official lists.
        CxrlocError: the data or the labels cannot be read, or the part is empty.
    """
    image_set = _part(read_images(data), data, split, models)
    if not image_set.records:
        raise CxrlocError(
            f"--split {split}: that part is empty ({image_set.name}): score another part, or "
            "another data set"
        )
    if labels is None:
        return image_set
    return _with_records(image_set, with_labels(image_set.records, read_labels(labels)))


def source_of_labels(data: Path | None, labels: Path | None) -> str:
    """Where the truth comes from, in words."""
    if labels is not None:
        return f"{REPORTS}{labels}"
    return label_origin(data) if data is not None else "what was drawn"


def of_file(path: Path, image_set: ImageSet) -> Seen:
    """Probabilities of any tool, for the images and findings of the data set.

    Raises:
        CxrlocError: as `match_predictions`.
    """
    matched = match_predictions(path, image_set.records, image_set.name)
    return Seen(matched.predictions, (), {}, matched.notes)


def of_models(
    models: Sequence[Model],
    image_set: ImageSet,
    inference: InferenceSettings,
    watch: PredictionWatch,
) -> Seen:
    """Run models on the images; one that cannot be read is a failure, not an end.

    Raises:
        CxrlocError: no image is on this disk, or none can be read.
    """
    if not image_set.images:
        raise CxrlocError(f"{image_set.name}: none of the images is on this disk")
    predicted, failures = [], []
    warnings: Counter[str] = Counter()
    for result in watch(predict(models, image_set.images, inference)):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        predicted.append(result)
        warnings.update([*result.warnings, *view_warnings(models, result.view)])
        warnings.update(contamination_warnings(models, result.image_id))
    if not predicted:
        raise CxrlocError(f"no image could be read; the first: {failures[0].reason}")
    return Seen(gather(predicted, chosen_findings(models, inference)), failures, warnings)


def along_tree(seen: Seen) -> Seen:
    """Probabilities taken as conditional on the parent, multiplied along CheXpert's tree."""
    image_ids, findings = seen.predictions.image_ids, seen.predictions.findings
    products = unconditional(seen.predictions.probabilities, findings, CHEXPERT_PARENTS)
    return seen._replace(predictions=Predictions(image_ids, findings, products))


def _part(image_set: ImageSet, data: Path | None, split: str, models: Sequence[Model]) -> ImageSet:
    """All of a data set, what an official list names of it, or the models' own test part."""
    if split not in SPLITS:
        raise UsageError(f"--split {split}: choose from {', '.join(SPLITS)}")
    if split == "all":
        return image_set
    if split == "own":
        return _with_records(image_set, own_test_part(models, data, image_set.records))
    if data is None or not data.is_dir():
        raise UsageError(f"--split {split} needs the folder of ChestX-ray14 with its lists")
    parts = official_split(data, image_set.records)
    unlisted = len(image_set.records) - sum(map(len, parts.values()))
    said = f", {unlisted} images in neither official list" if unlisted else ""
    return _with_records(image_set._replace(name=image_set.name + said), parts[split])


def _with_records(image_set: ImageSet, records: list[Record]) -> ImageSet:
    """These records and their images."""
    names = {record.image_id for record in records}
    images = [image for image in image_set.images if image.image_id in names]
    return image_set._replace(records=records, images=images)
