"""Raw maps of images: files `<image_id>.npz` of any tool, and the results of `cxrloc archive`."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from cxrloc.datasets.image_files import image_id_of
from cxrloc.errors import CxrlocError
from cxrloc.files.arrays import read_npz
from cxrloc.files.part_tables import rows_of_parts
from cxrloc.files.structured import expecting
from cxrloc.files.whole import whole_file
from cxrloc.findings import standard_finding
from cxrloc.types import Affine, Heatmaps

KEYS = ("findings", "probabilities", "maps", "to_image", "rows", "columns")

LONGEST_SIDE = 65_535
"""Rows and Columns of a DICOM image have two bytes (PS3.3 C.7.6.3)."""

Probabilities = Float[np.ndarray, " finding"]


def write_maps(probabilities: Probabilities, heatmaps: Heatmaps, path: Path) -> None:
    """Write maps and probabilities for `read_maps`, as plain arrays named by `KEYS`."""
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            findings=np.array(heatmaps.findings),
            probabilities=probabilities,
            maps=heatmaps.scores,
            to_image=np.array(astuple(heatmaps.to_image)),
            rows=heatmaps.image_rows,
            columns=heatmaps.image_columns,
        )


def read_maps(path: Path, image_id: str) -> tuple[Probabilities, Heatmaps]:
    """The probabilities and the raw maps in a file.

    A file of another tool needs only `findings` [finding] and `maps` [finding row col], with `rows`
    and `columns` of the original image. If `probabilities` is missing, all are 1. If `to_image`
    (xx, xy, x0, yx, yy, y0: grid to original pixels) is missing, the map covers the whole image.
    A map may hold NaN or infinite values, which make it degenerate (`regions.is_degenerate`).

    Args:
        path: the npz file.
        image_id: id of the image that the maps show.

    Raises:
        CxrlocError: there is no such file, it does not hold plain arrays, an array is missing, or
            its values break a rule; the message names the file and the rule.
    """
    arrays = read_npz(path, KEYS)
    for key in ("findings", "maps", "rows", "columns"):
        if key not in arrays:
            raise CxrlocError(
                f"{path}: has no array {key!r}; it needs findings, maps, rows, columns"
            )
    return _checked(path, image_id, arrays)


def _checked(
    path: Path | str, image_id: str, arrays: Mapping[str, np.ndarray]
) -> tuple[Probabilities, Heatmaps]:
    """The probabilities and the maps of one image, after the checks of every rule."""
    findings = _findings(path, arrays["findings"])
    maps = arrays["maps"]
    numbers = maps.dtype.kind in "fiu" and maps.size > 0
    if maps.ndim != 3 or len(maps) != len(findings) or not numbers:
        raise CxrlocError(
            f"{path}: maps must be numbers [finding, row, col], one finding per name, got shape "
            f"{maps.shape} of {maps.dtype} for {len(findings)} findings"
        )
    rows, columns = (_numbers(path, arrays, key, 1)[0] for key in ("rows", "columns"))
    if min(rows, columns) < 1 or max(rows, columns) > LONGEST_SIDE or rows % 1 or columns % 1:
        raise CxrlocError(
            f"{path}: rows and columns must be those of the image, whole numbers from 1 to "
            f"{LONGEST_SIDE}, got {rows:g} and {columns:g}"
        )
    to_image = Affine(xx=columns / maps.shape[2], yy=rows / maps.shape[1])
    if "to_image" in arrays:
        to_image = Affine(*_numbers(path, arrays, "to_image", 6).tolist())
    if to_image.xx * to_image.yy == to_image.xy * to_image.yx:
        raise CxrlocError(f"{path}: to_image flattens the map: its determinant is 0")
    probabilities = np.ones(len(findings))
    if "probabilities" in arrays:
        probabilities = _numbers(path, arrays, "probabilities", len(findings))
        if probabilities.min() < 0 or probabilities.max() > 1:
            raise CxrlocError(
                f"{path}: probabilities must lie between 0 and 1, not {probabilities.min():g} to "
                f"{probabilities.max():g}"
            )
    return probabilities, Heatmaps(image_id, findings, maps, to_image, int(rows), int(columns))


def maps_in_parts(folder: Path) -> Iterator[tuple[Probabilities, Heatmaps]]:
    """The probabilities and the raw maps of each image in the results of `cxrloc archive`.

    Raises:
        CxrlocError: the results have no maps, or those of an image break a rule; the message names
            the file of the part, the image and the rule.
    """
    columns = ("uri", "finding", "probability", "rows", "columns", "map_rows", "map_columns")
    rows = rows_of_parts(folder, "maps", (*columns, "to_image", "scores"))
    empty = True
    for (file, uri), of_image in groupby(rows, lambda row: (row.file, str(row.cells[0]))):
        yield _of_part(f"{file}, image {uri}", uri, [row.cells for row in of_image])
        empty = False
    if empty:
        raise CxrlocError(f"{folder}: has no maps; `cxrloc archive --save-maps` writes them")


def _of_part(where: str, uri: str, rows: list[tuple[Any, ...]]) -> tuple[Probabilities, Heatmaps]:
    """The maps of one image from its rows, one per finding."""
    _, findings, probabilities, *sizes, to_image, scores = zip(*rows, strict=True)
    image_rows, image_columns, map_rows, map_columns = (size[0] for size in sizes)
    with expecting(where, "an image with maps of one size"):
        maps = np.array(scores, dtype=np.float32).reshape(len(rows), map_rows, map_columns)
    arrays = {
        "findings": np.array(findings),
        "probabilities": np.array(probabilities),
        "maps": maps,
        "to_image": np.array(to_image[0]),
        "rows": np.array(image_rows),
        "columns": np.array(image_columns),
    }
    return _checked(where, image_id_of(uri), arrays)


def _findings(path: Path | str, names: np.ndarray) -> tuple[str, ...]:
    """The standard names of the findings; a name that appears twice is an error."""
    if names.dtype.kind not in "US":
        raise CxrlocError(f"{path}: findings must be text, got {names.dtype}")
    as_text = [n.decode(errors="replace") if isinstance(n, bytes) else n for n in names.flat]
    findings = tuple(standard_finding(str(name)) for name in as_text)
    for finding in findings:
        if findings.count(finding) > 1:
            raise CxrlocError(f"{path}: {finding} is there twice; one map per finding")
    return findings


def _numbers(
    path: Path | str, arrays: Mapping[str, np.ndarray], key: str, size: int
) -> Float[np.ndarray, " n"]:
    """One array as finite numbers, of the expected count; text is not accepted as numbers."""
    array = arrays[key]
    if array.dtype.kind not in "fiu" or array.size != size or not np.isfinite(array).all():
        raise CxrlocError(
            f"{path}: {key} must be {size} finite numbers, got {array.size} of {array.dtype}"
        )
    return array.astype(np.float64).ravel()
