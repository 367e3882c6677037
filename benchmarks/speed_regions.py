"""Boxes of score maps: the exact rule against upsampling to 1024 and labelling pixels.

    OMP_NUM_THREADS=1 python benchmarks/speed_regions.py

Both sides get the same 100 maps and two thresholds, in turns; times are medians per map.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage.measure import label, regionprops

from cxrloc.localization.regions import find_regions

MAPS, ROUNDS, THRESHOLDS, DENSE = 100, 5, (60.0, 180.0), 1024


def boxes_of_pixels(maps: np.ndarray) -> int:
    """Boxes by the peer: torch's bilinear upsampling, scikit-image's label and regionprops."""
    count = 0
    for grid in maps:
        scaled = torch.from_numpy((grid - grid.min()) * (255 / (grid.max() - grid.min())))
        dense = F.interpolate(scaled[None, None], (DENSE, DENSE), mode="bilinear")[0, 0].numpy()
        for threshold in THRESHOLDS:
            regions = regionprops(label(dense > threshold, connectivity=1))
            count += len([region.bbox for region in regions])
    return count


def boxes_of_surface(maps: np.ndarray) -> int:
    """Boxes by this package, computed from the map's cells without upsampling."""
    return len(find_regions(maps, THRESHOLDS).boxes)


def seconds(function: Callable[[np.ndarray], int], maps: np.ndarray) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    function(maps)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    contenders = (boxes_of_surface, boxes_of_pixels)
    print("| maps | boxes per map | cxrloc, ms | upsampling + scikit-image, ms | ratio |")
    print("|---|---|---|---|---|")
    for size in (8, 16, 20, 32):
        noise = rng.normal(size=(MAPS, size, size))
        for kind, sigma in (("smooth", 1.0), ("white noise", 0.0)):
            maps = ndimage.gaussian_filter(noise, (0, sigma, sigma)).astype(np.float32)
            times = np.array([[seconds(f, maps) for f in contenders] for _ in range(ROUNDS)])
            ours, peer = np.median(times, axis=0) * 1000 / MAPS
            print(
                f"| {size}x{size} {kind} | {boxes_of_surface(maps) / MAPS:.1f} "
                f"| {ours:.3f} | {peer:.1f} | {peer / ours:.0f} |"
            )


if __name__ == "__main__":
    main()
