"""A user's own data: a folder of images, one table of labels, and a file or folder of boxes."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cxrloc.datasets.box_folders import Drawn, read_labelme, read_mask_folder
from cxrloc.datasets.boxes import annotations_of, read_box_rows, read_boxed_images
from cxrloc.datasets.dicom_regions import annotations_in_objects, object_files
from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import (
    ImagesByStem,
    SeenNames,
    image_id_of,
    image_named,
    images_by_stem,
    joined_id,
)
from cxrloc.datasets.label_cells import finding_labels
from cxrloc.datasets.records import NO_PATIENT, finished_records
from cxrloc.datasets.yolo import read_yolo
from cxrloc.files.tables import Table, is_blank, key_of, read_table, rows_of
from cxrloc.findings import NO_FINDING, finding_columns, spelled_as
from cxrloc.images.folders import files_below
from cxrloc.images.formats import SUFFIXES
from cxrloc.types import CxrlocError, Label, Record, Sex, View

log = logging.getLogger(__name__)

_ROLES = {
    "patient": ("patientid", "patient", "subjectid", "subject"),
    "study": ("studyid", "study", "accession"),
    "view": ("viewposition", "view", "ap/pa", "projection"),
    "age": ("age", "patientage", "ageyears"),
    "sex": ("sex", "gender", "patientsex", "patientgender"),
    "labels": ("findinglabels", "labels", "label", "findings", "finding", "diagnosis", "class"),
}
"""Kinds of columns, and the usual names of each, in lower case without blanks."""

_LABELS = {
    **dict.fromkeys(("1", "true", "yes", "positive"), Label.POSITIVE),
    **dict.fromkeys(("0", "false", "no", "negative"), Label.NEGATIVE),
    **dict.fromkeys(("-1", "uncertain"), Label.UNCERTAIN),
}
_VIEWS = {"PA": View.PA, "AP": View.AP, "LATERAL": View.LATERAL, "LL": View.LATERAL}
_SEXES = {"F": Sex.FEMALE, "M": Sex.MALE}


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
        records |= _labelled(data, records, declared, notes)
    if data.boxes is not None:
        truth = (
            annotations_in_objects(data.boxes, files, declared)
            if objects
            else _truth(data.boxes, records, declared)
        )
        records = _boxed(data.boxes, truth, records, notes)
    source = data.labels or data.boxes or data.images
    return OwnRecords(finished_records(records.values(), source), tuple(notes))


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


def _labelled(
    data: OwnData, images: Mapping[str, Record], declared: Collection[str], notes: list[str]
) -> dict[str, Record]:
    """The records with the cells of their row; those without a row are not labelled."""
    path = data.labels
    assert path is not None
    asked = [*filter(None, (data.id_column,)), *data.finding_columns]
    table = read_table(path, asked)
    id_column = data.id_column or _id_column(table, images)
    roles = _roles(table, id_column)
    findings = {name: spelled_as(name, declared) for name in data.finding_columns}
    if not findings:
        left = [name for name in table.columns if name not in (id_column, *roles.values())]
        findings, others = finding_columns(left, declared)
        if others:
            notes.append(f"{path.name}: no findings, and left out: {', '.join(others[:20])}")
    if not findings and "labels" not in roles:
        raise CxrlocError(
            f"{path}, row 1: no column is a known finding ({', '.join(list(table.columns)[:20])}); "
            "name them with --finding-columns"
        )
    _refuse_twice(path, findings)
    if findings:
        roles.pop("labels", None)
    said = ", ".join(f"{role} from {name}" for role, name in roles.items())
    notes.append(
        f"{path.name}: images by {id_column}{', ' if said else ''}{said}"
        + (f", findings from {', '.join(findings)}" if findings else "")
    )
    found: dict[str, Record] = {}
    foreign: list[str] = []
    known, seen = _by_stem(images), SeenNames()
    for where, cells in rows_of(table):
        image_id = image_named(where, cells[id_column], known)
        if image_id is not None:
            seen.check(where.removeprefix(f"{path}, "), cells[id_column], image_id)
        if image_id is None:
            foreign.append(cells[id_column])
            continue
        record = _record(where, images[image_id], cells, roles, findings, declared)
        if found.setdefault(image_id, record) != record:
            raise CxrlocError(f"{where}: {image_id} is there twice, with other cells; keep one")
    if "labels" in roles:
        # A list names only the findings that are present. A finding that other rows name, and this
        # row does not, is therefore negative here.
        named = dict.fromkeys(name for record in found.values() for name in record.labels)
        absent = dict.fromkeys(named, Label.NEGATIVE)
        found = {
            name: replace(record, labels=absent | dict(record.labels))
            if record.labelled
            else record
            for name, record in found.items()
        }
    return _joined_rows(path, images, found, foreign, notes)


def _refuse_twice(path: Path, findings: dict[str, str]) -> None:
    """Raise an error if two columns hold the same finding; drop `normal` beside No Finding.

    `cxrloc label` writes both columns: `normal` means that there is no abnormality of any kind.
    """
    if "normal" in findings and list(findings.values()).count(NO_FINDING) > 1:
        del findings["normal"]
    for column, finding in findings.items():
        others = [name for name, own in findings.items() if own == finding and name != column]
        if others:
            raise CxrlocError(
                f"{path}, row 1: {column} and {others[0]} are both of {finding}; keep one"
            )


def _joined_rows(
    path: Path,
    images: Mapping[str, Record],
    found: dict[str, Record],
    foreign: Sequence[str],
    notes: list[str],
) -> dict[str, Record]:
    """All images; those without a row are unlabelled. Adds a note on how many rows matched."""
    absent = [name for name in images if name not in found]
    if not found:
        raise CxrlocError(
            f"{path}: none of its rows is of an image that is there; rows are as "
            f"{next(iter(foreign), 'none')!r}, images as {next(iter(images))!r}; name the column "
            "of ids with --id"
        )
    if absent or foreign:
        only = f"; only in the table: {foreign[0]!r}" if foreign else ""
        only += f"; only on the disk: {absent[0]!r}" if absent else ""
        notes.append(
            f"{path.name}: {len(found)} of its {len(found) + len(foreign)} rows are of the "
            f"{len(images)} images{only}"
        )
    return found | {name: replace(images[name], labelled=False) for name in absent}


def _by_stem(images: Mapping[str, Record]) -> ImagesByStem:
    return images_by_stem({name: record.path for name, record in images.items()})


def _id_column(table: Table, images: Mapping[str, Record]) -> str:
    """The column whose cells name most of the images.

    Raises:
        CxrlocError: no cell names one.
    """
    known = _by_stem(images)
    counts = {
        name: sum(image_id_of(cell) in known or joined_id(cell) in known for cell in cells)
        for name, cells in table.columns.items()
    }
    best = max(counts, key=lambda name: counts[name], default="")
    if not best or not counts[best]:
        rows = next(rows_of(table), ("", {}))[1]
        raise CxrlocError(
            f"{table.path}: no cell names an image, which are as {next(iter(images))!r}; its first "
            f"row is {', '.join(list(rows.values())[:6])[:120]!r}"
        )
    return best


def _roles(table: Table, id_column: str) -> dict[str, str]:
    """Columns that have a usual name, by the kind of their content."""
    by_key = {key_of(name): name for name in table.columns if name != id_column}
    found = {
        role: next((by_key[key] for key in keys if key in by_key), "")
        for role, keys in _ROLES.items()
    }
    return {role: name for role, name in found.items() if name}


def _record(
    where: str,
    image: Record,
    cells: Mapping[str, str],
    roles: Mapping[str, str],
    findings: Mapping[str, str],
    declared: Collection[str],
) -> Record:
    cell = {role: "" if is_blank(cells[name]) else cells[name] for role, name in roles.items()}
    labels: dict[str, Label] = {}
    for column, finding in findings.items():
        if not is_blank(text := cells[column].lower()):
            if (label := _LABELS.get(text.removesuffix(".0"))) is None:
                raise CxrlocError(f"{where}: {column} is {text[:40]!r}; it is 1, 0, -1 or blank")
            labels[finding] = label
    listed = finding_labels(where, cell["labels"], declared) if "labels" in cell else ()
    labels |= dict.fromkeys(listed or (), Label.POSITIVE)
    return replace(
        image,
        patient_id=cell.get("patient") or image.patient_id,
        study_id=cell.get("study") or image.study_id,
        view=_VIEWS.get(cell.get("view", "").upper()),
        age_years=_age(where, cell.get("age", "")),
        sex=_SEXES.get(cell.get("sex", "")[:1].upper()),
        labels=labels,
        labelled=listed is not None,
        warnings=(NO_PATIENT,) if "patient" in cell and not cell["patient"] else (),
    )


def _age(where: str, text: str) -> float | None:
    try:
        return float(text.upper().removesuffix("Y")) if text else None
    except ValueError as error:
        raise CxrlocError(f"{where}: the age {text[:40]!r} is not a number of years") from error


def _boxed(
    path: Path, truth: Mapping[str, Drawn], images: Mapping[str, Record], notes: list[str]
) -> dict[str, Record]:
    """The records with their annotations; images that only the boxes name are kept without file."""
    records = dict(images)
    known, joined = _by_stem(images), 0
    for name, drawn in truth.items():
        image_id = image_named(str(path), name, known) or checked_id(str(path), image_id_of(name))
        joined += image_id in images
        own = [replace(each, image_id=image_id) for each in drawn.annotations]
        before = records.get(image_id) or Record(image_id, image_id, image_id, None)
        records[image_id] = replace(
            before,
            labels={**before.labels, **{each.finding: Label.POSITIVE for each in own}},
            annotations=(*before.annotations, *own),
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
