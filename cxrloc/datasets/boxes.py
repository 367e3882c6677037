"""Boxes of experts and of other tools from files: CSV, COCO JSON, Pascal VOC XML.

Whatever the file's convention, a box becomes half-open, x right and y down, in pixels of the image
on which it was drawn. A box that reaches beyond its image is not cut when it is read:
`records.annotations_in_image` moves boxes to a copy of another size and cuts them to that copy.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrloc.datasets.coco import read_coco
from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import (
    SeenNames,
    find_image_files,
    image_id_of,
    images_by_stem,
    named_or_new_id,
)
from cxrloc.datasets.records import NO_PATIENT, boxed_record, checked_box, refuse_shares
from cxrloc.datasets.voc import read_voc
from cxrloc.errors import CxrlocError
from cxrloc.files.part_tables import holds_parts, rows_of_parts
from cxrloc.files.structured import expecting
from cxrloc.files.tables import is_blank, number_in, table_rows, whole_row
from cxrloc.findings import standard_finding
from cxrloc.text import from_csv
from cxrloc.types import Annotation, Box, Detection, Record

CORNERS = ("x_min", "y_min", "x_max", "y_max")
EXTENT = ("x", "y", "width", "height")

_OTHER_NAMES = {
    "image": ("imageindex", "imageid", "filename", "imagename"),
    "finding": ("findinglabel", "label", "class", "classname", "category"),
    "x": ("bboxx",),
    "width": ("w",),
    "height": ("h",),
    "x_min": ("xmin", "x1"),
    "y_min": ("ymin", "y1"),
    "x_max": ("xmax", "x2"),
    "y_max": ("ymax", "y2"),
    "patient": ("patientid",),
    "score": ("scores", "confidence", "conf", "probability", "prob"),
}
"""Columns, and their names in published files and other tools (lower-case letters and digits).

The first cells of ChestX-ray14's own heading are `Image Index,Finding Label,Bbox [x,y,w,h]`.
"""


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One row of a CSV of boxes; an optional cell that is missing is None.

    `where` is the file and the row, for error messages.
    """

    image_id: str
    finding: str
    box: Box
    patient_id: str | None
    threshold: float | None
    score: float | None
    where: str


def read_boxed_images(path: Path) -> list[Record]:
    """One record per image of a box file; image files are looked for beside it.

    - CSV with columns image, finding and either x_min, y_min, x_max, y_max (half-open) or x, y,
      width, height; a column patient is used if present, and other columns are ignored. Both
      headers of ChestX-ray14's `BBox_List_2017.csv` are understood.
    - COCO JSON: `bbox` is x, y, width, height; images without a box are kept.
    - A folder of Pascal VOC XML: corners are pixels counted from 1 and belong to the box, so
      x_min = xmin - 1 and x_max = xmax (the rule of the VOC devkit). An image may have several
      files, one per instance (Wang et al. 2017, section 2.4).

    Findings with a box are positive in the record, and other findings are not mentioned. If no file
    names patients, each image counts as a patient of its own.

    Raises:
        CxrlocError: the file is not of these formats, or an entry breaks the rules of its format.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        records = read_voc(path)
    elif path.suffix.lower() == ".json":
        records = read_coco(path)
    else:
        records = _read_csv_records(path)
    files = find_image_files(folder)
    return [dataclasses.replace(record, path=files.get(record.image_id)) for record in records]


def read_detections(path: Path, images: Mapping[str, Path | None] | None = None) -> list[Detection]:
    """Boxes of any tool from a CSV: image, finding, x_min, y_min, x_max, y_max[, score].

    The results of `cxrloc archive` are read too. Coordinates are half-open pixels of the image
    file. A column threshold is kept if present. A missing score stays missing, because boxes
    without a score cannot be ranked.

    Args:
        path: the CSV file.
        images: as for `read_box_rows`.

    Raises:
        CxrlocError: as `read_box_rows`.
    """
    if holds_parts(path):
        return _detections_of_archive(path, images or {})
    return [
        Detection(
            row.image_id,
            row.finding,
            row.box,
            threshold=row.threshold,
            score=row.score,
        )
        for row in read_box_rows(path, images)
    ]


def _detections_of_archive(path: Path, images: Mapping[str, Path | None]) -> list[Detection]:
    columns = ("uri", "finding", *CORNERS, "threshold", "score")
    known, seen = images_by_stem(images), SeenNames()
    detections = []
    for row in rows_of_parts(path, "boxes", columns):
        uri, finding, *corners, threshold, score = row.cells
        image_id = named_or_new_id(str(path), uri, known)
        seen.check(str(path), uri, image_id)
        with expecting(f"{row.file}, row {row.number}, image {uri},", "a box"):
            detections.append(Detection(image_id, finding, Box(*corners), threshold, score))
    return detections


def read_box_rows(path: Path, images: Mapping[str, Path | None] | None = None) -> list[BoxRow]:
    """The rows of a CSV of boxes, blank lines left out.

    Args:
        path: the CSV file.
        images: the images that are known, by id, with their files; the folders in the table's names
            then decide between files of the same name.

    Raises:
        CxrlocError: a column (named) is missing, a row (named) is not a box, the names of two files
            would be one image, or all coordinates are at most 1, so they are shares of the image
            and not pixels.
    """
    known, seen = images_by_stem(images or {}), SeenNames()
    rows = table_rows(path)
    _, header = next(rows, (1, []))
    columns = _columns(header)
    extent = _extent_columns(columns, path)
    boxes = []
    for number, row in rows:
        where = f"{path}, row {number}"
        cells = dict(zip(columns, whole_row(where, columns, row), strict=True))
        row_of_box = _box_row(cells, extent, where)
        name = from_csv(cells["image"])
        image_id = named_or_new_id(where, name, known)
        seen.check(f"row {number}", name, image_id)
        boxes.append(dataclasses.replace(row_of_box, image_id=image_id))
    refuse_shares((row.where, row.box) for row in boxes)
    return boxes


def _columns(header: Sequence[str]) -> list[str]:
    """The heading of a table, with each column under the name that this module uses.

    The published heading writes "Bbox [x,y,w,h]" without quotes, so it is read as four cells;
    copies that other programs saved have it in quotes, as one cell.
    """
    cells = [part.strip() for cell in header for part in re.split(r",(?=[ywh]\b)", cell)]
    keys = [re.sub(r"[\W_]+", "", cell).lower() for cell in cells]
    names = {*_OTHER_NAMES, "threshold", "y"}
    named = [cell.lower() if cell.lower() in names else "" for cell in cells]
    for name, others in _OTHER_NAMES.items():
        if name not in named:
            found = [i for i, key in enumerate(keys) if key in others and not named[i]]
            if len(found) == 1:
                named[found[0]] = name
    return [name or cell.lower() for name, cell in zip(named, cells, strict=True)]


def _extent_columns(columns: list[str], path: Path) -> tuple[str, ...]:
    needed = ("image", "finding")
    for extent in (CORNERS, EXTENT):
        if {*needed, *extent} <= set(columns):
            for name in (*needed, *extent, "patient", "score", "threshold"):
                if columns.count(name) > 1:
                    raise CxrlocError(f"{path}, row 1: the column {name} is there twice; keep one")
            return extent
    raise CxrlocError(
        f"{path}, row 1: a list of boxes has the columns image, finding, x_min, y_min, x_max, "
        f"y_max (or x, y, width, height); here: {', '.join(filter(None, columns)) or 'none'}"
    )


def _box_row(cells: dict[str, str], extent: tuple[str, ...], where: str) -> BoxRow:
    for name in ("image", "finding", *extent):
        if not cells[name]:
            raise CxrlocError(f"{where}: {name} is empty; every box needs it")
    x, y, third, fourth = (number_in(where, name, cells[name]) for name in extent)
    x_max, y_max = (x + third, y + fourth) if extent == EXTENT else (third, fourth)
    threshold, score = (
        None if is_blank(cells.get(name, "")) else number_in(where, name, cells[name])
        for name in ("threshold", "score")
    )
    return BoxRow(
        image_id=checked_id(where, image_id_of(from_csv(cells["image"]))),
        finding=standard_finding(cells["finding"]),
        box=checked_box(where, x, y, x_max, y_max),
        patient_id=None if is_blank(patient := cells.get("patient", "")) else patient,
        threshold=threshold,
        score=score,
        where=where,
    )


def annotations_of(rows: Sequence[BoxRow]) -> dict[str, list[Annotation]]:
    """Truth by image, in the order of the rows."""
    found: dict[str, list[Annotation]] = {}
    for row in rows:
        annotation = Annotation(row.image_id, row.finding, row.box, where=row.where)
        found.setdefault(row.image_id, []).append(annotation)
    return found


def _read_csv_records(path: Path) -> list[Record]:
    rows = read_box_rows(path)
    patients: dict[str, str | None] = {}
    for row in rows:
        if patients.setdefault(row.image_id, row.patient_id) != row.patient_id:
            raise CxrlocError(
                f"{row.where}: image {row.image_id} is of patient {row.patient_id} here and of "
                f"{patients[row.image_id]} above"
            )
    unnamed_patient = (NO_PATIENT,) if any(patients.values()) else ()
    return [
        dataclasses.replace(
            boxed_record(image_id, boxes, patient_id=patients[image_id]),
            warnings=() if patients[image_id] else unnamed_patient,
        )
        for image_id, boxes in annotations_of(rows).items()
    ]
