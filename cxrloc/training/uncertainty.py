"""Policies for uncertain labels (-1 in CheXpert's coding).

A policy is a function of labels and a generator. Labels of 1, 0 and NaN (unknown) are not changed.
A label of -1 becomes 1, 0, a number between them, or NaN, which adds nothing to any loss.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Labels = Float[Tensor, "image finding"]

ONES_INTERVAL = (0.55, 0.85)
ZEROS_INTERVAL = (0.0, 0.3)
"""Intervals for the labels of smoothed U-Ones and U-Zeros (Pham et al. 2019, section 4.3)."""


def ignore(labels: Labels, generator: torch.Generator) -> Labels:
    """U-Ignore: an uncertain label adds nothing to the loss; the image's other labels are kept.

    Irvin et al. 2019; Pham et al. 2019, section 3.3.

    >>> ignore(torch.tensor([[1.0, -1.0]]), torch.Generator())
    tensor([[1., nan]])
    """
    return labels.where(labels != -1, torch.nan)


def zeros(labels: Labels, generator: torch.Generator) -> Labels:
    """U-Zeros: uncertain labels become negative.

    >>> zeros(torch.tensor([[1.0, -1.0]]), torch.Generator())
    tensor([[1., 0.]])
    """
    return labels.where(labels != -1, 0.0)


def ones(labels: Labels, generator: torch.Generator) -> Labels:
    """U-Ones: uncertain labels become positive.

    >>> ones(torch.tensor([[0.0, -1.0]]), torch.Generator())
    tensor([[0., 1.]])
    """
    return labels.where(labels != -1, 1.0)


def smoothed_zeros(labels: Labels, generator: torch.Generator) -> Labels:
    """U-Zeros+LSR: uncertain labels become u ~ U(0, 0.3), drawn again at each use.

    Pham et al. 2019, section 3.3.
    """
    return _drawn(labels, ZEROS_INTERVAL, generator)


def smoothed_ones(labels: Labels, generator: torch.Generator) -> Labels:
    """U-Ones+LSR: uncertain labels become u ~ U(0.55, 0.85), drawn again at each use.

    Pham et al. 2019, Eq. 5.
    """
    return _drawn(labels, ONES_INTERVAL, generator)


def _drawn(labels: Labels, interval: tuple[float, float], generator: torch.Generator) -> Labels:
    """The labels with a random number in place of each uncertain label.

    One number is drawn for every label, so the generator advances equally for all labels.
    """
    low, high = interval
    numbers = low + (high - low) * torch.rand(labels.shape, generator=generator)
    return labels.where(labels != -1, numbers.to(labels))


POLICIES: dict[str, Callable[[Labels, torch.Generator], Labels]] = {
    "ignore": ignore,
    "zeros": zeros,
    "ones": ones,
    "zeros_lsr": smoothed_zeros,
    "ones_lsr": smoothed_ones,
}
"""Uncertainty policies by name: (labels, generator on the CPU) -> labels."""
