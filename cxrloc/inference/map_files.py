"""Raw maps of all findings of one image on disk: `<image_id>.npz`, from here or any other tool."""

from collections import Counter
from dataclasses import astuple
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cxrloc.files.structured import read_npz
from cxrloc.findings import standard_finding
from cxrloc.types import Affine, CxrlocError, Heatmaps

_NUMBERS = "fiu"  # numpy's kinds: floating point, signed and unsigned integers

KEYS = ("findings", "probabilities", "maps", "to_image", "rows", "columns")


Probabilities = Float[np.ndarray, " finding"]


def write_maps(probabilities: Probabilities, heatmaps: Heatmaps, path: Path) -> None:
    """Write what `read_maps` reads: plain arrays under the names of `KEYS`."""
    np.savez_compressed(
        path,
        findings=np.array(heatmaps.findings),
        probabilities=probabilities,
        maps=heatmaps.scores,
        to_image=np.array(astuple(heatmaps.to_image)),
        rows=heatmaps.image_rows,
        columns=heatmaps.image_columns,
    )


def read_maps(path: Path, image_id: str) -> tuple[Probabilities, Heatmaps]:
    """The probabilities and the raw maps in a file.

    Of another tool's file only `findings` [finding] and `maps` [finding row col] are needed, with
    `rows` and `columns` of the original image. Without `probabilities` they are 1; without
    `to_image` (xx, xy, x0, yx, yy, y0: grid to original pixels) the map covers the whole image.

    Raises:
        CxrlocError: no file, none of arrays, or an array is missing or of the wrong shape.
    """
    arrays = read_npz(path, KEYS)
    for key in ("findings", "maps", "rows", "columns"):
        if key not in arrays:
            raise CxrlocError(
                f"{path}: has no array {key!r}; it needs findings, maps, rows, columns"
            )
    maps = arrays["maps"]
    findings = tuple(standard_finding(str(name)) for name in arrays["findings"].ravel())
    numbers = maps.dtype.kind in _NUMBERS and maps.size > 0
    if maps.ndim != 3 or len(maps) != len(findings) or not numbers:
        raise CxrlocError(
            f"{path}: maps must be numbers [finding, row, col], one finding per name, got shape "
            f"{maps.shape} for {len(findings)} findings"
        )
    if twice := [name for name, count in Counter(findings).items() if count > 1]:
        raise CxrlocError(f"{path}: {twice[0]} is there twice; one map per finding")
    sizes = {"rows": 1, "columns": 1, "to_image": 6, "probabilities": len(findings)}
    for key, size in sizes.items():
        if key in arrays and not _are_numbers(arrays[key], size):
            raise CxrlocError(f"{path}: {key} must be {size} finite numbers")
    probabilities = arrays.get("probabilities", np.ones(len(findings))).ravel()
    if ((probabilities < 0) | (probabilities > 1)).any():
        raise CxrlocError(
            f"{path}: probabilities must lie between 0 and 1, not {probabilities.min():g} to "
            f"{probabilities.max():g}"
        )
    rows, columns = arrays["rows"].item(), arrays["columns"].item()
    if min(rows, columns) < 1:
        raise CxrlocError(f"{path}: rows and columns must be those of the image, above 0")
    whole = Affine(xx=columns / maps.shape[2], yy=rows / maps.shape[1])
    heatmaps = Heatmaps(
        image_id=image_id,
        findings=findings,
        scores=maps,
        to_image=Affine(*arrays["to_image"].ravel().tolist()) if "to_image" in arrays else whole,
        image_rows=rows,
        image_columns=columns,
    )
    return probabilities, heatmaps


def _are_numbers(values: np.ndarray, size: int) -> bool:
    """Whether an array holds so many finite numbers; text and dates are none."""
    kind, numbers = values.dtype.kind, values.size == size
    return bool(kind in _NUMBERS and numbers and np.isfinite(values).all())
