"""Boxes from Pascal VOC XML."""

from pathlib import Path
from xml.etree import ElementTree

from cxrloc.datasets.image_files import image_id_of
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.findings import standard_finding
from cxrloc.types import Annotation, CxrlocError, Record

Frame = tuple[int, int] | None


def read_voc(folder: Path) -> list[Record]:
    """One record per image of a folder of Pascal VOC XML (`*.xml`, or `Annotations/*.xml`).

    Raises:
        CxrlocError: no such file, one that is not XML, a number missing, a box without area, or
            two files that disagree on the size of their image.
    """
    paths = sorted(folder.glob("*.xml")) or sorted(folder.glob("Annotations/*.xml"))
    if not paths:
        raise CxrlocError(
            f"{folder} holds no table of a published data set by its published name (such as "
            "Data_Entry_2017*.csv) and no Pascal VOC XML (*.xml, or Annotations/*.xml)"
        )
    boxes: dict[str, list[Annotation]] = {}
    frames: dict[str, Frame] = {}
    for path in paths:
        image_id, annotations, frame = _read_file(path)
        if frames.setdefault(image_id, frame) != frame:
            raise CxrlocError(f"{path}: <size> of {image_id} differs from that of another file")
        boxes.setdefault(image_id, []).extend(annotations)
    return [boxed_record(image_id, boxes[image_id], frame=frames[image_id]) for image_id in boxes]


def _read_file(path: Path) -> tuple[str, list[Annotation], Frame]:
    root = _parse_without_entities(path)
    image_id = image_id_of(root.findtext("filename") or path.stem)
    annotations = []
    for number, entry in enumerate(root.iter("object"), start=1):
        where = f"{path}, object {number}"
        finding = standard_finding(entry.findtext("name") or "")
        if not finding:
            raise CxrlocError(f"{where}: <name> is empty; every box needs its finding")
        x_min, y_min, x_max, y_max = (
            _number(entry, f"bndbox/{name}", where) for name in ("xmin", "ymin", "xmax", "ymax")
        )
        # Corner pixels count from 1 and belong to the box (VOC devkit).
        box = checked_box(where, x_min - 1, y_min - 1, x_max, y_max)
        annotations.append(Annotation(image_id, finding, box))
    return image_id, annotations, _frame(root, path)


def _frame(root: ElementTree.Element, path: Path) -> Frame:
    if root.find("size") is None:
        return None
    rows, columns = (_number(root, f"size/{name}", str(path)) for name in ("height", "width"))
    # Some tools write a size of 0 for "unknown".
    return (int(rows), int(columns)) if rows >= 1 and columns >= 1 else None


def _parse_without_entities(path: Path) -> ElementTree.Element:
    try:
        text = path.read_text(encoding="utf-8-sig")
        # Entities can grow without bound or name other files; annotations have no use for them.
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise CxrlocError(f"{path} declares a document type: remove it to have the file read")
        return ElementTree.fromstring(text)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise CxrlocError(f"{path} cannot be read as Pascal VOC XML: {error}") from error


def _number(element: ElementTree.Element, name: str, where: str) -> float:
    text = element.findtext(name)
    try:
        return float(text or "")
    except ValueError as error:
        raise CxrlocError(f"{where}: <{name}> is {text!r}, not a number") from error
