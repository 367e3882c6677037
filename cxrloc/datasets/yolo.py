"""Boxes and polygons in YOLO's text files, and the names of their classes."""

import re
from collections.abc import Mapping
from pathlib import Path

from cxrloc.datasets.box_folders import Drawn, files_of
from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import SeenNames, image_named, images_by_stem
from cxrloc.datasets.records import checked_box
from cxrloc.datasets.shapes import box_of_outline, outline_of
from cxrloc.errors import CxrlocError
from cxrloc.files.tables import number_in
from cxrloc.findings import standard_finding
from cxrloc.images.size import image_size
from cxrloc.types import Annotation

NAMES_FILES = ("classes.txt", "obj.names", "names.txt", "data.yaml", "dataset.yaml")
"""Files that list the classes of YOLO: one class per line, or under `names:` in YAML."""

_ENTRY = re.compile(r"(?:-|(?P<number>\d+)\s*:)?\s*(?P<name>'[^']*'|\"[^\"]*\"|[^,'\"]+)")


def read_yolo(folder: Path, files: Mapping[str, Path]) -> dict[str, Drawn]:
    """YOLO text: a line per box, "class x_centre y_centre width height" as shares of the image.

    A sixth number, the confidence, is left out. A line with more numbers is a polygon: a class and
    the x and y of each corner. The names of the classes stand in one of `NAMES_FILES`, in the
    folder or above it.

    Args:
        folder: of the text files, one per image, named like it.
        files: the images by id; their sizes turn shares into pixels.

    Raises:
        CxrlocError: no file lists the names of the classes, a line is not of this form, or an image
            with boxes is missing.
    """
    names, known, seen = _names(folder), images_by_stem(files), SeenNames()
    drawn = {}
    for path in files_of(folder, ".txt"):
        if path.name in NAMES_FILES:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        image_id = image_named(str(path), name, known) or checked_id(str(path), path.stem)
        seen.check(str(path), name, image_id)
        lines = _lines(path)
        if lines and image_id not in files:
            raise CxrlocError(f"{path}: no image {image_id}; YOLO's shares need its size")
        frame = image_size(files[image_id]) if image_id in files else None
        drawn[image_id] = Drawn(
            [
                _annotation(f"{path}, row {number}", line, names, image_id, frame or (1, 1))
                for number, line in enumerate(lines, start=1)
            ],
            frame,
        )
    return drawn


def _annotation(
    where: str, line: str, names: Mapping[int, str], image_id: str, frame: tuple[int, int]
) -> Annotation:
    """The box or polygon of a line, in pixels of an image of these rows and columns."""
    first, *cells = line.split()
    if not first.isdecimal() or int(first) not in names or len(cells) < 4:
        raise CxrlocError(
            f"{where}: {line[:40]!r} is not a class of {', '.join(map(str, names))} and four shares"
        )
    shares = [number_in(where, "a share", cell) for cell in cells]
    if not all(0 <= share <= 1 for share in shares):
        raise CxrlocError(f"{where}: shares of the image lie from 0 to 1")
    rows, columns = frame
    outline = None
    if len(shares) <= 5:
        x, y, width, height = shares[:4]
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        x_min, y_min, x_max, y_max = corners
        box = checked_box(where, x_min * columns, y_min * rows, x_max * columns, y_max * rows)
    elif len(shares) % 2:
        raise CxrlocError(f"{where}: {len(shares)} numbers are neither a box nor a polygon")
    else:
        points = zip(shares[::2], shares[1::2], strict=True)
        outline = outline_of([[(x * columns, y * rows) for x, y in points]])
        box = checked_box(where, *box_of_outline(outline))
    return Annotation(image_id, names[int(first)], box, outline, where)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CxrlocError(f"{path}: cannot be read as text ({error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _names(folder: Path) -> dict[int, str]:
    """The finding of each class by its number."""
    places = (above / name for above in (folder, folder.parent) for name in NAMES_FILES)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise CxrlocError(
            f"{folder}: no names of YOLO's classes; put one of {', '.join(NAMES_FILES)} there"
        )
    lines = _lines(path)
    names = _names_of_yaml(path, lines) if path.suffix == ".yaml" else dict(enumerate(lines))
    findings = {number: standard_finding(name) for number, name in names.items()}
    if "" in findings.values():
        raise CxrlocError(f"{path}: a class without a name; every class needs its finding")
    return findings


def _names_of_yaml(path: Path, lines: list[str]) -> dict[int, str]:
    """The classes in YOLO's YAML: `names: [a, b]` or `{0: a, 1: b}`, or a line for each of them."""
    plain = [re.sub(r"\s+#.*", "", line) for line in lines if not line.startswith("#")]
    start = next((i for i, line in enumerate(plain) if line.startswith("names:")), None)
    if start is None:
        raise CxrlocError(f"{path}: it has no names:")
    first, rest = plain[start].removeprefix("names:").strip(), plain[start + 1 :]
    if first:
        inside = " ".join([first, *rest]).strip()
        closing = {"[": "]", "{": "}"}.get(inside[0], "")
        if not closing or closing not in inside:
            raise CxrlocError(f"{path}: names: is no list of classes")
        entries = inside[1 : inside.index(closing)].split(",")
    else:
        listed = (re.match(r"-|\d+\s*:", line) for line in rest)
        end = next((i for i, each in enumerate(listed) if each is None), len(rest))
        entries = rest[:end]
    found: dict[int, str] = {}
    for place, entry in enumerate(each.strip() for each in entries if each.strip()):
        parts = _ENTRY.fullmatch(entry)
        if parts is None:
            raise CxrlocError(f"{path}: {entry[:40]!r} under names: is no class")
        number = int(parts["number"] or place)
        if number in found:
            raise CxrlocError(f"{path}: class {number} is named twice")
        found[number] = parts["name"].strip("'\" ")
    return found
