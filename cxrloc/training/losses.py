"""Losses of many labels per image: sums over the labels of a batch."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Logits = Float[Tensor, "batch finding"]
Labels = Float[Tensor, "batch finding"]
"""1 where the finding is present, 0 where it is not."""


def cel(logits: Logits, labels: Labels) -> Float[Tensor, ""]:
    """Cross-entropy: the sum of -ln f(x_c) over positive labels and -ln(1 - f(x_c)) over others.

    Wang et al. 2017, section 3.1 (CEL); f is the sigmoid.

    >>> import torch
    >>> cel(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # 2 ln 2
    tensor(1.3863)
    """
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")


def w_cel(logits: Logits, labels: Labels) -> Float[Tensor, ""]:
    """Cross-entropy with positive and negative labels balanced (W-CEL).

    Wang et al. 2017, Eq. 1: beta_P = (|P| + |N|) / |P| on positive and beta_N = (|P| + |N|) / |N|
    on negative labels, |P| and |N| counted over all labels of the batch together. Without
    positive (negative) labels their term is 0.

    >>> import torch
    >>> w_cel(torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))  # (4 * 1 + 4/3 * 3) ln 2
    tensor(5.5452)
    """
    positives = labels.sum()
    negatives = labels.numel() - positives
    # With no label of a kind nothing is multiplied by its weight, so any finite one will do.
    beta_p = labels.numel() / positives.clamp(min=1)
    beta_n = labels.numel() / negatives.clamp(min=1)
    weights = beta_n + labels * (beta_p - beta_n)
    return F.binary_cross_entropy_with_logits(logits, labels, weights, reduction="sum")


LOSSES = {"cel": cel, "w_cel": w_cel}
"""Losses by name: (logits, labels) -> scalar."""
