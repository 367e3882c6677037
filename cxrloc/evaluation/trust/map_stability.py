"""Tests whether a heatmap changes with the weights and stays the same under small changes."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from scipy.stats import rankdata
from torch import Tensor, nn

from cxrloc.images.geometry import compose, inverse
from cxrloc.localization.sampling import sample
from cxrloc.types import Affine


def map_rank_correlation(
    a: Float[np.ndarray, "row col"], b: Float[np.ndarray, "row col"]
) -> float | None:
    """Spearman's correlation of two maps over their cells; None where one is flat.

    Adebayo et al. 2018, section 3.2.

    >>> a = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> map_rank_correlation(a, -a)
    -1.0
    """
    ranks = [rankdata(each.ravel()) for each in (a, b)]
    first, second = (each - each.mean() for each in ranks)
    scale = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / scale) if scale > 0 else None


def on_grid(
    scores: Float[np.ndarray, "own_row own_col"],
    to_image: Affine,
    other_to_image: Affine,
    shape: tuple[int, int],
) -> Float[np.ndarray, "row col"]:
    """A map on another map's grid of the same image, bilinearly."""
    to_own = compose(other_to_image, inverse(to_image))
    planes = torch.from_numpy(np.asarray(scores, dtype=np.float32))[None, None]
    return sample(planes, to_own, *shape).planes[0, 0].numpy()


def random_map(
    shape: tuple[int, int], generator: np.random.Generator
) -> Float[np.ndarray, "row col"]:
    """White noise smoothed by a Gaussian of one cell, as the baseline for measures of maps."""
    return np.asarray(ndimage.gaussian_filter(generator.standard_normal(shape), sigma=1.0))


def randomised_cascade(network: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Yields the network with more and more layers randomised, from the last to the first.

    Adebayo et al. 2018, section 4.1 (cascading randomisation). Each layer is drawn from its own
    initialisation. The running statistics of batch normalisation are reset too, because trained
    statistics do not fit random weights. The given network is not changed. Every yielded network is
    the same copy, randomised further each time.

    Yields:
        Name of the part that was randomised last, and the network.
    """
    device = next(network.parameters()).device
    copied = copy.deepcopy(network).cpu().eval()
    for number, (name, part) in enumerate(reversed(_parts(copied))):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + number)
            for layer in (layer for module in part for layer in module.cpu().modules()):
                if callable(reset := getattr(layer, "reset_parameters", None)):
                    reset()
        yield name, copied.to(device)


def shifted(
    image: Float[Tensor, "channel row col"], right: int, down: int
) -> Float[Tensor, "channel row col"]:
    """The image moved by whole pixels; the pixels at its edge are repeated.

    >>> shifted(torch.tensor([[[1.0, 2.0, 3.0]]]), right=1, down=0)
    tensor([[[1., 1., 2.]]])
    """
    rows, columns = image.shape[-2:]
    y = (torch.arange(rows) - down).clamp(0, rows - 1)
    x = (torch.arange(columns) - right).clamp(0, columns - 1)
    return image[:, y][:, :, x]


def exposed(
    image: Float[Tensor, "channel row col"],
    gamma: float,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Float[Tensor, "channel row col"]:
    """A preprocessed image whose grey levels g in [0, 1] become g ** gamma; gamma < 1 brightens."""
    middle, spread = (torch.tensor(v, device=image.device)[:, None, None] for v in (mean, std))
    grey = (image * spread + middle).clamp(0, 1)
    return (grey**gamma - middle) / spread


SHIFT_SHARE = 0.02
_OPENED = 4  # children: a backbone has more; a transition layer has these and stays whole
DISTURBANCES: dict[str, Callable[..., tuple[Float[Tensor, "channel row col"], Affine]]] = {
    "shift right": lambda image, mean, std: _moved(image, _pixels(image), 0),
    "shift down": lambda image, mean, std: _moved(image, 0, _pixels(image)),
    "exposure, gamma 0.8": lambda image, mean, std: (exposed(image, 0.8, mean, std), Affine()),
    "exposure, gamma 1.25": lambda image, mean, std: (exposed(image, 1.25, mean, std), Affine()),
}
"""Small changes that leave the findings as they are: from an image and its preprocessing's mean and
std to the changed image and the affine from its pixels back to those of the image."""


def _moved(
    image: Float[Tensor, "channel row col"], right: int, down: int
) -> tuple[Float[Tensor, "channel row col"], Affine]:
    return shifted(image, right, down), Affine(x0=-float(right), y0=-float(down))


def _pixels(image: Float[Tensor, "channel row col"]) -> int:
    return max(1, round(SHIFT_SHARE * image.shape[-1]))


def _opened(name: str, module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children of a large container, also inside a small container; else the module itself."""
    inner = [(f"{name}.{key}", part) for key, part in module.named_children()]
    if len(inner) > _OPENED:
        return inner
    if any(len([*part.children()]) > _OPENED for _, part in inner):  # the trunk of a view
        return [part for each in inner for part in _opened(*each)]
    return [(name, module)]


def _parts(network: nn.Module) -> list[tuple[str, list[nn.Module]]]:
    """The parts with weights, in the order of the network; large containers are opened once.

    A module that only normalises belongs to the part before it.
    """
    children = [part for each in network.named_children() for part in _opened(*each)]
    parts: list[tuple[str, list[nn.Module]]] = []
    for name, part in children:
        dimensions = [parameter.ndim for parameter in part.parameters()]
        # Modules whose parameters all have one axis are normalisations.
        if parts and dimensions and max(dimensions) == 1:
            parts[-1][1].append(part)
        elif dimensions:
            parts.append((name, [part]))
    return parts
