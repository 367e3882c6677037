"""Conditional training: a finding is learned from images that have its parent in the label tree.

Pham et al. 2019, section 3.2, after Chen et al. 2019: stage 1 trains the network on such labels,
stage 2 its last layer on all.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Labels = Float[Tensor, "image finding"]


def given_parent(labels: Labels, findings: Sequence[str], parents: Mapping[str, str]) -> Labels:
    """A child's label is unknown (NaN) unless its own parent is positive.

    Departs: Pham's stage 1 keeps whole images, "where all parent labels are positive"
    (`given_all_parents`), which are few; what a label is conditioned on is its own parent (Eq. 3).

    Args:
        labels: after the uncertainty policy: 0.5 or more is positive.
        findings: of the columns.
        parents: finding -> its parent; findings without one among `findings` stay.

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
    """Leaves are learned from images on which every parent of the tree is positive, all else NaN.

    The letter of Pham et al. 2019, section 3.2 and Fig. 2: "a training set where all parent labels
    are positive, to classify leaf labels".

    Args:
        labels: after the uncertainty policy: 0.5 or more is positive.
        findings: of the columns.
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
    labels are positive": the other images are no part of it, and none of its epochs or batches.

    >>> learned_images(torch.tensor([[torch.nan, 0.0], [torch.nan, torch.nan]]))
    tensor([ True, False])
    """
    return ~labels.isnan().all(dim=1)


CONDITIONS: dict[str, Callable[[Labels, Sequence[str], Mapping[str, str]], Labels]] = {
    "parent": given_parent,
    "all_parents": given_all_parents,
}
"""Conditions by name: (labels, findings, parents) -> labels."""
