"""Boxes from COCO JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import image_id_of
from cxrloc.datasets.records import boxed_record, checked_box, checked_frame
from cxrloc.errors import CxrlocError
from cxrloc.files.structured import expecting, read_json
from cxrloc.findings import standard_finding
from cxrloc.types import Annotation, Record


def read_coco(path: Path) -> list[Record]:
    """One record per image of a COCO file, images without a box included.

    A region with `iscrowd` covers several findings that were not drawn one by one, so it becomes an
    ignored region of the record.

    Raises:
        CxrlocError: not JSON, a field is missing, an id occurs twice or refers to no entry, or a
            box has no area.
    """
    content = read_json(path)
    with expecting(path, "COCO JSON (images, categories, and annotations with bbox)"):
        findings = _by_id(path, "categories", content["categories"], "name", standard_finding)
        images = _by_id(path, "images", content["images"], "file_name", image_id_of)
        for image_id in images.values():
            checked_id(f"{path}, images", image_id)
        boxes: dict[str, list[Annotation]] = {image_id: [] for image_id in images.values()}
        regions: dict[str, list[Annotation]] = {image_id: [] for image_id in images.values()}
        if len(boxes) < len(images):
            raise CxrlocError(f"{path}: two images have the same file name; rename one of them")
        for number, entry in enumerate(content["annotations"], start=1):
            where = f"{path}, annotation {entry.get('id', f'number {number}')}"
            for key, known in (("image_id", images), ("category_id", findings)):
                if entry[key] not in known:
                    raise CxrlocError(f"{where}: {key} {entry[key]!r} is not listed in the file")
            image_id, finding = images[entry["image_id"]], findings[entry["category_id"]]
            with expecting(where, "an annotation of COCO (bbox of x, y, width and height)"):
                x, y, width, height = map(float, entry["bbox"])
            box = checked_box(where, x, y, x + width, y + height)
            place = regions if entry.get("iscrowd") else boxes
            place[image_id].append(Annotation(image_id, finding, box, where=where))
        return [
            boxed_record(
                image_id,
                boxes[image_id],
                frame=_frame(path, entry),
                ignored=regions[image_id],
            )
            for entry in content["images"]
            for image_id in [images[entry["id"]]]
        ]


def _by_id(
    path: Path, kind: str, entries: Sequence[Mapping[str, Any]], key: str, name: Any
) -> dict[int | str, str]:
    """The name of each entry by its id; an id that occurs twice is an error."""
    found: dict[int | str, str] = {}
    for entry in entries:
        if entry["id"] in found:
            raise CxrlocError(f"{path}: the id {entry['id']!r} is twice in {kind}; keep one")
        found[entry["id"]] = name(entry[key])
        if not found[entry["id"]]:
            raise CxrlocError(f"{path}, {kind}: {key} of {entry['id']!r} is empty")
    return found


def _frame(path: Path, entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of an image; None if the file leaves them out or writes 0."""
    if not entry.get("height") or not entry.get("width"):
        return None
    return checked_frame(f"{path}, image {entry['file_name']}", entry["height"], entry["width"])
