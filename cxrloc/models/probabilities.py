"""Functions that turn the logits of a network into probabilities.

They take tensors of torch, but nothing here imports torch, because model cards name these functions
and are read without it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float

Logits = Float[Any, "image finding"]

Probabilities = Callable[[Any], Any]
"""A function from logits to probabilities, both with the axes [image finding].

It is a function of `PROBABILITIES`, or `Model.probabilities`.
"""


def sigmoid(logits: Logits) -> Logits:
    """Independent probabilities of the findings, of which any number may be present.

    >>> import torch
    >>> sigmoid(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]])
    """
    return logits.float().sigmoid()


def softmax(logits: Logits) -> Logits:
    """Probabilities that sum to 1 over the findings, of which exactly one is present.

    Source: Dong et al. 2017.

    >>> import torch
    >>> softmax(torch.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    return logits.float().softmax(dim=1)


def calibrated(raw: float, coefficients: Sequence[float] | None) -> float:
    """The probability that a finding is present in a patient like those of the training set.

    Platt 1999: p = 1 / (1 + exp(-(A logit p_raw + B))). The function is increasing, so neither the
    ranking of the patients nor a decision at an operating point changes.

    Args:
        raw: probability computed from the network's logit.
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
"""Functions by name: logits of all findings -> their probabilities in [0, 1]."""
