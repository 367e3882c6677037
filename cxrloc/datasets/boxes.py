"""Boxes of experts and of other tools from files: CSV, COCO JSON, Pascal VOC XML.

Whatever the file's convention, a box becomes half-open, x right and y down, in pixels of the image
that it was drawn on. Nothing is cut off when it is read: `records.annotations_in_image` takes
boxes to a copy of another size and cuts them there.
"""

import csv
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxrloc.datasets.coco import read_coco
from cxrloc.datasets.image_files import find_image_files, image_id_of
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.datasets.voc import read_voc
from cxrloc.findings import standard_finding
from cxrloc.types import Annotation, Box, CxrlocError, Detection, Record

CORNERS = ("x_min", "y_min", "x_max", "y_max")
EXTENT = ("x", "y", "width", "height")

_STANDARD_COLUMNS = {
    "image index": "image",
    "finding label": "finding",
    "bbox [x": "x",
    "h]": "height",
    "w": "width",
    "h": "height",
    "patient id": "patient",
}


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One row of a CSV of boxes; an optional cell that is not there is None."""

    image_id: str
    finding: str
    box: Box
    patient_id: str | None
    threshold: float | None
    score: float | None


def read_boxes(path: Path) -> list[Annotation]:
    """The annotations of a box file; formats and errors are those of `read_boxed_images`."""
    return [annotation for record in read_boxed_images(path) for annotation in record.annotations]


def read_boxed_images(path: Path) -> list[Record]:
    """One record per image of a box file; image files are looked for beside it.

    - CSV with columns image, finding and either x_min, y_min, x_max, y_max (half-open) or x, y,
      width, height; a column patient is used where present, others are ignored. Both headers of
      ChestX-ray14's `BBox_List_2017.csv` are understood.
    - COCO JSON: `bbox` is x, y, width, height; images without a box are kept.
    - A folder of Pascal VOC XML: corners are pixels counted from 1 and belong to the box, so
      x_min = xmin - 1 and x_max = xmax (the rule of the VOC devkit). An image may have several
      files, one per instance (Wang et al. 2017, section 2.4).

    A record's findings with a box are positive, others are not mentioned. Where no file names
    patients, each image counts as a patient of its own.

    Raises:
        CxrlocError: the file is not of these formats, or an entry breaks its rules.
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


def read_detections(path: Path) -> list[Detection]:
    """Boxes of any tool from a CSV: image, finding, x_min, y_min, x_max, y_max[, score].

    Coordinates are half-open pixels of the image file. A column threshold is kept where present;
    a missing score stays missing, since boxes without one have no order.

    Raises:
        CxrlocError: a column is missing, or a row is not a box.
    """
    return [
        Detection(
            row.image_id,
            row.finding,
            row.box,
            threshold=row.threshold,
            score=row.score,
        )
        for row in read_box_rows(path)
    ]


def read_box_rows(path: Path) -> Iterator[BoxRow]:
    """The rows of a CSV of boxes, blank lines left out.

    Raises:
        CxrlocError: the file has not the columns (named), or a row (named) is not a box.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = _columns(next(reader, []))
            extent = _extent_columns(columns, path)
            for row in reader:
                if any(cell.strip() for cell in row):
                    cells = dict(zip(columns, row, strict=False))
                    yield _box_row(cells, extent, f"{path}, row {reader.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CxrlocError(f"{path} cannot be read as CSV: {error}") from error


def _columns(header: list[str]) -> list[str]:
    # The published header writes "Bbox [x,y,w,h]" without quotes, hence as four cells; copies
    # saved by other programs quote it.
    cells = [part.strip().lower() for cell in header for part in cell.split(",")]
    return [_STANDARD_COLUMNS.get(cell, cell) for cell in cells]


def _extent_columns(columns: list[str], path: Path) -> tuple[str, ...]:
    for extent in (CORNERS, EXTENT):
        if {"image", "finding", *extent} <= set(columns):
            return extent
    raise CxrlocError(
        f"{path}, row 1: a list of boxes has the columns image, finding, x_min, y_min, x_max, "
        f"y_max (or x, y, width, height); here: {', '.join(filter(None, columns)) or 'none'}"
    )


def _box_row(cells: dict[str, str], extent: tuple[str, ...], where: str) -> BoxRow:
    for name in ("image", "finding", *extent):
        if not cells.get(name, "").strip():
            raise CxrlocError(f"{where}: {name} is empty; every box needs it")
    x, y, third, fourth = (_number(cells, name, where) or 0.0 for name in extent)
    x_max, y_max = (x + third, y + fourth) if extent == EXTENT else (third, fourth)
    return BoxRow(
        image_id=image_id_of(cells["image"]),
        finding=standard_finding(cells["finding"]),
        box=checked_box(where, x, y, x_max, y_max),
        patient_id=cells.get("patient", "").strip() or None,
        threshold=_number(cells, "threshold", where),
        score=_number(cells, "score", where),
    )


def _number(cells: dict[str, str], name: str, where: str) -> float | None:
    text = cells.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise CxrlocError(f"{where}: {name} is {text!r}, not a finite number")
    return number


def _read_csv_records(path: Path) -> list[Record]:
    by_image: dict[str, list[BoxRow]] = {}
    for row in read_box_rows(path):
        by_image.setdefault(row.image_id, []).append(row)
    return [
        boxed_record(
            image_id,
            [Annotation(image_id, row.finding, row.box) for row in rows],
            patient_id=rows[0].patient_id,
        )
        for image_id, rows in by_image.items()
    ]
