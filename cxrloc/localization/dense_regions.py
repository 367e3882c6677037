"""Finds regions on an upsampled map: a slow, simple version of `find_regions` with more options.

The options cover details that the paper of Wang et al. 2017 does not specify, and
`bench --sensitivity` shows how results depend on them. `find_regions` computes regions of the
bilinear surface exactly. The version here samples the surface pixel by pixel, so parts thinner than
a pixel may break, join or vanish. It is the reference for tests and timings of `find_regions`.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from skimage.measure import label, regionprops

from cxrloc.localization.regions import FULL_SCALE, Regions, check_thresholds, scale_maps


def find_regions_dense(
    maps: Float[np.ndarray, "map row col"],
    thresholds: Sequence[float],
    shape: tuple[int, int] = (1024, 1024),
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
    connectivity: Literal[4, 8] = 4,
    scale_by: Literal["grid", "dense"] = "grid",
) -> Regions:
    """The regions of `find_regions`, from maps upsampled to `shape`.

    Args:
        maps: raw scores, of any scale; degenerate maps give no rows.
        thresholds: each at least 0 and below 255.
        shape: rows and columns of the upsampled map; 1024 is the size of ChestX-ray14's images.
        interpolation: "bilinear" between cell centres, or "nearest", where each cell is constant.
        connectivity: number of neighbours of a pixel: 4, or 8 with the diagonal ones.
        scale_by: the map whose extremes become 0 and 255. A pixel centre is rarely at the centre of
            a cell, so the dense map loses up to 3 % of a peak.

    Returns:
        Regions with boxes in grid coordinates. Peaks are maxima over pixels, so they are at most
        the maxima over cells.

    Raises:
        UsageError: a threshold is outside [0, 255).

    >>> find_regions_dense(np.array([[[9.0, 1.0, 9.0]]]), [127.5], shape=(10, 30)).boxes
    array([[0., 0., 1., 1.],
           [2., 0., 3., 1.]])
    """
    levels = check_thresholds(thresholds)
    scaled, kept = scale_maps(maps)
    to_grid = np.array([maps.shape[2] / shape[1], maps.shape[1] / shape[0]] * 2)
    map_index, threshold, boxes, peak = [], [], [], []
    for index, grid in zip(kept, scaled, strict=True):
        dense = _upsampled(grid, shape, interpolation)
        if scale_by == "dense":
            dense = (dense - dense.min()) * FULL_SCALE / (dense.max() - dense.min())
        for level in levels:
            regions = label(dense > level, connectivity=1 if connectivity == 4 else 2)
            for region in regionprops(regions, intensity_image=dense):
                y_min, x_min, y_max, x_max = region.bbox
                map_index.append(index)
                threshold.append(level)
                boxes.append(np.array([x_min, y_min, x_max, y_max]) * to_grid)
                peak.append(region.intensity_max / FULL_SCALE)
    return Regions(
        map_index=np.array(map_index, dtype=np.int64),
        threshold=np.array(threshold, dtype=np.float64),
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        peak=np.array(peak, dtype=np.float64),
    )


def _upsampled(
    grid: Float[np.ndarray, "row col"], shape: tuple[int, int], interpolation: str
) -> Float[np.ndarray, "dense_row dense_col"]:
    batch = torch.from_numpy(grid)[None, None]
    if interpolation == "nearest":
        return F.interpolate(batch, shape, mode="nearest-exact")[0, 0].numpy()
    return F.interpolate(batch, shape, mode="bilinear", align_corners=False)[0, 0].numpy()
