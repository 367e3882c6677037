"""A user's own data: a folder of images, one table of labels, and a file or folder of boxes."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets.box_folders import Drawn, read_labelme, read_mask_folder
from cxrloc.datasets.boxes import annotations_of, read_box_rows, read_boxed_images
from cxrloc.datasets.dicom_regions import annotations_in_objects, object_files
from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import image_id_of, image_named, joined_id
from cxrloc.datasets.own_labels import by_stem, labelled_images
from cxrloc.datasets.records import finished_records, with_vocabulary
from cxrloc.datasets.yolo import read_yolo
from cxrloc.errors import CxrlocError
from cxrloc.images.folders import files_below
from cxrloc.images.formats import SUFFIXES
from cxrloc.types import Label, Record

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnData:
    """The paths of a user's own data, and the names of columns.

    Attributes:
        images: a folder, searched with all its sub-folders; only known image suffixes count.
        labels: a table with a row per image.
        boxes: CSV, COCO JSON, a DICOM SR or SEG, or a folder of Pascal VOC XML, YOLO text, LabelMe
            JSON, masks or DICOM SR and SEG.
        id_column: column of the labels that names the image; if empty, it is found by its cells.
        finding_columns: columns that hold findings; if empty, they are found by their names.
    """

    images: Path
    labels: Path | None = None
    boxes: Path | None = None
    id_column: str = ""
    finding_columns: tuple[str, ...] = ()


class OwnRecords(NamedTuple):
    """Records, and sentences that say how columns and ids were interpreted."""

    records: list[Record]
    notes: tuple[str, ...]


def read_own_data(data: OwnData, declared: Collection[str] = ()) -> OwnRecords:
    """One record per image of the folder, with its labels and boxes.

    The id of an image is its file name without suffix. If two folders have files of the same name,
    the id is the path with `_` between its parts. The table and the boxes may name images with or
    without suffix and folder.

    Raises:
        CxrlocError: there is no image, a table or box file matches no image, or a row is not valid.
    """
    objects = {*object_files(data.boxes)} if data.boxes is not None else set()
    # Reports and segmentations may lie in the folder of the images, but are none themselves.
    files = {n: path for n, path in own_images(data.images).items() if path not in objects}
    if not files:
        raise CxrlocError(f"{data.images}: no image in it; images end in {', '.join(SUFFIXES)}")
    records = {name: Record(name, name, name, path) for name, path in files.items()}
    notes: list[str] = []
    if data.labels is not None:
        labelled, notes = labelled_images(
            data.labels, records, data.id_column, data.finding_columns, declared
        )
        records |= labelled
    if data.boxes is not None:
        truth = (
            annotations_in_objects(data.boxes, files, declared)
            if objects
            else _truth(data.boxes, records, declared)
        )
        records = _boxed(data.boxes, truth, records, notes)
    source = data.labels or data.boxes or data.images
    finished = finished_records(records.values(), source)
    if data.labels is None:
        finished = with_vocabulary(finished)
    return OwnRecords(finished, tuple(notes))


def own_images(folder: Path) -> dict[str, Path]:
    """Image files below a folder, by image id.

    Raises:
        CxrlocError: there is no such folder, or two files have the same id.
    """
    if not folder.is_dir():
        raise CxrlocError(f"{folder}: no such folder of images")
    paths = sorted(path for path in files_below(folder) if path.suffix.lower() in SUFFIXES)
    short = [image_id_of(path.name) for path in paths]
    if len({*short}) < len(short):
        short = [joined_id(path.relative_to(folder).as_posix()) for path in paths]
    files: dict[str, Path] = {}
    for name, path in zip(short, paths, strict=True):
        try:
            checked_id(str(path), name)
        except CxrlocError as error:
            log.warning("%s: the image is left out", error)
            continue
        other = files.setdefault(name, path)
        if other != path:
            raise CxrlocError(f"{path} and {other} are both image {name}: keep one of them")
    return files


def _boxed(
    path: Path, truth: Mapping[str, Drawn], images: Mapping[str, Record], notes: list[str]
) -> dict[str, Record]:
    """The records with their annotations; images that only the boxes name are kept without file."""
    records = dict(images)
    known, joined = by_stem(images), 0
    for name, drawn in truth.items():
        image_id = image_named(str(path), name, known) or checked_id(str(path), image_id_of(name))
        joined += image_id in images
        annotations = [replace(each, image_id=image_id) for each in drawn.annotations]
        before = records.get(image_id) or Record(image_id, image_id, image_id, None)
        records[image_id] = replace(
            before,
            labels={**before.labels, **{each.finding: Label.POSITIVE for each in annotations}},
            annotations=(*before.annotations, *annotations),
            annotation_frame=drawn.frame,
        )
    if not joined:
        raise CxrlocError(
            f"{path}: none of its {len(truth)} images is on this disk; they are as "
            f"{next(iter(truth), 'none')!r} there and {next(iter(images))!r} here"
        )
    if joined < len(truth):
        notes.append(f"{path.name}: {joined} of its {len(truth)} images are on this disk")
    return records


def _truth(path: Path, images: Mapping[str, Record], declared: Collection[str]) -> dict[str, Drawn]:
    """Annotations by image, under the names that the file or folder uses for images."""
    if path.is_dir() and not any(path.rglob("*.xml")):
        files = {name: record.path for name, record in images.items() if record.path is not None}
        if any(path.rglob("*.txt")):
            return read_yolo(path, files)
        if any(path.rglob("*.json")):
            return read_labelme(path, files)
        return read_mask_folder(path, images, declared)
    if path.is_file() and path.suffix.lower() != ".json":
        rows = read_box_rows(path, {name: record.path for name, record in images.items()})
        return {name: Drawn(boxes, None) for name, boxes in annotations_of(rows).items()}
    return {
        record.image_id: Drawn([*record.annotations], record.annotation_frame)
        for record in read_boxed_images(path)
    }
