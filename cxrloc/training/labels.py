"""Labels that a recipe learns from: labels of attributes, and warnings about missing labels."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cxrloc.datasets.splits import Parts
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.truth import ATTRIBUTES
from cxrloc.findings import CHESTXRAY14, CHEXPERT14, NO_FINDING, standard_finding
from cxrloc.types import Label, Record

_KNOWN = {*map(standard_finding, (*CHESTXRAY14, *CHEXPERT14)), *ATTRIBUTES}
"""Well-known labels; a recipe may leave them out without a warning about a misspelled name."""


def with_attributes(record: Record, outputs: Iterable[str], no_finding: str = "labels") -> Record:
    """The record with labels for outputs that are not findings, such as No Finding.

    These outputs are listed in `truth.ATTRIBUTES`. The same rule gives their labels for training
    and for scoring, whether or not the data set has a column for them.

    Args:
        record: record of an image.
        outputs: names of the network's outputs.
        no_finding: as in `DataConfig`: with "outputs" an image has No Finding if none of the
            network's findings is positive, whatever its other labels or reports say.

    >>> from cxrloc.types import Label, View
    >>> record = Record("a", "1", "a", None, View.AP, labels={"Mass": Label.NEGATIVE})
    >>> with_attributes(record, ["Mass", "No Finding", "View AP"]).labels
    {'Mass': <Label.NEGATIVE: 0>, 'No Finding': <Label.POSITIVE: 1>,
     'View AP': <Label.POSITIVE: 1>}
    >>> emphysema = Record("a", "1", "a", None, labels={"Emphysema": Label.POSITIVE})
    >>> with_attributes(emphysema, ["Mass", "No Finding"], no_finding="outputs").labels
    {'Emphysema': <Label.POSITIVE: 1>, 'No Finding': <Label.POSITIVE: 1>}
    """
    names = tuple(outputs)
    attributes = {name: ATTRIBUTES[name](record, names) for name in names if name in ATTRIBUTES}
    if no_finding == "outputs" and NO_FINDING in attributes and record.labelled:
        others = (record.labels.get(name) for name in names if name != NO_FINDING)
        attributes[NO_FINDING] = Label.NEGATIVE if Label.POSITIVE in others else Label.POSITIVE
    known = {name: label for name, label in attributes.items() if label is not None}
    return replace(record, labels={**record.labels, **known})


def label_warnings(parts: Parts, train: Sequence[Record], findings: Sequence[str]) -> list[str]:
    """Warnings about findings without positive training images and about labels that are not used.

    Args:
        parts: all records.
        train: the training records.
        findings: findings of the recipe.

    Raises:
        CxrlocError: no image has a label for a finding, so the labels do not know this finding.

    >>> from cxrloc.types import Label
    >>> well = Record("a", "1", "a", None, labels={"Mass": Label.NEGATIVE})
    >>> label_warnings(Parts([well], [], []), [well], ["Mass"])
    ['no training image has Mass: the network can only learn that it is absent']
    """
    mentioned = {name for part in parts[:3] for record in part for name in record.labels}
    others = ", ".join(sorted(mentioned - {*_KNOWN, *findings}))
    if unknown := [finding for finding in findings if finding not in mentioned]:
        raise CxrlocError(
            f"no image has a label for {', '.join(unknown)}: leave it out of findings in "
            "[network], or give labels that have it (--labels)"
            + (f"; these have {others}, which are no findings of the recipe" if others else "")
        )
    there = {name for r in train for name, label in r.labels.items() if label != Label.NEGATIVE}
    absent = [finding for finding in findings if finding not in there]
    warning = (
        f"no training image has {', '.join(absent)}: the network can only learn that it is absent"
    )
    not_learned = f"labels of {others} are not learned: no findings of the recipe, nor known ones"
    return [*([warning] if absent else []), *([not_learned] if others else [])]
