"""Tests whether the probability depends on the pixels that a heatmap marks as relevant."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

ROAD_PERCENTILES = (70, 80, 90)
"""ROAD removes the pixels above each percentile: 30, 20 and 10 % of the pixels."""

_BATCH = 16

Scores = Callable[[Float[Tensor, "batch channel row col"]], Float[Tensor, " batch"]]
"""The probability of one finding for each image of a batch."""


def insertion_deletion(
    scores: Scores,
    image: Float[Tensor, "channel row col"],
    heatmap: Float[np.ndarray, "map_row map_col"],
    steps: int = 10,
) -> tuple[Float[np.ndarray, " share"], Float[np.ndarray, " share"]]:
    """Two curves of the probability as the most relevant pixels are inserted or deleted.

    Petsiuk et al. 2018 (RISE), section 4. Pixels are inserted or deleted in equal shares, the most
    relevant first. Insertion starts from the blurred image, deletion ends at a blank one. The area
    under insertion should be large, under deletion small.
    `Departs:` blank is the mean grey of the network's preprocessing (0 there), because an image
    that is all black is unlike any radiograph.

    Args:
        scores: function from images to the probability of the finding.
        image: the network's input.
        heatmap: raw map on any grid that spans the input; its bilinear surface ranks the pixels.
        steps: number of equal shares; each curve has one point more.

    Returns:
        Insertion and deletion at shares 0, 1/steps, ..., 1.
    """
    rank = _removal_rank(heatmap, image.shape[-2:])  # 0: most relevant
    shares = np.arange(steps + 1) / steps * rank.size
    first = torch.from_numpy(rank[None] < shares[:, None, None])[:, None].to(image.device)
    inserted = torch.where(first, image, _blurred(image))
    deleted = torch.where(first, torch.zeros_like(image), image)
    curves = [_in_batches(scores, versions) for versions in (inserted, deleted)]
    return curves[0], curves[1]


def area(curve: Float[np.ndarray, " share"]) -> float:
    """Area under a curve over shares from 0 to 1, by trapezia.

    >>> area(np.array([0.0, 1.0, 1.0]))
    0.75
    """
    return float((curve[:-1] + curve[1:]).mean() / 2)


def road(
    scores: Scores,
    image: Float[Tensor, "channel row col"],
    heatmap: Float[np.ndarray, "map_row map_col"],
    seed: int,
    percentiles: Sequence[int] = ROAD_PERCENTILES,
) -> float:
    """ROAD: half the probability difference between removing least and most relevant pixels.

    Rong et al. 2022, through the grad-cam package: removed pixels are replaced by a noisy linear
    interpolation of their surroundings, so that the shape of the hole itself reveals little. The
    score is half the difference of the two probabilities, averaged over percentiles. Larger is
    better; a random map is expected to score 0.
    The package's noise is drawn from `seed`.
    `Departs:` 10 to 30 % of the pixels are removed, not up to 90 %, because the finding itself is
    small.
    """
    from pytorch_grad_cam.metrics.road import ROADCombined  # imported here, because it loads OpenCV

    surface = _surface(heatmap, image.shape[-2:])
    share = (surface - surface.min()) / (surface.max() - surface.min())
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # grad-cam 1.5.7 passes tensors to numpy in a way that numpy 2 reports as deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.manual_seed(seed)
        metric = ROADCombined(list(percentiles))
        result = metric(image[None], share[None], [_only], _Scored(scores))
    return float(result[0])


class _Scored(nn.Module):
    """A module around a scoring function, because grad-cam calls a module.

    Its output has one row per image.
    """

    def __init__(self, scores: Scores) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, images: Tensor) -> Tensor:
        return self.scores(images)[:, None]


def _only(row: Tensor) -> Tensor:
    return row[0]


def _surface(
    heatmap: Float[np.ndarray, "map_row map_col"], shape: Sequence[int]
) -> Float[np.ndarray, "row col"]:
    """The bilinear surface from which boxes are cut, at the pixels of the input."""
    grid = torch.from_numpy(heatmap)[None, None].double()
    surface = F.interpolate(grid, size=tuple(shape), mode="bilinear", align_corners=False)
    return surface[0, 0].numpy()


def _removal_rank(
    heatmap: Float[np.ndarray, "map_row map_col"], shape: Sequence[int]
) -> Int[np.ndarray, "row col"]:
    """Rank of each pixel, the most relevant first; equal pixels in reading order."""
    surface = _surface(heatmap, shape).ravel()
    rank = np.empty(surface.size, dtype=int)
    rank[np.argsort(-surface, kind="stable")] = np.arange(surface.size)
    return rank.reshape(tuple(shape))


def _blurred(image: Float[Tensor, "channel row col"]) -> Float[Tensor, "channel row col"]:
    """The image averaged over blocks of about 28 pixels, and bilinear between the blocks."""
    rows, columns = image.shape[-2:]
    coarse = F.adaptive_avg_pool2d(image[None], (max(1, rows // 28), max(1, columns // 28)))
    return F.interpolate(coarse, size=(rows, columns), mode="bilinear", align_corners=False)[0]


def _in_batches(
    scores: Scores, images: Float[Tensor, "version channel row col"]
) -> Float[np.ndarray, " version"]:
    return torch.cat([scores(batch) for batch in images.split(_BATCH)]).cpu().numpy().astype(float)
