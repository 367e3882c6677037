"""Raw maps of all findings of one image on disk: `<image_id>.npz`, from here or any other tool."""

import zlib
from dataclasses import astuple
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from cxrloc.findings import standard_finding
from cxrloc.types import Affine, CxrlocError, Heatmaps

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
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except FileNotFoundError as error:
        raise CxrlocError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        raise CxrlocError(f"{path}: not an npz file of plain arrays ({error})") from error
    for key in ("findings", "maps", "rows", "columns"):
        if key not in arrays:
            raise CxrlocError(
                f"{path}: has no array {key!r}; it needs findings, maps, rows, columns"
            )
    maps = arrays["maps"]
    findings = tuple(standard_finding(str(name)) for name in arrays["findings"].ravel())
    numbers = maps.dtype.kind in "fiu" and maps.size > 0
    if maps.ndim != 3 or len(maps) != len(findings) or not numbers:
        raise CxrlocError(
            f"{path}: maps must be numbers [finding, row, col], one finding per name, got shape "
            f"{maps.shape} for {len(findings)} findings"
        )
    sizes = {"rows": 1, "columns": 1, "to_image": 6, "probabilities": len(findings)}
    for key, size in sizes.items():
        if key in arrays and (arrays[key].size != size or not np.isfinite(arrays[key]).all()):
            raise CxrlocError(f"{path}: {key} must be {size} finite numbers")
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
    return arrays.get("probabilities", np.ones(len(findings))).ravel(), heatmaps
