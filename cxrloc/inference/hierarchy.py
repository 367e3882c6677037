"""Probabilities of findings that form a tree."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

ALONG_TREE = "Probabilities are products along CheXpert's label tree."
"""Note that outputs show if their probabilities come from `unconditional`."""


def unconditional(
    probabilities: Float[np.ndarray, "image finding"],
    findings: Sequence[str],
    parents: Mapping[str, str],
) -> Float[np.ndarray, "image finding"]:
    """Unconditional probabilities: products of conditional ones from the root to each finding.

    Pham et al. 2019, Eq. 3 and 4: p(C) = p(A) p(B|A) p(C|B). A child is never above its parent.

    Args:
        probabilities: probability of each finding given its parent.
        findings: names of the columns.
        parents: finding -> its parent; an ancestor that is not among `findings` is skipped.

    >>> from cxrloc.findings import CHEXPERT_PARENTS
    >>> p = np.array([[0.5, 0.5, 0.25]])
    >>> unconditional(p, ("Lung Opacity", "Consolidation", "Pneumonia"), CHEXPERT_PARENTS)
    array([[0.5   , 0.25  , 0.0625]])
    """
    products = probabilities.copy()
    for column, finding in enumerate(findings):
        ancestor = parents.get(finding)
        while ancestor is not None:
            if ancestor in findings:
                products[:, column] *= probabilities[:, findings.index(ancestor)]
            ancestor = parents.get(ancestor)
    return products
