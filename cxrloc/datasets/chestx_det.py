"""ChestX-Det (Lian et al. 2021) and ChestX-Det10 (Liu et al. 2020): boxes and polygons, JSON."""

import json
from pathlib import Path
from typing import Any

from cxrloc.datasets.image_files import find_image_files_below, image_id_of
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.datasets.shapes import outline_of
from cxrloc.findings import standard_finding
from cxrloc.types import Annotation, CxrlocError, Record

FRAME = (1024, 1024)
"""Rows and columns of the images, which are ChestX-ray14's."""


def read_chestx_det(path: Path) -> list[Record]:
    """One record per image of `ChestX_Det_train.json` or `_test.json`, those without box included.

    Entries have `file_name`, `syms` (a finding each), `boxes` (x1, y1, x2, y2 each) and, in
    ChestX-Det, `polygons` (a ring of [x, y] each). File names are not ChestX-ray14's, or not all,
    so patients are not known: each image counts as one. Images are looked for below the file's
    folder, in `train*` and `test*`.

    Raises:
        CxrlocError: not JSON, a field is missing, or an entry (named) breaks its rules.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        boxes = {image_id_of(each["file_name"]): _annotations(path, each) for each in entries}
    except (OSError, ValueError) as error:
        raise CxrlocError(f"{path} cannot be read as JSON of ChestX-Det: {error}") from error
    except (KeyError, TypeError) as error:
        raise CxrlocError(
            f"{path} is not ChestX-Det's list of file_name, syms, boxes[, polygons]: {error!r}"
        ) from error
    places = [*path.parent.glob("train*/"), *path.parent.glob("test*/")]
    files = find_image_files_below(places)
    return [
        boxed_record(image_id, own, frame=FRAME, path=files.get(image_id))
        for image_id, own in boxes.items()
    ]


def _annotations(path: Path, entry: dict[str, Any]) -> list[Annotation]:
    where, image_id = f"{path}, {entry['file_name']}", image_id_of(entry["file_name"])
    polygons = entry.get("polygons") or [[]] * len(entry["syms"])
    if not len(entry["syms"]) == len(entry["boxes"]) == len(polygons):
        raise CxrlocError(f"{where}: syms, boxes and polygons are not of one length")
    annotations = []
    for name, corners, ring in zip(entry["syms"], entry["boxes"], polygons, strict=True):
        box = checked_box(where, *map(float, corners))
        outline = outline_of([ring])
        finding = standard_finding(name)
        annotations.append(
            Annotation(image_id, finding, box, outline if outline.polygons else None)
        )
    return annotations
