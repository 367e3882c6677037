"""What a recipe learns from: records in three parts, and where their pixels come from."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cxrloc.datasets import OFFICIAL_SPLITS, READERS
from cxrloc.datasets.batches import ImageSet, label_matrix
from cxrloc.datasets.image_cache import Source, Watch, cached_images, file_key
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.datasets.pairs import pairs_by_study
from cxrloc.datasets.report_labels import with_labels
from cxrloc.datasets.splits import Parts, prevalences, split_records, split_sha256
from cxrloc.images.preprocessing import Preprocessing, learn_template
from cxrloc.images.read import read_radiograph
from cxrloc.pipeline.boxed_patients import (
    Boxed,
    boxed_patients,
    named_patients,
    refuse_boxed,
)
from cxrloc.pipeline.training_labels import label_warnings, with_attributes
from cxrloc.pipeline.training_phantoms import phantom_parts
from cxrloc.recipe import PHANTOM, DataConfig, Recipe
from cxrloc.reports.label_file import read_labels
from cxrloc.types import CxrlocError, Radiograph, Record, UsageError

TEMPLATE_IMAGES = 1000
"""Training images whose mean is a good template."""

DUALNET = "dualnet"
"""The architecture that takes a frontal and a lateral image."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """A data set ready to be learned from.

    Attributes:
        name: what the images are, in words.
        parts: records whose image is on this disk and could be read.
        train: images and labels of the first part; shuffled if the recipe says so.
        validation: images and labels of the second part.
        missing: images that are not on this disk, by part.
        unlisted: images in no part, as no list of the official split names them.
        left_out: images in no part, as their patients have an expert's box and the recipe says
            `boxed_patients = "left_out"`.
        failures: images that could not be read, and why.
        preprocessing: the recipe's, with what it learns from training images.
        description: counts, prevalences and hashes for run.json.
        warnings: what cannot be learned from these labels, or cannot be known of these images.
        may_have_seen: data sets that the images may be of, as in `ModelCard`.
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


class _Decoded(NamedTuple):
    """Pixels, the slot of each image in them, and why others have none; by image_id."""

    pixels: np.ndarray
    slots: dict[str, int]
    failures: dict[str, str]


class _Found(NamedTuple):
    """Records in their parts, where their pixels come from, and whom not to train on."""

    parts: Parts
    sources: dict[str, Source]
    unlisted: int = 0
    boxed: Boxed = Boxed()
    left_out: int = 0


def training_data(
    recipe: Recipe, path: Path | None, labels: Path | None, cache: Path, watch: Watch = iter
) -> TrainingData:
    """Records, split, and pixels of a recipe's data.

    Args:
        recipe: what to learn from.
        path: of the data set; None for phantoms.
        labels: labels out of reports, in place of the data set's own (`cxrloc label`).
        cache: folder that keeps decoded images.
        watch: sees every image that has to be decoded.

    Raises:
        UsageError: a folder is needed and not given, or the other way round.
        CxrlocError: the data cannot be read or split, no label says anything of a finding, or
            somebody with an expert's box would be trained on.
    """
    check_folder(recipe, path)
    found = _found(recipe, path, labels)
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
    description = _describe(recipe, parts, missing, train)
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
        warnings=(*found.boxed.warnings, *warnings),
        may_have_seen=found.boxed.may_have_seen,
        left_out=found.left_out,
    )


def check_folder(recipe: Recipe, path: Path | None) -> None:
    """A data set lies in a folder, phantoms in none.

    Raises:
        UsageError: a folder is needed and not given or not there, or the other way round.
    """
    reader = recipe.data.reader
    if (reader == PHANTOM) != (path is None):
        needed = "needs no --data" if path else f"needs --data, a folder of {reader}"
        raise UsageError(f"the recipe {recipe.title!r} {needed}")
    if path is not None and not path.exists():
        raise UsageError(f"--data {path}: no such folder; {recipe.title!r} needs one of {reader}")


def _found(recipe: Recipe, path: Path | None, labels: Path | None) -> _Found:
    """A data set that is read and split; labels of reports are not those that boxes go by."""
    config = recipe.data
    if config.phantom is not None:
        return _Found(*phantom_parts(config.phantom, recipe.preprocessing.size))
    assert path is not None
    records = _read(config, path)
    boxed = boxed_patients(config.reader, path, records)
    if labels is not None:
        records = with_labels(records, read_labels(labels))
    records = [
        with_attributes(record, recipe.network.findings, config.no_finding) for record in records
    ]
    records = [record for record in records if not config.views or record.view in config.views]
    parts = split_parts(config, path, records, boxed)
    sources = {
        record.image_id: Source(file_key(record.path), partial(read_radiograph, record.path))
        for record in records
        if record.path is not None
    }
    left_out = 0
    if config.boxed_patients == "left_out":
        left_out = sum(record.patient_id in boxed.patients for record in records)
    unlisted = len(records) - left_out - sum(map(len, parts[:3]))
    return _Found(parts, sources, unlisted, boxed, left_out)


def _read(config: DataConfig, path: Path) -> list[Record]:
    records = named_patients(READERS[config.reader](path))
    if config.images:
        folders = [path / name for name in config.images]
        if absent := [str(place) for place in folders if not place.is_dir()]:
            raise CxrlocError(f"{', '.join(absent)}: no such folder of images")
        files = find_image_files_below(folders)
        records = [replace(record, path=files.get(record.image_id)) for record in records]
    return records


def split_parts(config: DataConfig, path: Path, records: Sequence[Record], boxed: Boxed) -> Parts:
    """Training, validation and test records; `DataConfig.boxed_patients` says where these go."""
    if config.boxed_patients == "left_out":
        records = [record for record in records if record.patient_id not in boxed.patients]
    reserved = boxed.patients if config.boxed_patients == "test" else frozenset()
    official = None
    if config.split.kind == "official" and config.reader in OFFICIAL_SPLITS:
        official = OFFICIAL_SPLITS[config.reader](path, list(records))
    parts = split_records(records, config.split, official, always_test=reserved)
    if config.boxed_patients != "drawn":
        refuse_boxed([*parts.train, *parts.validation], boxed.patients)
    return parts


def _learned(
    preprocessing: Preprocessing, train: Sequence[Record], sources: Mapping[str, Source]
) -> Preprocessing:
    """With a template, if it is to look for one: the mean of training images, evenly chosen."""
    if preprocessing.fit != "template" or preprocessing.template:
        return preprocessing
    chosen = train[:: max(1, len(train) // TEMPLATE_IMAGES)]

    def readable() -> Iterator[Radiograph]:
        for record in chosen:
            # What cannot be read is named when its turn comes among all images.
            with suppress(CxrlocError):
                yield sources[record.image_id].read()

    return learn_template(readable(), preprocessing)


def _present(parts: Parts, known: Iterable[str]) -> tuple[Parts, dict[str, int]]:
    """The records whose image is known, and how many of each part are not."""
    here = frozenset(known)
    kept = [[record for record in part if record.image_id in here] for part in parts[:3]]
    missing = {
        name: len(before) - len(after)
        for name, before, after in zip(parts._fields, parts[:3], kept, strict=False)
    }
    return Parts(kept[0], kept[1], kept[2], parts.leaking), missing


def _paired(parts: Parts, recipe: Recipe) -> Parts:
    """For a network of two views frontal and lateral images in turn, none without a partner."""
    if recipe.network.architecture != DUALNET:
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
        pixels=images.pixels,
        slots=dict(zip(names, images.slots.tolist(), strict=True)),
        failures={names[place]: why for place, why in images.failures.items()},
    )


def _image_set(records: Sequence[Record], decoded: _Decoded, recipe: Recipe) -> ImageSet:
    views = 2 if recipe.network.architecture == DUALNET else 1
    blank = 0.0 if recipe.data.not_mentioned == "negative" else float("nan")
    slots = np.array([decoded.slots[record.image_id] for record in records], dtype=np.int64)
    return ImageSet(
        pixels=decoded.pixels,
        slots=slots.reshape(-1, views),
        labels=label_matrix(records[::views], recipe.network.findings, blank),
    )


def _describe(
    recipe: Recipe, parts: Parts, missing: dict[str, int], train: ImageSet
) -> dict[str, Any]:
    findings = recipe.network.findings
    records_of_parts = sum(map(len, parts[:3])) + sum(missing.values())
    name = f"radiographs of {recipe.data.reader}"
    if recipe.data.phantom is not None:
        name = f"synthetic radiographs (phantoms, seed {recipe.data.phantom.seed})"
    return {
        "name": name,
        "split": recipe.data.split.kind,
        "fold": recipe.data.split.fold,
        "folds": recipe.data.split.folds,
        "labels_shuffled": recipe.data.shuffle_labels,
        "split_sha256": split_sha256(parts),
        "training_sha256": _images_sha256(train),
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


def _images_sha256(images: ImageSet) -> str:
    """Over the training labels and pixels, as the network gets them (1.5 GB in a second)."""
    digest = hashlib.sha256(images.labels.tobytes())
    for slot in images.slots.flat:
        digest.update(images.pixels[slot].tobytes())
    return digest.hexdigest()
