"""How a network's logits become probabilities."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Logits = Float[Tensor, "image finding"]

Probabilities = Callable[[Tensor], Tensor]
"""Of logits, both [image finding]: a function of `PROBABILITIES`, or `Model.probabilities`."""


def sigmoid(logits: Logits) -> Logits:
    """Each finding by itself: any number of them may be present.

    >>> sigmoid(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]])
    """
    return torch.sigmoid(logits.float())


def softmax(logits: Logits) -> Logits:
    """Findings that share one probability: exactly one of them is present (Dong et al. 2017).

    >>> softmax(torch.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    return torch.softmax(logits.float(), dim=1)


PROBABILITIES: dict[str, Callable[[Logits], Logits]] = {"sigmoid": sigmoid, "softmax": softmax}
"""By name: logits of all findings -> their probabilities in [0, 1]."""
