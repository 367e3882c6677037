"""The images on which a command runs or scores a model: a data set or embedded phantoms."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets import (
    boxed_throughout,
    layout_of,
    names_of_data_set,
    official_parts_of,
    read_as,
)
from cxrloc.datasets.boxed_patients import named_patients
from cxrloc.datasets.own_data import OwnData, own_images, read_own_data
from cxrloc.datasets.records import spelled_records
from cxrloc.datasets.report_labels import with_labels_of_file
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.images.read import read_radiograph
from cxrloc.images.stored_pixels import MAX_MEGAPIXELS
from cxrloc.inference.prepared import Image
from cxrloc.phantom import is_synthetic, make_phantom, phantom_record, plan_phantom
from cxrloc.types import Radiograph, Record

PHANTOM_SEED, PHANTOMS, PHANTOM_SIZE = 2026, 240, 320
"""The embedded benchmark: a series of phantoms that trained no embedded model."""

PHANTOM_NAME = f"embedded phantoms, seed {PHANTOM_SEED}"


PHANTOM = "phantom"
"""Name of all phantoms as a data set, as recipes call it."""


SPLITS = ("all", "own", "train_val", "train", "validation", "test")
"""Values of `--split`: all images, the test part of the models' own split, or an official part.

`train_val` is everything but the test part; ChestX-ray14 publishes no other training list.
"""


@dataclass(frozen=True, slots=True)
class DataOptions:
    """The user's options of a data set, apart from its path.

    Attributes:
        data_set: name of the data set, to distinguish its patients from those with the same ids in
            another data set of the same layout; empty for the name of its reader.
        allow_contaminated: also score patients on whom the model was trained; every output then
            says so.
        max_megapixels: size limit; larger images are refused.
        image_dir: folder of the images, if they are not beside their tables.
        labels: a table of labels for a plain folder of images.
        boxes: boxes or masks for such a folder: CSV, COCO JSON, or a folder of VOC XML, YOLO,
            LabelMe or masks.
        id_column: column of the labels that names the image; empty: found by its cells.
        finding_columns: columns of the labels that hold findings; empty: found by their names.
    """

    data_set: str = ""
    allow_contaminated: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    image_dir: Path | None = None
    labels: Path | None = None
    boxes: Path | None = None
    id_column: str = ""
    finding_columns: tuple[str, ...] = ()


NO_OPTIONS = DataOptions()
"""The options of a data set if the user gives none."""


class ImageSet(NamedTuple):
    """The records of a data set, and the images of them that are on this disk.

    Attributes:
        name: name of the data set in outputs.
        records: all of them.
        images: those on this disk.
        boxed_throughout: experts looked at every image, so an image without a box shows none of the
            findings.
        data_sets: names under which a model's card may list these patients; equal ids in different
            data sets are different patients.
        notes: how columns and ids of the user's own tables were understood.
        has_own_tables: the labels come from the user's own table, beside a plain folder of images.
    """

    name: str
    records: list[Record]
    images: list[Image]
    boxed_throughout: bool = False
    data_sets: frozenset[str] = frozenset({PHANTOM})
    notes: tuple[str, ...] = ()
    has_own_tables: bool = False


def read_images(
    data: Path | None,
    options: DataOptions = NO_OPTIONS,
    declared: Collection[str] = (),
) -> ImageSet:
    """The images of a data set, or the embedded phantoms if no data set is given.

    Image files are read only when they are needed.

    Args:
        data: path of a data set; None for the embedded phantoms.
        options: what the user says about it.
        declared: findings that its labels may name beside the known ones.

    Raises:
        CxrlocError: nothing there can be read as a data set.
    """
    if data is not None:
        return _read(data, options, declared)
    series = range(PHANTOMS)
    records = [phantom_record(plan_phantom(PHANTOM_SEED, i), PHANTOM_SIZE) for i in series]
    images = [Image(records[i].image_id, partial(_phantom_radiograph, i)) for i in series]
    return ImageSet(PHANTOM_NAME, records, images, boxed_throughout=True)


class FoundData(NamedTuple):
    """The records of a data set, and how they were read.

    Attributes:
        reader: name of the reader; "boxes" for the user's own tables.
        records: all of them; patients are named as far as file names tell them.
        notes: how columns and ids of the user's own tables were understood.
        tables: the user's own tables, beside a plain folder of images; None for a data set.
        path: what the reader read.
    """

    reader: str
    records: list[Record]
    notes: tuple[str, ...]
    tables: OwnData | None
    path: Path


def read_records(
    data: Path, options: DataOptions, declared: Collection[str] = (), reader: str = ""
) -> FoundData:
    """The records of a data set, or of a plain folder of images with the user's own tables.

    Args:
        data: path of the data set, or of the folder.
        options: what the user says about it.
        declared: findings that its labels may name beside the known ones.
        reader: name of the reader of a data set; empty: found by the content of `data`.

    Raises:
        CxrlocError: nothing there can be read as a data set.
    """
    tables = own_data(data, options)
    if tables is not None:
        records, notes = read_own_data(tables, declared)
        records = spelled_records(named_patients(records), declared)
        return FoundData("boxes", records, notes, tables, tables.images)
    reader, path = (reader, data) if reader else layout_of(data)
    records = read_as(reader, path, declared)
    if options.image_dir is not None:
        files = own_images(options.image_dir)
        records = [replace(record, path=files.get(record.image_id)) for record in records]
    return FoundData(reader, spelled_records(named_patients(records), declared), (), None, path)


def _read(data: Path, options: DataOptions, declared: Collection[str]) -> ImageSet:
    found = read_records(data, options, declared)
    records, tables = found.records, found.tables
    looked_at = tables.boxes is not None if tables is not None else boxed_throughout(data)
    images = [
        Image(
            record.image_id,
            partial(_radiograph_of, record, record.path, options.max_megapixels),
            files=(record.path,),
        )
        for record in records
        if record.path is not None
    ]
    names = {options.data_set} if options.data_set else names_of_data_set(found.reader, records)
    if is_synthetic(data) and not options.data_set:
        names |= {PHANTOM}
    name, notes = str(data), found.notes
    return ImageSet(name, records, images, looked_at, frozenset(names), notes, tables is not None)


def own_data(data: Path, options: DataOptions) -> OwnData | None:
    """A plain folder of images with the tables that the options name; None for other data sets.

    COCO's own layout, a folder with `images/` and one `annotations/*.json`, needs no option.
    """
    boxes, labels = options.boxes, options.labels
    if boxes is None and data.is_dir() and (data / "images").is_dir():
        found = sorted((data / "annotations").glob("*.json"))
        boxes = found[0] if len(found) == 1 else None
    if boxes is None and labels is not None:
        plain = data.is_dir() and layout_of(data)[0] == "boxes" and not any(data.rglob("*.xml"))
        labels = labels if plain else None
    if boxes is None and labels is None:
        return None
    images = options.image_dir or (data if data.is_dir() else data.parent)
    return OwnData(images, labels, boxes, options.id_column, options.finding_columns)


def with_records(image_set: ImageSet, records: list[Record]) -> ImageSet:
    """The image set with these records only, and their images."""
    names = {record.image_id for record in records}
    images = [image for image in image_set.images if image.image_id in names]
    return image_set._replace(records=records, images=images)


def part_of(
    image_set: ImageSet,
    data: Path | None,
    split: str,
    own_part: Callable[[list[Record]], list[Record]],
) -> ImageSet:
    """A part of a data set: all images, an official list's images, or the models' own test part.

    Args:
        image_set: the whole data set.
        data: its path; None for the embedded phantoms.
        split: a name of `SPLITS`.
        own_part: the records of the models' own test part; is called for the split "own" only.

    Raises:
        UsageError: there is no such split, or the data have no official lists.
        CxrlocError: the part is empty.
    """
    if split not in SPLITS:
        raise UsageError(f"--split {split}: choose from {', '.join(SPLITS)}")
    if split == "own":
        image_set = with_records(image_set, own_part(image_set.records))
    elif split != "all":
        image_set = _official_part(image_set, data, split)
    if not image_set.records:
        raise CxrlocError(
            f"--split {split}: that part is empty ({image_set.name}): score another part, "
            "or another data set"
        )
    return image_set


def _official_part(image_set: ImageSet, data: Path | None, split: str) -> ImageSet:
    if data is None:
        raise UsageError(f"--split {split}: the embedded phantoms have no official split")
    parts = official_parts_of(data, image_set.records)
    chosen = ("train", "validation") if split == "train_val" else (split,)
    kept = [r for r in image_set.records if parts.get(r.image_id) in chosen]
    unlisted = sum(record.image_id not in parts for record in image_set.records)
    unlisted_note = f", {unlisted} images in no official list" if unlisted else ""
    return with_records(image_set._replace(name=image_set.name + unlisted_note), kept)


def with_file_labels(image_set: ImageSet, labels: Path | None, declared: Sequence[str]) -> ImageSet:
    """The images that have a label in a file, with the file's labels in place of their own.

    Labels of the user's own table beside a plain folder of images were read with the images.

    Args:
        image_set: the images.
        labels: file of labels from reports; None to change nothing.
        declared: findings that count beside the known ones and those of the data set.

    Raises:
        CxrlocError: the file cannot be read, or none of its rows belongs to an image.
    """
    if labels is None or image_set.has_own_tables:
        return image_set
    records, notes = with_labels_of_file(labels, image_set.records, declared)
    return with_records(image_set._replace(notes=(*image_set.notes, *notes)), records)


def data_warnings(records: Iterable[Record]) -> dict[str, int]:
    """The warnings of records, with the number of records for each."""
    return dict(Counter(warning for record in records for warning in record.warnings))


def _radiograph_of(record: Record, path: Path, max_megapixels: float) -> Radiograph:
    """The image, completed with the data set's metadata that its file lacks."""
    radiograph = read_radiograph(path, max_megapixels=max_megapixels)
    return replace(
        radiograph,
        view=radiograph.view or record.view,
        age_years=record.age_years if radiograph.age_years is None else radiograph.age_years,
        sex=radiograph.sex or record.sex,
    )


def _phantom_radiograph(index: int) -> Radiograph:
    phantom = make_phantom(PHANTOM_SEED, index, PHANTOM_SIZE)
    return Radiograph(phantom.pixels, bits_stored=16, view=phantom.record.view)
