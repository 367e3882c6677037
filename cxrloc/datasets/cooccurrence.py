"""How often findings occur, and occur together, on the images of a data set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from cxrloc.types import Label, Record


@dataclass(frozen=True, slots=True, eq=False)
class Cooccurrence:
    """Images per finding and per pair of findings.

    Attributes:
        findings: their order is that of all axes.
        together: images positive for both findings; on the diagonal, images positive for one.
        overlap: images of each finding that are positive for at least one other.
        images: images counted.
        without: of those, images positive for none of the findings.
    """

    findings: tuple[str, ...]
    together: Int[np.ndarray, "finding finding"]
    overlap: Int[np.ndarray, " finding"]
    images: int
    without: int


def cooccurrence(records: Iterable[Record], findings: Sequence[str]) -> Cooccurrence:
    """Numbers of images that are positive for each finding and for each pair of findings.

    Source: Wang et al. 2017, tables 1 and 16 (`#` is the diagonal of `together`, `Ov.` is
    `overlap`) and figure 2 (its chords are the cells outside the diagonal). An uncertain or absent
    label does not count as positive.

    >>> labels = ({"Mass": Label.POSITIVE, "Nodule": Label.POSITIVE}, {"Mass": Label.POSITIVE}, {})
    >>> chests = [Record(str(i), "p", "s", None, labels=each) for i, each in enumerate(labels)]
    >>> counts = cooccurrence(chests, ("Mass", "Nodule"))
    >>> counts.together.tolist(), counts.overlap.tolist(), counts.images, counts.without
    ([[2, 1], [1, 1]], [1, 1], 3, 1)
    """
    labels = [record.labels for record in records]
    positive = np.array(
        [[of_image.get(finding) is Label.POSITIVE for finding in findings] for of_image in labels],
        dtype=np.int64,
    ).reshape(len(labels), len(findings))
    several = positive[positive.sum(axis=1) > 1]
    return Cooccurrence(
        findings=tuple(findings),
        together=positive.T @ positive,
        overlap=several.sum(axis=0),
        images=len(labels),
        without=int((positive.sum(axis=1) == 0).sum()),
    )
