"""What a recipe learns from: records in three parts, and where their pixels come from."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cxrloc.datasets import OFFICIAL_SPLITS, READERS, phantom
from cxrloc.datasets.batches import ImageSet, label_matrix
from cxrloc.datasets.image_cache import CachedImages, Source, Watch, cached_images, file_key
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.datasets.pairs import pairs_by_study
from cxrloc.datasets.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.datasets.report_labels import with_labels
from cxrloc.datasets.splits import Parts, prevalences, split_records, split_sha256
from cxrloc.evaluation.classification.units import ATTRIBUTES
from cxrloc.images.preprocessing import Preprocessing, learn_template
from cxrloc.images.read import read_radiograph
from cxrloc.recipe import PHANTOM, DataConfig, PhantomData, Recipe
from cxrloc.reports.label_file import read_labels
from cxrloc.types import CxrlocError, Radiograph, Record, UsageError

BOXED = ("chestxray14",)
"""Data sets whose boxes are kept for scoring: nobody with one is ever trained on."""

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
        failures: images that could not be read, and why.
        preprocessing: the recipe's, with what it learns from training images.
        description: counts, prevalences and hashes for run.json.
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


def training_data(
    recipe: Recipe, folder: Path | None, labels: Path | None, cache: Path, watch: Watch = iter
) -> TrainingData:
    """Records, split, and pixels of a recipe's data.

    Args:
        recipe: what to learn from.
        folder: of the data set; None for phantoms.
        labels: labels out of reports, in place of the data set's own (`cxrloc label`).
        cache: folder that keeps decoded images.
        watch: sees every image that has to be decoded.

    Raises:
        UsageError: a folder is needed and not given, or the other way round.
        CxrlocError: the data cannot be read or split, or somebody with an expert's box would be
            trained on.
    """
    config, unlisted = recipe.data, 0
    if (config.reader == PHANTOM) != (folder is None):
        needed = "needs no --data" if folder else f"needs --data, a folder of {config.reader}"
        raise UsageError(f"the recipe {recipe.title!r} {needed}")
    if config.phantom is not None:
        whole, sources = _phantoms(config.phantom, recipe.preprocessing.size)
    else:
        assert folder is not None
        records = _read(config, folder)
        boxed = _boxed_patients(config, folder, records)
        if labels is not None:
            records = with_labels(records, read_labels(labels))
        records = [with_attributes(record, recipe.network.findings) for record in records]
        kept = [r for r in records if not config.views or r.view in config.views]
        whole = _split(config, folder, kept, boxed)
        unlisted = len(kept) - sum(map(len, whole[:3]))
        sources = {
            record.image_id: Source(file_key(record.path), partial(read_radiograph, record.path))
            for record in records
            if record.path is not None
        }
    parts, missing = _present(whole, sources)
    if recipe.network.architecture == DUALNET:
        parts = _paired(parts, recipe)
    preprocessing = _learned(recipe.preprocessing, parts.train, sources)
    wanted = [*parts.train, *parts.validation]
    images = cached_images(
        [sources[record.image_id] for record in wanted], preprocessing, cache, watch
    )
    failures = [(wanted[place].image_id, why) for place, why in images.failures.items()]
    unread = {image_id for image_id, _ in failures}
    parts, _ = _present(parts, sources.keys() - unread)
    if recipe.network.architecture == DUALNET:
        parts = _paired(parts, recipe)  # without those whose other view could not be read
    slots = dict(zip((record.image_id for record in wanted), images.slots, strict=True))
    train, validation = (
        _image_set(part, images, slots, recipe) for part in (parts.train, parts.validation)
    )
    if config.shuffle_labels:
        order = np.random.default_rng(recipe.fit.seed).permutation(len(train.labels))
        train = replace(train, labels=train.labels[order])
    name = f"radiographs of {config.reader}"
    if config.phantom is not None:
        name = f"synthetic radiographs (phantoms, seed {config.phantom.seed})"
    return TrainingData(
        name=name,
        parts=parts,
        train=train,
        validation=validation,
        missing=missing,
        unlisted=unlisted,
        failures=failures,
        preprocessing=preprocessing,
        description=_describe(recipe, name, parts, missing, train),
    )


def _read(config: DataConfig, folder: Path) -> list[Record]:
    records = READERS[config.reader](folder)
    if config.images:
        folders = [folder / name for name in config.images]
        if absent := [str(place) for place in folders if not place.is_dir()]:
            raise CxrlocError(f"{', '.join(absent)}: no such folder of images")
        files = find_image_files_below(folders)
        records = [replace(record, path=files.get(record.image_id)) for record in records]
    return records


def with_attributes(record: Record, outputs: Iterable[str]) -> Record:
    """The record with labels for outputs that are no finding (`units.ATTRIBUTES`): No Finding, ...

    They are learned as they are scored, whether or not the data set has a column for them.

    >>> from cxrloc.types import Label, View
    >>> record = Record("a", "1", "a", None, View.AP, labels={"Mass": Label.NEGATIVE})
    >>> with_attributes(record, ["Mass", "No Finding", "View AP"]).labels
    {'Mass': <Label.NEGATIVE: 0>, 'No Finding': <Label.POSITIVE: 1>,
     'View AP': <Label.POSITIVE: 1>}
    """
    said = {name: ATTRIBUTES[name](record) for name in outputs if name in ATTRIBUTES}
    known = {name: label for name, label in said.items() if label is not None}
    return replace(record, labels={**record.labels, **known})


def _boxed_patients(config: DataConfig, folder: Path, records: Iterable[Record]) -> set[str]:
    """Whom not to train on: the patients that an expert drew a box for."""
    if config.reader not in BOXED:
        return set()
    if not [*folder.glob("BBox_List*.csv")]:
        raise CxrlocError(
            f"{folder} holds no BBox_List*.csv: it says whom not to train on; put it there"
        )
    return {record.patient_id for record in records if record.annotations}


def _split(config: DataConfig, folder: Path, records: Sequence[Record], boxed: set[str]) -> Parts:
    """The parts; boxed patients are in that for tests, whatever is drawn."""
    official = None
    if config.split.kind == "official" and config.reader in OFFICIAL_SPLITS:
        official = OFFICIAL_SPLITS[config.reader](folder, list(records))
    parts = split_records(records, config.split, official, always_test=boxed)
    refuse_boxed([*parts.train, *parts.validation], boxed)
    return parts


def refuse_boxed(records: Iterable[Record], boxed: Iterable[str]) -> None:
    """Raise where somebody with an expert's box would be trained on.

    Raises:
        CxrlocError: names a patient.
    """
    if seen := sorted({record.patient_id for record in records} & set(boxed)):
        raise CxrlocError(f"patient {seen[0]} has an expert's box and must not be trained on")


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


def _phantoms(config: PhantomData, size: int) -> tuple[Parts, dict[str, Source]]:
    """Phantoms in order; a patient of the first part is left out of the second."""
    code = hashlib.sha256()
    for path in sorted(Path(phantom.__file__).parent.glob("*.py")):
        code.update(path.read_bytes())
    records, sources = [], {}
    for index in range(config.training_images + config.validation_images):
        record = phantom_record(plan_phantom(config.seed, index), size)
        key = f"phantom {config.seed} {index} {size} {code.hexdigest()}"
        sources[record.image_id] = Source(key, partial(_drawn, config.seed, index, size))
        records.append(record)
    train = records[: config.training_images]
    seen = {record.patient_id for record in train}
    others = [r for r in records[config.training_images :] if r.patient_id not in seen]
    return Parts(train, others, []), sources


def _drawn(seed: int, index: int, size: int) -> Radiograph:
    made = make_phantom(seed, index, size)
    return Radiograph(made.pixels, bits_stored=16, view=made.record.view)


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
    """Frontal and lateral images in turn; those without a partner are left out."""
    train, validation, test = (
        [each for pair in pairs_by_study(part, recipe.data.pairing) for each in pair]
        for part in parts[:3]
    )
    return Parts(train, validation, test, parts.leaking)


def _image_set(
    records: Sequence[Record], images: CachedImages, slots: dict[str, Any], recipe: Recipe
) -> ImageSet:
    views = 2 if recipe.network.architecture == DUALNET else 1
    blank = 0.0 if recipe.data.not_mentioned == "negative" else float("nan")
    return ImageSet(
        pixels=images.pixels,
        slots=np.array([slots[r.image_id] for r in records], dtype=np.int64).reshape(-1, views),
        labels=label_matrix(records[::views], recipe.network.findings, blank),
    )


def _describe(
    recipe: Recipe, name: str, parts: Parts, missing: dict[str, int], train: ImageSet
) -> dict[str, Any]:
    findings = recipe.network.findings
    return {
        "name": name,
        "split": recipe.data.split.kind,
        "leaks_patients": parts.leaking,
        "labels_shuffled": recipe.data.shuffle_labels,
        "split_sha256": split_sha256(parts),
        "training_sha256": _images_sha256(train),
        "parts": {
            part: {
                "images": len(records),
                "images_missing": missing[part],
                "patients": len({record.patient_id for record in records}),
                "positive_of_labelled": prevalences(records, findings),
            }
            for part, records in zip(parts._fields, parts[:3], strict=False)
        },
    }


def _images_sha256(images: ImageSet) -> str:
    """Over the training labels and pixels, as the network gets them."""
    digest = hashlib.sha256(images.labels.tobytes())
    for slot in images.slots.flat:
        digest.update(images.pixels[slot].tobytes())
    return digest.hexdigest()
