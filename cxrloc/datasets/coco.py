"""Boxes from COCO JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxrloc.datasets.image_files import image_id_of
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.findings import standard_finding
from cxrloc.types import Annotation, CxrlocError, Record


def read_coco(path: Path) -> list[Record]:
    """One record per image of a COCO file, those without a box included.

    Raises:
        CxrlocError: not JSON, a field is missing, an id names nothing, or a box has no area.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        findings = {entry["id"]: standard_finding(entry["name"]) for entry in content["categories"]}
        images = {entry["id"]: image_id_of(entry["file_name"]) for entry in content["images"]}
        if len(set(images.values())) < len(images):
            raise CxrlocError(f"{path}: two images have the same file name; rename one of them")
        boxes: dict[str, list[Annotation]] = {image_id: [] for image_id in images.values()}
        for entry in content["annotations"]:
            image_id, finding = images[entry["image_id"]], findings[entry["category_id"]]
            x, y, width, height = map(float, entry["bbox"])
            where = f"{path}, annotation {entry.get('id')}"
            box = checked_box(where, x, y, x + width, y + height)
            boxes[image_id].append(Annotation(image_id, finding, box))
        return [
            boxed_record(images[entry["id"]], boxes[images[entry["id"]]], frame=_frame(entry))
            for entry in content["images"]
        ]
    except (OSError, ValueError) as error:
        raise CxrlocError(f"{path} cannot be read as COCO JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CxrlocError(
            f"{path} is not COCO JSON (images, categories, and annotations with bbox), or an id "
            f"in it names nothing: {error!r}"
        ) from error


def _frame(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    rows, columns = entry.get("height"), entry.get("width")
    return (int(rows), int(columns)) if rows and columns else None
