"""Joins labels from radiology reports to the records of a data set."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cxrloc.datasets.identifiers import patient_key
from cxrloc.datasets.image_files import image_id_of
from cxrloc.datasets.records import with_vocabulary
from cxrloc.errors import CxrlocError
from cxrloc.findings import NO_FINDING, standard_finding
from cxrloc.reports.label_file import NORMAL, Labels, columns_of, read_labels
from cxrloc.types import Label, Record


def with_labels(records: Iterable[Record], labels: Labels) -> list[Record]:
    """The records that have a report, with the report's labels in place of their own.

    A report belongs to the image that has the report's id, or else to all images of the study that
    has this id. Ids may carry an image's suffix, or differ as `identifiers.patient_key` allows:
    "50414267.0" is the study s50414267. A finding that a report does not mention has no label.
    `cxrloc label` writes two columns: No Finding, and `normal` (no abnormality at all, of these
    findings or of others). If both are there, `normal` is left out; a single `normal` is read as No
    Finding, as in Dong et al. 2017. An image is left out if it has no report or if its report has
    no label, for example because the report has no text: then nothing is known of the image, which
    differs from a report that mentions nothing.

    Args:
        records: a data set.
        labels: of reports, as `reports.label_file.read_labels` returns them.

    Raises:
        CxrlocError: no record has a report (the message shows an id of a report and of an image),
            two columns hold the same finding, or two reports can be that of one image.

    >>> from cxrloc.types import Label
    >>> chest = Record("a_1", patient_id="p", study_id="a", path=None)
    >>> with_labels([chest], {"a": {"mass": Label.POSITIVE, "normal": Label.NEGATIVE}})[0].labels
    {'Mass': <Label.POSITIVE: 1>, 'No Finding': <Label.NEGATIVE: 0>}
    """
    every = list(records)
    has_no_finding = any(NO_FINDING in of_report for of_report in labels.values())
    report_of = _reports_of(every, labels)
    labelled = [
        dataclasses.replace(record, labels=_by_finding(of_report, has_no_finding), labelled=True)
        for record in every
        if (
            of_report := labels[report_of[record.image_id]]
            if record.image_id in report_of
            else None
        )
    ]
    if not labelled:
        ids = [f"image {r.image_id!r} of study {r.study_id!r}" for r in every[:1]]
        raise CxrlocError(
            f"none of {len(every)} images has a report among {len(labels)}: reports are as "
            f"{next(iter(labels), None)!r}, images as {', '.join(ids) or 'none'}; "
            "a report's id must be that of its image or study"
        )
    return labelled


def _reports_of(records: Iterable[Record], labels: Labels) -> dict[str, str]:
    """The id of the report of each image that has one, by the image's id."""
    spelled: dict[str, set[str]] = {}
    for report_id in labels:
        for name in {image_id_of(report_id), patient_key(report_id)}:
            spelled.setdefault(name, set()).add(report_id)
    found = {}
    for record in records:
        names = [record.image_id, record.study_id]
        near = [spelled.get(name, set()) for name in (*names, patient_key(record.study_id))]
        exact = [{name} for name in names if name in labels]
        for reports in filter(None, (*exact, *near)):
            if len(reports) > 1:
                two_reports = " and ".join(map(repr, sorted(reports)[:2]))
                raise CxrlocError(
                    f"the labels of {two_reports} can both be those of image {record.image_id}: "
                    "keep one"
                )
            (found[record.image_id],) = reports
            break
    return found


def _by_finding(of_report: Mapping[str, Label], has_no_finding: bool) -> dict[str, Label]:
    """A report's labels by the vocabulary's names.

    If the labels have a column No Finding, their column `normal` is left out.
    """
    found: dict[str, Label] = {}
    for name, label in of_report.items():
        if name == NORMAL and has_no_finding:
            continue
        finding = standard_finding(name)
        if finding in found:
            raise CxrlocError(f"two columns of the labels are of {finding}: keep one")
        found[finding] = label
    return found


def match_note(name: str, records: Sequence[Record], labels: Labels) -> str:
    """A sentence on how many images and labels match, with an example; empty if all match.

    Args:
        name: of the file of labels.
        records: the data set before `with_labels`.
        labels: as given there.

    >>> chest = Record("a_1", patient_id="p", study_id="a", path=None)
    >>> match_note("l.csv", [chest], {"a": {}, "b": {}})
    "l.csv: labels for 1 of the 1 images; 1 of its 2 rows belong to no image, such as 'b'"
    """
    report_of = _reports_of(records, labels)
    without = [record.image_id for record in records if record.image_id not in report_of]
    foreign = sorted(labels.keys() - {*report_of.values()})
    if not without and not foreign:
        return ""
    note = f"{name}: labels for {len(records) - len(without)} of the {len(records)} images"
    note += f", not for {without[0]!r}" if without else ""
    if foreign:
        note += f"; {len(foreign)} of its {len(labels)} rows belong to no image"
        note += f", such as {foreign[0]!r}"
    return note


def with_labels_of_file(
    path: Path, records: list[Record], declared: Sequence[str]
) -> tuple[list[Record], list[str]]:
    """The records with labels of a file in place of their own, and notes on unmatched rows.

    Args:
        path: the file, from `cxrloc label` or another program.
        records: the data set.
        declared: findings that count beside the known ones and those of the data set.

    Raises:
        CxrlocError: the file cannot be read, or none of its rows belongs to an image.
    """
    known = {*declared, *(finding for record in records for finding in record.labels)}
    labels = read_labels(path, known)
    notes = []
    findings, others = columns_of(path, known)
    if others:
        notes.append(f"{path.name}: left out, because they are no findings: {', '.join(others)}")
    notes += filter(None, [match_note(path.name, records, labels)])
    return with_vocabulary(with_labels(records, labels), findings), notes
