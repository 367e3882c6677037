"""Losses for images with many labels, summed over the images of a batch.

A label of NaN is unknown and adds nothing to the loss (U-Ignore, conditional training). With
several processes, the loss of the whole batch is the sum of the losses of all processes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from cxrloc.training.distributed import summed

Logits = Float[Tensor, "batch finding"]
Labels = Float[Tensor, "batch finding"]
"""1 for a present finding, 0 for an absent one, between them if smoothed, NaN if unknown."""


def hinge(logits: Logits, labels: Labels) -> Float[Tensor, ""]:
    """Hinge loss: the sum of max(0, 1 - t z) over labels t = +1 or -1 and logits z.

    Wang et al. 2017, section 3.1 (HL). Open: for many labels, each is its own +-1 target of the
    raw logit.

    >>> hinge(torch.tensor([[0.25, 2.0]]), torch.tensor([[1.0, 0.0]]))  # 0.75 + 3
    tensor(3.7500)
    """
    known, targets = _known(labels)
    return (known * F.relu(1 - (2 * targets - 1) * logits)).sum()


def euclidean(logits: Logits, labels: Labels) -> Float[Tensor, ""]:
    """Euclidean loss: half the sum of (f(x_c) - y_c)^2.

    Wang et al. 2017, section 3.1 (EL). Open: f is the sigmoid.

    >>> euclidean(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # (1/4 + 1/4) / 2
    tensor(0.2500)
    """
    known, targets = _known(labels)
    return 0.5 * (known * (logits.sigmoid() - targets) ** 2).sum()


def cel(logits: Logits, labels: Labels) -> Float[Tensor, ""]:
    """Cross-entropy: the sum of -ln f(x_c) over positive labels and -ln(1 - f(x_c)) over others.

    Wang et al. 2017, section 3.1 (CEL), and Pham et al. 2019, Eq. 2; f is the sigmoid.
    Departs: the minus that Pham's Eq. 2 lacks.

    >>> cel(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # 2 ln 2
    tensor(1.3863)
    """
    known, targets = _known(labels)
    return F.binary_cross_entropy_with_logits(logits, targets, known, reduction="sum")


def w_cel(logits: Logits, labels: Labels) -> Float[Tensor, ""]:
    """Cross-entropy with positive and negative labels balanced (W-CEL).

    Wang et al. 2017, Eq. 1: beta_P = (|P| + |N|) / |P| on positive and beta_N = (|P| + |N|) / |N|
    on negative labels, |P| and |N| counted over all labels of the batch together, and over all
    processes. Without positive (negative) labels their term is 0.

    >>> w_cel(torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))  # (4 * 1 + 4/3 * 3) ln 2
    tensor(5.5452)
    """
    known, targets = _known(labels)
    counts = summed(torch.stack([targets.sum(), (known - targets).sum()]))  # |P|, |N|
    # If there are no positive (or negative) labels, their weight multiplies nothing, so that any
    # finite value is correct.
    positives, negatives = counts.where(counts > 0, 1.0)
    beta_n = counts.sum() / negatives
    return F.binary_cross_entropy_with_logits(
        logits, targets, known * beta_n, pos_weight=negatives / positives, reduction="sum"
    )


def class_averaged(logits: Logits, labels: Labels) -> Float[Tensor, ""]:
    """Cross-entropy averaged over the labels of each image, the sum over images.

    Baltruschat et al. 2019, the equation of the objective: 1/M sum_m H[y_m, f_m], M labels. For an
    image with unknown labels the mean is taken over the known labels.

    >>> class_averaged(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # ln 2
    tensor(0.6931)
    """
    known, targets = _known(labels)
    weights = known / known.sum(dim=1, keepdim=True).clamp(min=1)
    return F.binary_cross_entropy_with_logits(logits, targets, weights, reduction="sum")


def softmax(logits: Logits, labels: Labels) -> Float[Tensor, ""]:
    """Softmax cross-entropy of images with exactly one label: the sum of -ln p of that label.

    Dong et al. 2017, section IV, task 2. An image with an unknown label adds nothing to the loss.

    >>> softmax(torch.zeros(1, 4), torch.tensor([[0.0, 1.0, 0.0, 0.0]]))  # ln 4
    tensor(1.3863)
    """
    known, targets = _known(labels)
    whole = known.amin(dim=1, keepdim=True)
    return F.cross_entropy(logits, targets * whole, reduction="sum")


def loss_terms(loss: str, labels: Labels) -> Int[Tensor, ""]:
    """The number of terms in the sum of a loss; the loss divided by this number is a mean.

    `class_averaged` is already a mean over the labels of each image and `softmax` has one term per
    image, so these two are divided by the number of images, all others by the number of labels.

    Args:
        loss: a name of `LOSSES`.
        labels: the labels of the loss; unknown labels are not counted.

    >>> labels = torch.tensor([[1.0, 0.0], [0.0, torch.nan]])
    >>> {name: int(loss_terms(name, labels)) for name in ("cel", "class_averaged", "softmax")}
    {'cel': 3, 'class_averaged': 2, 'softmax': 1}
    """
    known = ~labels.isnan()
    if loss == "class_averaged":
        return known.any(dim=1).sum()
    if loss == "softmax":
        return known.all(dim=1).sum()
    return known.sum()


def _known(labels: Labels) -> tuple[Labels, Labels]:
    """A mask that is 1 where a label is known and 0 elsewhere, and the labels with 0 for NaN."""
    return (~labels.isnan()).to(labels.dtype), labels.nan_to_num()


LOSSES = {
    "hinge": hinge,
    "euclidean": euclidean,
    "cel": cel,
    "w_cel": w_cel,
    "class_averaged": class_averaged,
    "softmax": softmax,
}
"""Losses by name: (logits, labels) -> scalar."""


def probabilities_after(loss: str) -> str:
    """The name in `PROBABILITIES` of the function for logits that were trained with this loss.

    >>> probabilities_after("w_cel"), probabilities_after("softmax")
    ('sigmoid', 'softmax')
    """
    return "softmax" if loss == "softmax" else "sigmoid"
