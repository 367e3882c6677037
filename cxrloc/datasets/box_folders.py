"""Truth in folders with one file per image: LabelMe JSON and masks as PNG.

Each function returns the annotations by image, under the name that the folder uses for the image.
They are in pixels, with the size of the image on which they were drawn.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import images_by_stem, named_or_new_id
from cxrloc.datasets.records import checked_box, checked_frame
from cxrloc.datasets.shapes import box_of_mask, box_of_outline, mask_of_pixels, outline_of
from cxrloc.errors import CxrlocError
from cxrloc.files.structured import expecting, read_json
from cxrloc.findings import spelled_as, standard_finding
from cxrloc.types import Annotation


class Drawn(NamedTuple):
    """The truth of one image, and rows and columns of the image that it was drawn on."""

    annotations: list[Annotation]
    frame: tuple[int, int] | None


def read_labelme(folder: Path, files: Mapping[str, Path]) -> dict[str, Drawn]:
    """LabelMe JSON: a file per image with `shapes` (rectangles and polygons) and `imagePath`.

    Args:
        folder: of the JSON files.
        files: the images by id.

    Raises:
        CxrlocError: a file is not of LabelMe's format, a shape has no area, or two files are of one
            image.
    """
    known = images_by_stem(files)
    drawn: dict[str, Drawn] = {}
    for path in files_of(folder, ".json"):
        content = read_json(path)
        with expecting(path, "LabelMe JSON (shapes with label, points and shape_type)"):
            name = content.get("imagePath") or path.relative_to(folder).with_suffix("").as_posix()
            image_id = named_or_new_id(str(path), name, known)
            if checked_id(str(path), image_id) in drawn:
                raise CxrlocError(f"{path}: another file is of image {image_id} too; keep one")
            annotations = []
            for number, shape in enumerate(content["shapes"], start=1):
                where = f"{path}, shape {number}"
                kind = shape.get("shape_type", "polygon")
                if kind not in ("rectangle", "polygon"):
                    raise CxrlocError(f"{where}: {kind!r}; rectangles and polygons are read")
                corners = outline_of([[*shape["points"], shape["points"][0]]])
                box = checked_box(where, *box_of_outline(corners))
                outline = outline_of([shape["points"]]) if kind == "polygon" else None
                finding = standard_finding(shape["label"])
                if not finding:
                    raise CxrlocError(f"{where}: its label is empty; every shape needs its finding")
                annotations.append(Annotation(image_id, finding, box, outline, where))
            frame = None
            if content.get("imageHeight") and content.get("imageWidth"):
                frame = checked_frame(str(path), content["imageHeight"], content["imageWidth"])
        drawn[image_id] = Drawn(annotations, frame)
    return drawn


def read_mask_folder(
    folder: Path, image_ids: Iterable[str], declared: Iterable[str] = ()
) -> dict[str, Drawn]:
    """Masks: one PNG per image and finding, `finding/image.png` or `image_finding.png`.

    Every pixel above 0 belongs to the finding. A mask without such a pixel says that the finding
    is absent.

    Args:
        folder: of the masks.
        image_ids: of the images; with them a file name is divided into image and finding.
        declared: findings beside the known ones, by spelling.

    Raises:
        CxrlocError: a name does not hold an image and a finding, two masks of an image differ in
            size or are of one finding, or a file cannot be read.
    """
    known, names = sorted(image_ids, key=len, reverse=True), list(declared)
    drawn: dict[str, Drawn] = {}
    masks: dict[tuple[str, str], Path] = {}
    for path in files_of(folder, ".png"):
        image_id, finding = _named(path, folder, known)
        pixels = _mask(path)
        found = drawn.setdefault(image_id, Drawn([], pixels.shape))
        if found.frame != pixels.shape:
            raise CxrlocError(f"{path}: {pixels.shape} pixels; another mask has {found.frame}")
        mask = mask_of_pixels(pixels)
        other = masks.setdefault((image_id, spelled_as(finding, names)), path)
        if other != path:
            raise CxrlocError(f"{path} and {other} are both of {finding} on image {image_id}")
        box = box_of_mask(mask)
        if box is not None:
            name = spelled_as(finding, names)
            found.annotations.append(Annotation(image_id, name, box, mask, str(path)))
    return drawn


def _named(path: Path, folder: Path, image_ids: list[str]) -> tuple[str, str]:
    """Image and finding in the name of a mask; of several image ids that fit, the longest."""
    if path.parent != folder:
        return checked_id(str(path), path.stem), path.parent.name
    for image_id in image_ids:
        if path.stem.startswith(image_id) and path.stem[len(image_id) :].strip("_- "):
            return image_id, path.stem[len(image_id) :].strip("_- ")
    raise CxrlocError(
        f"{path}: a mask is named finding/image.png or image_finding.png, after an image that is "
        "there"
    )


def _mask(path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture)
    except Exception as error:  # whatever a decoder raises on a broken file
        raise CxrlocError(f"{path}: cannot be read as a mask ({type(error).__name__})") from error
    colours = pixels.reshape(*pixels.shape[:2], -1)[..., :3]
    return np.asarray(colours.any(axis=2))


def files_of(folder: Path, suffix: str) -> list[Path]:
    """The files with this suffix below a folder, without hidden ones, sorted by path."""
    found = (path for path in sorted(folder.rglob(f"*{suffix}")) if path.is_file())
    return [path for path in found if not path.name.startswith(".")]
