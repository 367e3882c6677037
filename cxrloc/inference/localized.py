"""The result of models on one image: its maps, and where their cells lie in the image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from cxrloc.images.geometry import compose, inverse
from cxrloc.inference.ensemble import average_maps
from cxrloc.inference.prepared import Prepared
from cxrloc.inference.suitability import Suitability
from cxrloc.types import Affine, Heatmaps, Radiograph, shown

if TYPE_CHECKING:
    import PIL.Image


class Localized(NamedTuple):
    """The results of models on one image.

    Attributes:
        radiograph: the image as it was read, with the warnings that belong to it.
        probabilities: of each finding of `heatmaps`, in [0, 1].
        heatmaps: raw maps of these findings.
        suitability: whether the models were made for such an image.
    """

    radiograph: Radiograph
    probabilities: Float[np.ndarray, " finding"]
    heatmaps: Heatmaps
    suitability: Suitability = Suitability()

    def __repr__(self) -> str:
        ranked = sorted(
            zip(self.heatmaps.findings, self.probabilities, strict=True), key=lambda pair: -pair[1]
        )
        words = ", ".join(f"{finding} {p:.2f}" for finding, p in ranked)
        return f"Localized({self.heatmaps.image_id!r}, {self.suitability.status}: {words})"

    def plot(self, findings: Sequence[str] = ()) -> "PIL.Image.Image":
        """The maps of these findings over the radiograph; empty: of the three most probable."""
        order = np.argsort(-self.probabilities, kind="stable")[:3]
        chosen = findings or [self.heatmaps.findings[k] for k in order]
        return self.heatmaps.plot(self.radiograph, chosen)

    def _repr_png_(self) -> bytes:
        return shown("png", self.plot())


def localized(
    item: Prepared,
    findings: tuple[str, ...],
    probabilities: Float[np.ndarray, " finding"],
    maps: Sequence[Float[np.ndarray, "finding _row _col"]],
    cells: Sequence[Affine],
    suitability: Suitability,
) -> Localized:
    """The result of one image from each model's output.

    Args:
        item: the image.
        findings: the findings of probabilities and maps.
        probabilities: the mean over the models.
        maps: raw maps of each model.
        cells: of each model, the affine from grid coordinates to its input (`cell_affine`).
        suitability: whether the models were made for such an image.
    """
    to_image = [
        compose(cell, inverse(to_input))
        for (_, to_input), cell in zip(item.inputs, cells, strict=True)
    ]
    mean_maps, mean_to_image = average_maps(maps, to_image)
    rows, columns = item.shape
    heatmaps = Heatmaps(
        item.image_id,
        findings,
        mean_maps,
        mean_to_image,
        image_rows=rows,
        image_columns=columns,
    )
    return Localized(item.radiograph, probabilities, heatmaps, suitability)


def cell_affine(
    images_shape: Sequence[int], maps_shape: Sequence[int], shift_pixels: float
) -> Affine:
    """The affine from grid coordinates of a map to coordinates of the network's input.

    The grid covers the input and is moved by the distance from the centre of a cell to the centre
    of the region that the cell's feature sees (`models.grid.cell_shift_pixels`; 0 for networks that
    have no such attribute).

    >>> cell_affine((1, 1, 256, 256), (1, 8, 16, 16), shift_pixels=-7.5)
    Affine(xx=16.0, xy=0.0, x0=-7.5, yx=0.0, yy=16.0, y0=-7.5)
    """
    return Affine(
        xx=images_shape[-1] / maps_shape[-1],
        x0=shift_pixels,
        yy=images_shape[-2] / maps_shape[-2],
        y0=shift_pixels,
    )
