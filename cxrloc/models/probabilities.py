"""How a network's logits become probabilities."""

import math
from collections.abc import Callable, Sequence

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


def calibrated(raw: float, coefficients: Sequence[float] | None) -> float:
    """The probability that a finding is present, as often as it is among the training patients.

    Platt 1999: p = 1 / (1 + exp(-(A logit p_raw + B))). A rising map: no order and no decision at
    an operating point changes.

    Args:
        raw: probability out of the network's logit.
        coefficients: A and B, as in `ModelCard.calibration`; None: the raw probability stays.

    >>> round(calibrated(0.83, (1.0, -3.5)), 2)
    0.13
    """
    if coefficients is None:
        return raw
    slope, intercept = coefficients
    raw = min(max(raw, 1e-7), 1 - 1e-7)
    log_odds = slope * math.log(raw / (1 - raw)) + intercept
    return 1 / (1 + math.exp(-max(log_odds, -700.0)))  # exp overflows beyond 709


PROBABILITIES: dict[str, Callable[[Logits], Logits]] = {"sigmoid": sigmoid, "softmax": softmax}
"""By name: logits of all findings -> their probabilities in [0, 1]."""
