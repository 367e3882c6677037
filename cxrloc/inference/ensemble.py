"""The shared findings of several models, and the means of their probabilities and maps."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from cxrloc.errors import CxrlocError
from cxrloc.images.geometry import compose, inverse, transform_boxes
from cxrloc.types import Affine


def shared_findings(vocabularies: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The findings that every model knows, in the order of the first.

    Raises:
        CxrlocError: no finding is known to all models.

    >>> shared_findings([("Mass", "Nodule", "Edema"), ("Nodule", "Mass")])
    ('Mass', 'Nodule')
    """
    shared = tuple(f for f in vocabularies[0] if all(f in other for other in vocabularies))
    if not shared:
        raise CxrlocError("these models share no finding, so they make no ensemble")
    return shared


def mean_probabilities(
    of_models: Sequence[Float[np.ndarray, "*image finding"]],
) -> Float[np.ndarray, "*image finding"]:
    """The mean of several models' probabilities of the same images and findings.

    Raises:
        ValueError: a probability is NaN, because the network overflows or its weights are damaged.

    >>> mean_probabilities([np.float32([0.25, 0.5]), np.float32([0.75, 0.5])])
    array([0.5, 0.5], dtype=float32)
    """
    mean = np.asarray(np.mean(of_models, axis=0))
    if np.isnan(mean).any():
        raise ValueError("the network gives NaN as a probability")
    return mean


def average_maps(
    maps: Sequence[Float[np.ndarray, "finding _row _col"]], to_image: Sequence[Affine]
) -> tuple[Float[np.ndarray, "finding row col"], Affine]:
    """The mean of several models' maps of one image, on the finest of their grids.

    Each map is first scaled to [0, 1] by its own minimum and maximum, so that no model outweighs
    another; a flat map adds nothing. Models may crop the image differently, so the finest grid is
    extended with further cells as far as any map reaches. The maps are interpolated bilinearly at
    the centres of these cells in the original image. The value of a cell is the mean of the maps
    that reach it, so the result does not depend on the order of the models. The maps of a single
    model are returned raw.

    Args:
        maps: maps of each model, for the same findings.
        to_image: affine from grid coordinates of each model's map to original pixels.

    Returns:
        The mean map, and the affine from its grid coordinates to original pixels.

    >>> left, right = np.float32([[[4, 2]]]), np.float32([[[0, 9]]])
    >>> average_maps([left, right], [Affine(), Affine()])[0]
    array([[[0.5, 0.5]]], dtype=float32)
    """
    if len(maps) == 1:
        return maps[0], to_image[0]
    # Here, because the maps of one exported graph are made without torch.
    import torch

    from cxrloc.localization.sampling import mean_inside, sample

    shapes = [(values.shape[-2], values.shape[-1]) for values in maps]
    grid, rows, columns = _common_grid(shapes, to_image)
    sampled = []
    for values, affine in zip(map(torch.from_numpy, maps), to_image, strict=True):
        low, high = values.amin((-2, -1), keepdim=True), values.amax((-2, -1), keepdim=True)
        share = torch.nan_to_num((values - low) / (high - low), nan=0.0, posinf=0.0, neginf=0.0)
        sampled.append(sample(share[None], compose(grid, inverse(affine)), rows, columns))
    return mean_inside(sampled)[0].numpy(), grid


def _common_grid(
    shapes: Sequence[tuple[int, int]], to_image: Sequence[Affine]
) -> tuple[Affine, int, int]:
    """The finest grid, extended to all cells whose centre a map reaches; its rows and columns.

    Of several equally fine grids, it is the one farthest to the left, then to the top.

    >>> _common_grid([(1, 2), (1, 2)], [Affine(x0=3.0), Affine()])
    (Affine(xx=1.0, xy=0.0, x0=0.0, yx=0.0, yy=1.0, y0=0.0), 1, 5)
    """
    finest = min(to_image, key=lambda affine: (_cell_area(affine), affine.x0, affine.y0))
    reached = np.concatenate(
        [
            transform_boxes(compose(affine, inverse(finest)), np.array([[0.0, 0.0, columns, rows]]))
            for (rows, columns), affine in zip(shapes, to_image, strict=True)
        ]
    )
    left, top = np.ceil(reached[:, :2].min(axis=0) - 0.5)
    right, bottom = np.floor(reached[:, 2:].max(axis=0) + 0.5)
    grid = compose(Affine(x0=float(left), y0=float(top)), finest)
    return grid, int(bottom - top), int(right - left)


def _cell_area(to_image: Affine) -> float:
    """The area of a cell of the grid, in original pixels squared."""
    return abs(to_image.xx * to_image.yy - to_image.xy * to_image.yx)
