"""The records of a recipe's data set, labelled and split, and the sources of their pixels."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cxrloc import phantom
from cxrloc.datasets import READERS
from cxrloc.datasets.box_findings import refuse_unknown_findings
from cxrloc.datasets.boxed_patients import Boxed, boxed_patients, named_patients, refuse_boxed
from cxrloc.datasets.image_cache import Source, file_key
from cxrloc.datasets.image_files import find_image_files_below
from cxrloc.datasets.records import has_view
from cxrloc.datasets.report_labels import with_labels_of_file
from cxrloc.datasets.splits import Parts, split_records
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.read import read_radiograph
from cxrloc.inference.image_sets import NO_OPTIONS, DataOptions, read_records
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.training.labels import with_attributes
from cxrloc.training.recipe_config import PHANTOM, DataConfig, PhantomData, Recipe
from cxrloc.types import Radiograph, Record


class FoundRecords(NamedTuple):
    """The records of a data set, split into parts.

    Attributes:
        parts: training, validation and test records.
        sources: the source of the pixels for each image id.
        unlisted: number of images that no list of the official split names.
        boxed: patients with an expert's box, and what is not known about them.
        left_out: number of images of these patients, if the recipe leaves them out of all parts.
        notes: how tables of labels were understood, and which of their rows matched.
    """

    parts: Parts
    sources: dict[str, Source]
    unlisted: int = 0
    boxed: Boxed = Boxed()
    left_out: int = 0
    notes: tuple[str, ...] = ()


def check_folder(recipe: Recipe, path: Path | None) -> None:
    """Refuse a folder where the recipe draws phantoms, and no folder where it reads a data set.

    Raises:
        UsageError: a folder is needed and not given or not there, or the other way round.
    """
    reader = recipe.data.reader
    if (reader == PHANTOM) != (path is None):
        needed = "needs no --data" if path else f"needs --data, a folder of {reader}"
        raise UsageError(f"the recipe {recipe.title!r} {needed}")
    if path is not None and not path.exists():
        raise UsageError(f"--data {path}: no such folder; {recipe.title!r} needs one of {reader}")


def find_records(
    recipe: Recipe, path: Path | None, options: DataOptions = NO_OPTIONS
) -> FoundRecords:
    """The records of a recipe's data set, labelled and split.

    Args:
        recipe: the recipe, which selects the data set.
        path: path of the data set; None for phantoms.
        options: what the user says about the data. `labels` are labels from reports, which replace
            the data set's own labels, or the table of labels of a plain folder of images.

    Raises:
        CxrlocError: the data set cannot be read or split, or a patient with an expert's box would
            be trained on although the recipe forbids it.
    """
    config = recipe.data
    if config.phantom is not None:
        return FoundRecords(*phantom_parts(config.phantom, recipe.preprocessing.size))
    assert path is not None
    findings = recipe.network.findings
    records, notes, own_tables = _read(config, path, options, findings)
    advice = (
        "the recipe does not name it: add it to `findings` in [network] of the recipe, or leave "
        "its rows out"
    )
    refuse_unknown_findings(records, findings, advice)
    # This comes before reports replace the labels, because boxes belong to the data set's own
    # records.
    boxed = boxed_patients(config.reader, path, records)
    if options.labels is not None and not own_tables:
        records, label_notes = with_labels_of_file(options.labels, records, findings)
        notes += label_notes
    records = [with_attributes(record, findings, config.no_finding) for record in records]
    records = [record for record in records if not config.views or has_view(record, config.views)]
    parts = split_parts(config, path, records, boxed)
    read = partial(read_radiograph, max_megapixels=options.max_megapixels)
    sources = {
        record.image_id: Source(file_key(record.path), partial(read, record.path))
        for record in records
        if record.path is not None
    }
    left_out = 0
    if config.boxed_patients == "left_out":
        left_out = sum(record.patient_id in boxed.patients for record in records)
    unlisted = len(records) - left_out - sum(map(len, parts[:3]))
    return FoundRecords(parts, sources, unlisted, boxed, left_out, tuple(notes))


def _read(
    config: DataConfig, path: Path, options: DataOptions, findings: Sequence[str]
) -> tuple[list[Record], list[str], bool]:
    """The records, notes on them, and whether they come from the user's own tables."""
    found = read_records(path, options, findings, config.reader)
    records = found.records
    if config.images and options.image_dir is None:
        folders = [path / name for name in config.images]
        if absent := [str(place) for place in folders if not place.is_dir()]:
            raise CxrlocError(
                f"{', '.join(absent)}: no such folder of images, as [data] of the recipe names it; "
                "--image-dir DIR names another"
            )
        files = find_image_files_below(folders)
        records = [replace(record, path=files.get(record.image_id)) for record in records]
    return records, [*found.notes], found.tables is not None


def split_parts(config: DataConfig, path: Path, records: Sequence[Record], boxed: Boxed) -> Parts:
    """Training, validation and test records; patients with a box follow `config.boxed_patients`."""
    if config.boxed_patients == "left_out":
        records = [record for record in records if record.patient_id not in boxed.patients]
    reserved = boxed.patients if config.boxed_patients == "test" else frozenset()
    official = None
    published_parts = READERS[config.reader].official_parts
    if config.split.kind == "official" and published_parts is not None:
        official = published_parts(path, list(records))
    parts = split_records(records, config.split, official, always_test=reserved)
    if config.boxed_patients != "drawn":
        refuse_boxed([*parts.train, *parts.validation], boxed.patients)
    return parts


def own_test_part(
    recipes: Sequence[Recipe], path: Path | None, records: Sequence[Record]
) -> list[Record]:
    """The records that belong to the test part in the split of every recipe.

    Whether a split draws a patient depends on the patient's id alone, so the part stays the same
    when images are added or missing.

    Raises:
        UsageError: there is no data set that a recipe could have split.
        CxrlocError: the data cannot be split in this way.
    """
    records = everyone = named_patients(records)
    for recipe in recipes:
        if path is None or recipe.data.phantom is not None:
            raise UsageError(
                f"the own split of the recipe {recipe.title!r} needs the data set that its model "
                "was trained on, and drawn phantoms have none: leave --split own out"
            )
        boxed = boxed_patients(recipe.data.reader, path, everyone)
        kept = [r for r in records if not recipe.data.views or has_view(r, recipe.data.views)]
        records = split_parts(recipe.data, path, kept, boxed).test
    return list(records)


def phantom_parts(config: PhantomData, size: int) -> tuple[Parts, dict[str, Source]]:
    """Training and validation phantoms by their numbers, without a patient in both parts."""
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
    patients = {record.patient_id for record in train}
    others = [r for r in records[config.training_images :] if r.patient_id not in patients]
    return Parts(train, others, []), sources


def _drawn(seed: int, index: int, size: int) -> Radiograph:
    drawn = make_phantom(seed, index, size)
    return Radiograph(drawn.pixels, bits_stored=16, view=drawn.record.view)
