"""Labels out of radiology reports on the records of a data set."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from cxrloc.findings import NO_FINDING, standard_finding
from cxrloc.reports.label_file import NORMAL
from cxrloc.reports.scores import Labels
from cxrloc.types import CxrlocError, Label, Record


def with_labels(records: Iterable[Record], labels: Labels) -> list[Record]:
    """The records that have a report, with its labels in place of their own.

    A report belongs to the image of its id, else to all images of the study of its id. What a
    report does not mention has no label. `normal` (no abnormality at all, of the findings or of
    others) is left out beside No Finding, as `cxrloc label` writes both; alone it is No Finding,
    as Dong et al. 2017 call it. An image is left out if it has no report, or a report without any
    label, as one without text: nothing is known of it, which is not "nothing was mentioned".

    Args:
        records: a data set.
        labels: of reports, as `reports.label_file.read_labels` gives them.

    Raises:
        CxrlocError: no record has a report; the message shows an id of each side. Or two columns
            are of one finding.

    >>> from cxrloc.types import Label
    >>> chest = Record("a_1", patient_id="p", study_id="a", path=None)
    >>> with_labels([chest], {"a": {"mass": Label.POSITIVE, "normal": Label.NEGATIVE}})[0].labels
    {'Mass': <Label.POSITIVE: 1>, 'No Finding': <Label.NEGATIVE: 0>}
    """
    every = list(records)
    both = any(NO_FINDING in said for said in labels.values())
    labelled = [
        dataclasses.replace(record, labels=_by_finding(said, both), labelled=True)
        for record in every
        if (said := labels.get(record.image_id, labels.get(record.study_id)))
    ]
    if not labelled:
        ids = [f"image {r.image_id!r} of study {r.study_id!r}" for r in every[:1]]
        raise CxrlocError(
            f"none of {len(every)} images has a report among {len(labels)}: reports are as "
            f"{next(iter(labels), None)!r}, images as {', '.join(ids) or 'none'}; "
            "a report's id must be that of its image or study"
        )
    return labelled


def _by_finding(said: Mapping[str, Label], both: bool) -> dict[str, Label]:
    """A report's labels by the vocabulary's names; `both`: there are normal and No Finding."""
    found: dict[str, Label] = {}
    for name, label in said.items():
        if name == NORMAL and both:
            continue
        finding = standard_finding(name)
        if finding in found:
            raise CxrlocError(f"two columns of the labels are of {finding}: keep one")
        found[finding] = label
    return found


def match_note(name: str, records: Sequence[Record], labels: Labels) -> str:
    """How many images have labels and how many labels an image, with an example; empty if all.

    Args:
        name: of the file of labels.
        records: the data set before `with_labels`.
        labels: as given there.

    >>> chest = Record("a_1", patient_id="p", study_id="a", path=None)
    >>> match_note("l.csv", [chest], {"a": {}, "b": {}})
    "l.csv: labels for 1 of the 1 images; 1 of its 2 rows belong to no image, such as 'b'"
    """
    without = [r.image_id for r in records if not {r.image_id, r.study_id} & labels.keys()]
    ids = {name for record in records for name in (record.image_id, record.study_id)}
    foreign = sorted(labels.keys() - ids)
    if not without and not foreign:
        return ""
    said = f"{name}: labels for {len(records) - len(without)} of the {len(records)} images"
    said += f", not for {without[0]!r}" if without else ""
    if foreign:
        said += f"; {len(foreign)} of its {len(labels)} rows belong to no image"
        said += f", such as {foreign[0]!r}"
    return said
