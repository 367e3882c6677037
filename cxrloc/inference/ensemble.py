"""Several models on one image: which findings they share, and the mean of their maps."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.images.geometry import compose, inverse
from cxrloc.localization.sampling import sample
from cxrloc.types import Affine, CxrlocError


def shared_findings(vocabularies: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The findings that every model knows, in the order of the first.

    Raises:
        CxrlocError: there is none.

    >>> shared_findings([("Mass", "Nodule", "Edema"), ("Nodule", "Mass")])
    ('Mass', 'Nodule')
    """
    shared = tuple(f for f in vocabularies[0] if all(f in other for other in vocabularies))
    if not shared:
        raise CxrlocError("these models share no finding, so they make no ensemble")
    return shared


def average_maps(
    maps: Sequence[Float[Tensor, "finding _row _col"]], to_image: Sequence[Affine]
) -> tuple[Float[Tensor, "finding row col"], Affine]:
    """The mean of several models' maps of one image, on the finest of their grids.

    Each map is scaled to [0, 1] by its own minimum and maximum first, so that no model outweighs
    another; a flat map adds nothing. The others are read bilinearly where the finest grid's cells
    lie in the original image, so nothing depends on the order of the models. The maps of a single
    model come back raw.

    Args:
        maps: of each model, for the same findings.
        to_image: grid coordinates of each model's map to original pixels.

    Returns:
        The mean, and its grid coordinates to original pixels.

    >>> left, right = torch.tensor([[[4.0, 2.0]]]), torch.tensor([[[0.0, 9.0]]])
    >>> average_maps([left, right], [Affine(), Affine()])[0]
    tensor([[[0.5000, 0.5000]]])
    """
    if len(maps) == 1:
        return maps[0], to_image[0]
    finest = min(range(len(maps)), key=lambda index: _cell_area(to_image[index]))
    scaled = []
    for own, affine in zip(maps, to_image, strict=True):
        low, high = own.amin((-2, -1), keepdim=True), own.amax((-2, -1), keepdim=True)
        share = torch.nan_to_num((own - low) / (high - low), nan=0.0, posinf=0.0, neginf=0.0)
        to_own = compose(to_image[finest], inverse(affine))
        scaled.append(sample(share[None], to_own, *maps[finest].shape[-2:]).planes[0])
    return torch.stack(scaled).mean(0), to_image[finest]


def _cell_area(to_image: Affine) -> float:
    """Of a cell of the grid, in original pixels."""
    return abs(to_image.xx * to_image.yy - to_image.xy * to_image.yx)
