"""The data of a recipe: records in three parts, their labels, and their decoded pixels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cxrloc.datasets.batches import ImageSet, label_matrix
from cxrloc.datasets.image_cache import CachedImages, Source, Watch, cached_images, images_sha256
from cxrloc.datasets.pairs import pairs_by_study
from cxrloc.datasets.splits import Parts, prevalences, split_sha256
from cxrloc.errors import CxrlocError
from cxrloc.images.preprocessing import Preprocessing, learn_template
from cxrloc.inference.image_sets import NO_OPTIONS, DataOptions
from cxrloc.models.described import Input
from cxrloc.models.networks import inputs_of_architecture
from cxrloc.phantom import is_synthetic
from cxrloc.training.labels import label_warnings
from cxrloc.training.recipe_config import Recipe
from cxrloc.training.records import check_folder, find_records
from cxrloc.types import Radiograph, Record

TEMPLATE_IMAGES = 1000
"""About how many training images are averaged to compute the template."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """A data set that is ready for training.

    Attributes:
        name: name of the data, as the model card shows it.
        parts: records whose image is on this disk and could be read.
        train: images and labels of the first part; shuffled if the recipe says so.
        validation: images and labels of the second part.
        missing: images that are not on this disk, by part.
        unlisted: number of images in no part, because no list of the official split names them.
        left_out: number of images in no part, because their patients have an expert's box and the
            recipe says `boxed_patients = "left_out"`.
        failures: images that could not be read, each with the reason.
        preprocessing: the recipe's preprocessing, with the template learned from training images.
        description: counts, prevalences and hashes for run.json.
        warnings: how tables of labels were understood, findings without positive labels, and
            images of unknown origin.
        may_have_seen: data sets that the images may come from, as in `ModelCard`.
        prevalence: share of labelled images with each finding of the network, among all training
            records, including those whose image is not on this disk.
    """

    name: str
    parts: Parts
    train: ImageSet
    validation: ImageSet
    missing: dict[str, int]
    unlisted: int
    failures: list[tuple[str, str]]
    preprocessing: Preprocessing
    description: dict[str, Any]
    warnings: tuple[str, ...] = ()
    may_have_seen: tuple[str, ...] = ()
    left_out: int = 0
    prevalence: dict[str, float] = field(default_factory=dict)


class _Decoded(NamedTuple):
    """Decoded images.

    Attributes:
        images: the images of the image cache.
        slots: index in `images.pixels` for each image id.
        failures: reason for each image id that could not be read.
    """

    images: CachedImages
    slots: dict[str, int]
    failures: dict[str, str]


def training_data(
    recipe: Recipe,
    path: Path | None,
    cache: Path,
    options: DataOptions = NO_OPTIONS,
    watch: Watch = iter,
) -> TrainingData:
    """The labels and decoded pixels of a recipe's data, split into training and validation.

    Args:
        recipe: the recipe, which selects the data.
        path: path of the data set; None for phantoms.
        cache: folder that keeps decoded images.
        options: what the user says about the data, as in `find_records`.
        watch: wrapper of the loop over images that have to be decoded, to show progress.

    Raises:
        UsageError: a folder is needed and not given, or the other way round.
        CxrlocError: the data cannot be read or split, no label says anything of a finding, or
            a patient with an expert's box would be trained on although the recipe forbids it.
    """
    check_folder(recipe, path)
    found = find_records(recipe, path, options)
    parts, missing = _present(found.parts, found.sources)
    warnings = label_warnings(found.parts, parts.train, recipe.network.findings)
    parts = _paired(parts, recipe)
    preprocessing = _learned(recipe.preprocessing, parts.train, found.sources)
    decoded = _decoded(
        [*parts.train, *parts.validation], found.sources, preprocessing, cache, watch
    )
    parts, _ = _present(parts, found.sources.keys() - decoded.failures.keys())
    parts = _paired(parts, recipe)  # without those whose other view could not be read
    train, validation = (_image_set(part, decoded, recipe) for part in parts[:2])
    if recipe.data.shuffle_labels:
        order = np.random.default_rng(recipe.fit.seed).permutation(len(train.labels))
        train = replace(train, labels=train.labels[order])
    hashed = images_sha256(decoded.images, train.slots, train.labels)
    description = _describe(recipe, parts, missing, hashed, synthetic=is_synthetic(path))
    return TrainingData(
        name=description["name"],
        parts=parts,
        train=train,
        validation=validation,
        missing=missing,
        unlisted=found.unlisted,
        failures=[*decoded.failures.items()],
        preprocessing=preprocessing,
        description=description,
        warnings=(*found.notes, *found.boxed.warnings, *warnings),
        may_have_seen=found.boxed.may_have_seen,
        left_out=found.left_out,
        prevalence=_prevalence(found.parts.train, recipe),
    )


def _learned(
    preprocessing: Preprocessing, train: Sequence[Record], sources: Mapping[str, Source]
) -> Preprocessing:
    """The preprocessing with its template, which is the mean of evenly chosen training images."""
    if preprocessing.fit != "template" or preprocessing.template:
        return preprocessing
    chosen = train[:: max(1, len(train) // TEMPLATE_IMAGES)]

    def readable() -> Iterator[Radiograph]:
        for record in chosen:
            # An image that cannot be read is named later, when all images are decoded.
            with suppress(CxrlocError):
                yield sources[record.image_id].read()

    return learn_template(readable(), preprocessing)


def _present(parts: Parts, known: Iterable[str]) -> tuple[Parts, dict[str, int]]:
    """The records whose image id is in `known`, and for each part the number of other records."""
    here = frozenset(known)
    kept = [[record for record in part if record.image_id in here] for part in parts[:3]]
    missing = {
        name: len(before) - len(after)
        for name, before, after in zip(parts._fields, parts[:3], kept, strict=False)
    }
    return Parts(kept[0], kept[1], kept[2], parts.leaking), missing


def _paired(parts: Parts, recipe: Recipe) -> Parts:
    """The parts; for a network of two views, each holds frontal and lateral records in turn."""
    if Input.SECOND_VIEW not in inputs_of_architecture(recipe.network.architecture):
        return parts
    train, validation, test = (
        [each for pair in pairs_by_study(part, recipe.data.pairing) for each in pair]
        for part in parts[:3]
    )
    return Parts(train, validation, test, parts.leaking)


def _decoded(
    records: Sequence[Record],
    sources: Mapping[str, Source],
    preprocessing: Preprocessing,
    cache: Path,
    watch: Watch,
) -> _Decoded:
    names = [record.image_id for record in records]
    images = cached_images([sources[name] for name in names], preprocessing, cache, watch)
    return _Decoded(
        images=images,
        slots=dict(zip(names, images.slots.tolist(), strict=True)),
        failures={names[place]: why for place, why in images.failures.items()},
    )


def _image_set(records: Sequence[Record], decoded: _Decoded, recipe: Recipe) -> ImageSet:
    reads = inputs_of_architecture(recipe.network.architecture)
    views = 2 if Input.SECOND_VIEW in reads else 1
    slots = np.array([decoded.slots[record.image_id] for record in records], dtype=np.int64)
    return ImageSet(
        pixels=decoded.images.pixels,
        slots=slots.reshape(-1, views),
        labels=label_matrix(
            records[::views], recipe.network.findings, _label_not_mentioned(recipe)
        ),
    )


def _prevalence(records: Sequence[Record], recipe: Recipe) -> dict[str, float]:
    """The share of labelled images with each finding, from the labels that the network learns."""
    findings = recipe.network.findings
    labels = label_matrix(records, findings, _label_not_mentioned(recipe))
    positive, known = (labels == 1).sum(axis=0), (labels >= 0).sum(axis=0)  # NaN is not known
    return dict(zip(findings, (positive / np.maximum(known, 1)).tolist(), strict=True))


def _label_not_mentioned(recipe: Recipe) -> float:
    return 0.0 if recipe.data.not_mentioned == "negative" else float("nan")


def _describe(
    recipe: Recipe, parts: Parts, missing: dict[str, int], training_sha256: str, synthetic: bool
) -> dict[str, Any]:
    findings = recipe.network.findings
    records_of_parts = sum(map(len, parts[:3])) + sum(missing.values())
    own_tables = recipe.data.reader == "boxes"
    name = "radiographs of the user's own" if own_tables else f"radiographs of {recipe.data.reader}"
    if recipe.data.phantom is not None:
        name = f"synthetic radiographs (phantoms, seed {recipe.data.phantom.seed})"
    elif synthetic:
        name = "synthetic radiographs (a folder of phantoms)"
    return {
        "name": name,
        "synthetic": synthetic,
        "split": recipe.data.split.kind,
        "fold": recipe.data.split.fold,
        "folds": recipe.data.split.folds,
        "labels_shuffled": recipe.data.shuffle_labels,
        "split_sha256": split_sha256(parts),
        "training_sha256": training_sha256,
        "parts": {
            part: {
                "images": len(records),
                "images_missing": missing[part],
                "share_of_images": (len(records) + missing[part]) / max(records_of_parts, 1),
                "patients": len({record.patient_id for record in records}),
                "positive_of_labelled": prevalences(records, findings),
            }
            for part, records in zip(parts._fields, parts[:3], strict=False)
        },
    }
