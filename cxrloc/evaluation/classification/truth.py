"""How the labels of a record become truth, by the rules in which the papers differ."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cxrloc.datasets.records import judges
from cxrloc.findings import NO_FINDING
from cxrloc.types import Label, Record, Sex, View

Uncertain = Literal["unknown", "negative"]
NoFinding = Literal["labels", "outputs"]


@dataclass(frozen=True, slots=True)
class TruthRules:
    """How labels become truth, where the papers differ.

    Attributes:
        uncertain: whether an uncertain label leaves the pair out ("unknown") or counts as
            "negative", as in Rubin et al. 2018, section 4.
        no_finding: "labels" takes the data set's own label No Finding, where it has one. "outputs"
            derives it from the findings that are scored: none of them is positive. For Rubin et al.
            2018 an image with Emphysema alone has none of the 13 findings.
    """

    uncertain: Uncertain = "unknown"
    no_finding: NoFinding = "labels"


def _view_label(record: Record, outputs: Collection[str]) -> Label | None:
    if record.view not in (View.AP, View.PA):
        return None
    return Label.POSITIVE if record.view == View.AP else Label.NEGATIVE


def _sex_label(record: Record, outputs: Collection[str]) -> Label | None:
    if record.sex is None:
        return None
    return Label.POSITIVE if record.sex == Sex.MALE else Label.NEGATIVE


def _no_finding_label(record: Record, outputs: Collection[str]) -> Label | None:
    if NO_FINDING in record.labels:
        label = record.labels[NO_FINDING]
        return None if label == Label.UNCERTAIN else label
    if not record.labelled:
        return None
    # For a model that has other outputs, "No Finding" means that none of these is present; for a
    # model with this output alone, that no labelled finding is present.
    vocabulary = [name for name in outputs if name not in ATTRIBUTES] or [*record.labels]
    labels = [label for name, label in record.labels.items() if name in vocabulary]
    if Label.POSITIVE in labels:
        return Label.NEGATIVE
    return None if Label.UNCERTAIN in labels else Label.POSITIVE


ATTRIBUTES: dict[str, Callable[[Record, Collection[str]], Label | None]] = {
    "View AP": _view_label,
    "Sex M": _sex_label,
    NO_FINDING: _no_finding_label,
}
"""Outputs that are not findings, with the function (record, all outputs) -> label of each.

They are judged against the record as a whole and are not part of the mean over findings.
Source: Baltruschat et al. 2019: AP is true and PA false (`Open:` which sex is true), and their
mean AUC is that of the 14 findings without No Finding. A data set's own label "No Finding" goes
first. If it has none, No Finding means that none of the findings scored beside it is positive:
an image with Emphysema alone has none of the 13 findings of Rubin et al. 2018.
"""


def under_rules(records: Sequence[Record], rules: TruthRules) -> list[Record]:
    """The records with the labels that `score_units` takes as truth under these rules.

    >>> record = Record("a", "1", "a", None, labels={"Mass": Label.UNCERTAIN})
    >>> under_rules([record], TruthRules(uncertain="negative"))[0].labels
    {'Mass': <Label.NEGATIVE: 0>}
    """
    truth = [*records]
    if rules.uncertain == "negative":
        truth = [_without_uncertain(record) for record in truth]
    if rules.no_finding == "outputs":
        # Without a label of its own, the record's No Finding follows from the outputs beside it.
        truth = [_without_no_finding(record) for record in truth]
    return truth


def with_no_finding(records: Sequence[Record], outputs: Collection[str]) -> list[Record]:
    """The records with No Finding among their labels, judged by all outputs of a classifier.

    Without this label, No Finding would change its meaning with the findings that are chosen out of
    the outputs (`--finding`), or differ between runs that are compared.

    >>> record = Record("a", "1", "a", None, labels={"Mass": Label.POSITIVE})
    >>> with_no_finding([record], ["Mass", "Nodule", "No Finding"])[0].labels
    {'Mass': <Label.POSITIVE: 1>, 'No Finding': <Label.NEGATIVE: 0>}
    """
    judged = []
    for record in records:
        if record.labelled and NO_FINDING in outputs and NO_FINDING not in record.labels:
            label = _no_finding_label(record, outputs)
            label = Label.UNCERTAIN if label is None else label
            record = replace(record, labels={**record.labels, NO_FINDING: label})
        judged.append(record)
    return judged


def _without_uncertain(record: Record) -> Record:
    certain = {
        name: Label.NEGATIVE if label == Label.UNCERTAIN else label
        for name, label in record.labels.items()
    }
    return replace(record, labels=certain)


def _without_no_finding(record: Record) -> Record:
    others = {name: label for name, label in record.labels.items() if name != NO_FINDING}
    return replace(record, labels=others)


def truth_rank(record: Record, finding: str, outputs: Collection[str]) -> int:
    """0 for negative, 1 for not known, 2 for positive; a unit has the maximum over its images."""
    if finding in ATTRIBUTES:
        label = ATTRIBUTES[finding](record, outputs)
        return 1 if label is None else 2 * label
    if finding not in record.labels:
        return 0 if judges(record, finding) else 1
    return {Label.POSITIVE: 2, Label.UNCERTAIN: 1, Label.NEGATIVE: 0}[record.labels[finding]]
