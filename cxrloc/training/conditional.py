"""Conditional training: a finding is learned from images that have its parent in the label tree.

Pham et al. 2019, section 3.2, after Chen et al. 2019: stage 1 trains the whole network on these
conditional labels, and stage 2 trains its last layer on all labels.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Labels = Float[Tensor, "image finding"]


def given_parent(labels: Labels, findings: Sequence[str], parents: Mapping[str, str]) -> Labels:
    """The labels, where the label of a child is unknown (NaN) unless its own parent is positive.

    Departs: Pham's stage 1 keeps only images "where all parent labels are positive"
    (`given_all_parents`), and there are few such images. Here each label is conditioned on its own
    parent (Eq. 3).

    Args:
        labels: labels after the uncertainty policy; 0.5 or more is positive.
        findings: names of the columns.
        parents: finding -> its parent; a finding whose parent is not in `findings` is not changed.

    >>> parents = {"Cardiomegaly": "Enlarged Cardiomediastinum"}
    >>> labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    >>> given_parent(labels, ("Enlarged Cardiomediastinum", "Cardiomegaly"), parents)
    tensor([[1., 0.],
            [0., nan]])
    """
    masked = labels.clone()
    for column, finding in enumerate(findings):
        if (parent := parents.get(finding)) in findings:
            present = labels[:, findings.index(parent)] >= 0.5
            masked[:, column] = labels[:, column].where(present, torch.nan)
    return masked


def given_all_parents(
    labels: Labels, findings: Sequence[str], parents: Mapping[str, str]
) -> Labels:
    """The labels of leaves on images where every parent is positive; all other labels are NaN.

    This is the literal rule of Pham et al. 2019, section 3.2 and Fig. 2: "a training set where all
    parent labels are positive, to classify leaf labels".

    Args:
        labels: labels after the uncertainty policy; 0.5 or more is positive.
        findings: names of the columns.
        parents: finding -> its parent.

    >>> parents = {"Cardiomegaly": "Enlarged Cardiomediastinum"}
    >>> labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    >>> given_all_parents(labels, ("Enlarged Cardiomediastinum", "Cardiomegaly"), parents)
    tensor([[nan, 0.],
            [nan, nan]])
    """
    inner = torch.tensor([finding in parents.values() for finding in findings])
    kept = (labels[:, inner] >= 0.5).all(dim=1, keepdim=True)  # image 1
    return labels.where(kept & ~inner, torch.nan)


def learned_images(labels: Labels) -> Bool[Tensor, " image"]:
    """Whether an image has at least one label to learn from.

    Pham et al. 2019, section 3.2, train the conditional stage on "a training set where all parent
    labels are positive". So the other images are left out of its epochs and batches.

    >>> learned_images(torch.tensor([[torch.nan, 0.0], [torch.nan, torch.nan]]))
    tensor([ True, False])
    """
    return ~labels.isnan().all(dim=1)


CONDITIONS: dict[str, Callable[[Labels, Sequence[str], Mapping[str, str]], Labels]] = {
    "parent": given_parent,
    "all_parents": given_all_parents,
}
"""Conditions by name: (labels, findings, parents) -> labels."""
