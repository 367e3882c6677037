"""ChestX-Det (Lian et al. 2021) and ChestX-Det10 (Liu et al. 2020): boxes and polygons, JSON."""

from pathlib import Path
from typing import Any

from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import find_image_files_below, image_id_of
from cxrloc.datasets.label_cells import known_finding
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.datasets.shapes import outline_of
from cxrloc.errors import CxrlocError
from cxrloc.files.structured import expecting, read_json
from cxrloc.types import Annotation, Record

FRAME = (1024, 1024)
"""Rows and columns of the images, which come from ChestX-ray14."""

CLASSES = (
    "Atelectasis",
    "Calcification",
    "Consolidation",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Fracture",
    "Mass",
    "Nodule",
    "Pneumothorax",
)
"""The ten classes of ChestX-Det10. ChestX-Det has three more, judged if the copy names them."""


def read_chestx_det(path: Path) -> list[Record]:
    """One record per image of `ChestX_Det_train.json` or `_test.json`, images without box included.

    Entries have `file_name`, `syms` (a list of findings), `boxes` (x1, y1, x2, y2 of each finding)
    and, in ChestX-Det, `polygons` (a ring of [x, y] for each finding). Entries with the same file
    name belong to one image. Not all file names are those of ChestX-ray14, so patients are not
    known, and each image counts as a patient of its own. Images are looked for below the file's
    folder, in `train*` and `test*`.

    Raises:
        CxrlocError: not JSON, a field is missing, or an entry (named) breaks its rules.
    """
    boxes: dict[str, list[Annotation]] = {}
    with expecting(path, "ChestX-Det's list of file_name, syms, boxes[, polygons]"):
        for entry in read_json(path):
            where = f"{path}, {entry['file_name']}"
            image_id = checked_id(where, image_id_of(entry["file_name"]))
            boxes.setdefault(image_id, []).extend(_annotations(where, image_id, entry))
    places = [*path.parent.glob("train*/"), *path.parent.glob("test*/")]
    files = find_image_files_below(places)
    return [
        boxed_record(image_id, image_boxes, frame=FRAME, path=files.get(image_id))
        for image_id, image_boxes in boxes.items()
    ]


def _annotations(where: str, image_id: str, entry: dict[str, Any]) -> list[Annotation]:
    polygons = entry.get("polygons") or [[]] * len(entry["syms"])
    if not len(entry["syms"]) == len(entry["boxes"]) == len(polygons):
        raise CxrlocError(f"{where}: syms, boxes and polygons are not of one length")
    annotations = []
    for name, corners, ring in zip(entry["syms"], entry["boxes"], polygons, strict=True):
        box = checked_box(where, *map(float, corners))
        outline = outline_of([ring])
        finding = known_finding(where, name)
        shape = outline if outline.polygons else None
        annotations.append(Annotation(image_id, finding, box, shape, where))
    return annotations
