"""Raw maps of all findings of one image on disk: `<image_id>.npz`, from here or any other tool."""

from dataclasses import astuple
from pathlib import Path

import numpy as np

from cxrloc.inference.localize import Localization
from cxrloc.types import Affine, CxrlocError

KEYS = ("findings", "probabilities", "maps", "to_image", "rows", "columns")


def write_maps(localization: Localization, path: Path) -> None:
    """Write what `read_maps` reads: plain arrays under the names of `KEYS`."""
    np.savez_compressed(
        path,
        findings=np.array(localization.findings),
        probabilities=localization.probabilities,
        maps=localization.maps,
        to_image=np.array(astuple(localization.to_image)),
        rows=localization.rows,
        columns=localization.columns,
    )


def read_maps(path: Path, image_id: str) -> Localization:
    """The raw maps in a file.

    Of another tool's file only `findings` [finding] and `maps` [finding row col] are needed, with
    `rows` and `columns` of the original image. Without `probabilities` they are 1; without
    `to_image` (xx, xy, x0, yx, yy, y0: grid to original pixels) the map covers the whole image.

    Raises:
        CxrlocError: not an npz file of arrays, or an array is missing or of the wrong shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError) as error:
        raise CxrlocError(f"{path}: not an npz file of plain arrays ({error})") from error
    for key in ("findings", "maps", "rows", "columns"):
        if key not in arrays:
            raise CxrlocError(
                f"{path}: has no array {key!r}; it needs findings, maps, rows, columns"
            )
    maps, findings = arrays["maps"], tuple(str(name) for name in arrays["findings"])
    if maps.ndim != 3 or len(maps) != len(findings):
        raise CxrlocError(
            f"{path}: maps must be [finding, row, col] with one finding per name, got shape "
            f"{maps.shape} for {len(findings)} findings"
        )
    rows, columns = int(arrays["rows"]), int(arrays["columns"])
    whole = Affine(xx=columns / maps.shape[2], yy=rows / maps.shape[1])
    return Localization(
        image_id=image_id,
        findings=findings,
        probabilities=arrays.get("probabilities", np.ones(len(findings))),
        maps=maps,
        to_image=Affine(*map(float, arrays["to_image"])) if "to_image" in arrays else whole,
        rows=rows,
        columns=columns,
    )
