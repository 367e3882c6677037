"""CheXlocalize (Saporta et al. 2022): polygons, masks and points of radiologists on CheXpert.

Images are named `patient64541_study1_view1_frontal`. Three kinds of JSON are published:

- `gt_annotations_*.json`: `{image: {"img_size": [rows, columns], finding: [ring, ...]}}`, each
  ring a list of [x, y];
- `gt_segmentations_*.json`: `{image: {finding: {"size": [rows, columns], "counts": "..."}}}`,
  COCO's compressed run lengths, a mask for every finding, empty where it is absent;
- most representative points: `{image: {"img_size": ..., finding: [[x, y], ...]}}`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.label_cells import known_finding
from cxrloc.datasets.records import boxed_record, checked_box, checked_frame
from cxrloc.datasets.shapes import box_of_mask, box_of_outline, coco_runs, outline_of
from cxrloc.errors import CxrlocError
from cxrloc.files.structured import expecting, read_json
from cxrloc.types import Annotation, Mask, Record

_MOST_PIXELS = 200_000_000  # of a mask: 200 MB in memory while its box is found
_KIND = "one of CheXlocalize's JSON files"


@dataclass(frozen=True, slots=True)
class Point:
    """The point that a reader would mark for a finding, in pixels of the original image."""

    image_id: str
    finding: str
    x: float
    y: float


def read_chexlocalize(path: Path) -> list[Record]:
    """One record per image of a file of polygons or of masks.

    All polygons of a finding form one annotation with one box around them, and so do all parts of a
    mask. Images are looked for in CheXpert's layout (`patient64541/study1/...`), beside the file or
    up to two folders below it.

    Raises:
        CxrlocError: not such a JSON file, or an entry (named) breaks its rules.
    """
    with expecting(path, _KIND):
        return [_record(path, image_id, entry) for image_id, entry in _entries(path)]


def read_chexlocalize_points(path: Path) -> list[Point]:
    """The most representative points, in the order of the file.

    Raises:
        CxrlocError: not such a JSON file.
    """
    with expecting(path, _KIND):
        return [
            Point(image_id, known_finding(f"{path}, {image_id}", finding), float(x), float(y))
            for image_id, entry in _entries(path)
            for finding, points in entry.items()
            if finding != "img_size"
            for x, y in points
        ]


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for image_id, entry in read_json(path).items():
        yield checked_id(str(path), image_id), entry


def _record(path: Path, image_id: str, entry: dict[str, Any]) -> Record:
    where = f"{path}, {image_id}"
    shapes = {name: shape for name, shape in entry.items() if name != "img_size"}
    frames = {tuple(shape["size"]) for shape in shapes.values() if isinstance(shape, dict)}
    frames |= {tuple(entry["img_size"])} if "img_size" in entry else set()
    if len(frames) != 1:
        raise CxrlocError(f"{where}: its shapes have {len(frames)} sizes, an image has one")
    frame = checked_frame(where, *next(iter(frames)))
    drawn = [_annotation(where, image_id, name, shape) for name, shape in shapes.items()]
    return boxed_record(
        image_id,
        filter(None, drawn),
        patient_id=image_id.split("_")[0],
        frame=frame,
        path=_image(path.parent, image_id),
    )


def _annotation(where: str, image_id: str, name: str, shape: Any) -> Annotation | None:
    """The annotation that is given by rings or by a mask; None if nothing was drawn."""
    finding = known_finding(where, name)
    if isinstance(shape, dict):
        rows, columns = checked_frame(where, *shape["size"])
        if rows * columns > _MOST_PIXELS:
            raise CxrlocError(f"{where}: a mask of {rows} x {columns} pixels is that of no image")
        mask = Mask(rows, columns, coco_runs(shape["counts"]))
        if min(mask.runs, default=0) < 0 or sum(mask.runs) > rows * columns:
            raise CxrlocError(f"{where}: the run lengths of {name} leave its {rows} x {columns}")
        around = box_of_mask(mask)
        return Annotation(image_id, finding, around, mask, where) if around else None
    outline = outline_of(shape)
    if not outline.polygons:
        return None
    box = checked_box(f"{where}, {name}", *box_of_outline(outline))
    return Annotation(image_id, finding, box, outline, where)


def _image(folder: Path, image_id: str) -> Path | None:
    """Path of an image: `patient1_study2_view1_frontal` -> patient1/study2/view1_frontal.jpg."""
    name = escape(f"{image_id.replace('_', '/', 2)}.jpg")
    return next(
        (found for above in ("", "*/", "*/*/") for found in folder.glob(above + name)), None
    )
