"""Boxes from Pascal VOC XML."""

from pathlib import Path
from xml.etree.ElementTree import Element

from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import SeenNames, image_id_of
from cxrloc.datasets.records import boxed_record, checked_box, checked_frame
from cxrloc.errors import CxrlocError
from cxrloc.files.structured import read_xml
from cxrloc.files.tables import number_in
from cxrloc.findings import standard_finding
from cxrloc.types import Annotation, Record

Frame = tuple[int, int] | None


def read_voc(folder: Path) -> list[Record]:
    """One record per image of a folder of Pascal VOC XML (`*.xml`, or `Annotations/*.xml`).

    Raises:
        CxrlocError: there is no such file, a file is not XML, a number is missing, a box has no
            area, or two files disagree on the size of their image.
    """
    paths = [
        path
        for path in sorted(folder.glob("*.xml")) or sorted(folder.glob("Annotations/*.xml"))
        if not path.name.startswith(".")
    ]
    if not paths:
        raise CxrlocError(
            f"{folder} holds no table of a published data set by its published name (such as "
            "Data_Entry_2017*.csv) and no Pascal VOC XML (*.xml, or Annotations/*.xml)"
        )
    boxes: dict[str, list[Annotation]] = {}
    frames: dict[str, Frame] = {}
    seen = SeenNames()
    for path in paths:
        name, annotations, frame = _read_file(path)
        image_id = image_id_of(name)
        seen.check(str(path), name, image_id)
        if frames.setdefault(image_id, frame) != frame:
            raise CxrlocError(f"{path}: <size> of {image_id} differs from that of another file")
        boxes.setdefault(image_id, []).extend(annotations)
    return [boxed_record(image_id, boxes[image_id], frame=frames[image_id]) for image_id in boxes]


def _read_file(path: Path) -> tuple[str, list[Annotation], Frame]:
    root = read_xml(path)
    if root.tag != "annotation":
        raise CxrlocError(f"{path}: <{root.tag[:40]}> is no Pascal VOC XML; it has <annotation>")
    name = root.findtext("filename") or path.stem
    image_id = checked_id(str(path), image_id_of(name))
    annotations = []
    for number, entry in enumerate(root.iter("object"), start=1):
        where = f"{path}, object {number}"
        finding = standard_finding(entry.findtext("name") or "")
        if not finding:
            raise CxrlocError(f"{where}: <name> is empty; every box needs its finding")
        x_min, y_min, x_max, y_max = (
            _number(entry, f"bndbox/{name}", where) for name in ("xmin", "ymin", "xmax", "ymax")
        )
        # Corner pixels are counted from 1 and belong to the box (VOC devkit).
        box = checked_box(where, x_min - 1, y_min - 1, x_max, y_max)
        annotations.append(Annotation(image_id, finding, box, where=where))
    return name, annotations, _frame(root, path)


def _frame(root: Element, path: Path) -> Frame:
    if root.find("size") is None:
        return None
    rows, columns = (_number(root, f"size/{name}", str(path)) for name in ("height", "width"))
    # Some tools write a size of 0 for "unknown".
    return checked_frame(str(path), rows, columns) if rows and columns else None


def _number(element: Element, name: str, where: str) -> float:
    return number_in(where, f"<{name}>", (element.findtext(name) or "").strip())
