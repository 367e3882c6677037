"""Labels out of radiology reports on the records of a data set."""

import dataclasses
from collections.abc import Iterable

from cxrloc.findings import standard_finding
from cxrloc.reports.label_file import NORMAL
from cxrloc.reports.scores import Labels
from cxrloc.types import CxrlocError, Record


def with_labels(records: Iterable[Record], labels: Labels) -> list[Record]:
    """The records that have a report, with its labels in place of their own.

    A report belongs to the image of its id, else to all images of the study of its id. What a
    report does not mention has no label; `normal` is not a finding and is left out. An image
    without a report is left out: nothing is known of it, which is not "nothing was mentioned".

    Args:
        records: a data set.
        labels: of reports, as `reports.label_file.read_labels` gives them.

    Raises:
        CxrlocError: no record has a report; the message shows an id of each side.

    >>> from cxrloc.types import Label
    >>> chest = Record("a_1", patient_id="p", study_id="a", path=None)
    >>> found = {"a": {"Mass": Label.POSITIVE, "normal": Label.NEGATIVE}}
    >>> with_labels([chest], found)[0].labels
    {'Mass': <Label.POSITIVE: 1>}
    """
    every = list(records)
    labelled = [
        dataclasses.replace(
            record,
            labels={
                standard_finding(name): label for name, label in said.items() if name != NORMAL
            },
        )
        for record in every
        if (said := labels.get(record.image_id, labels.get(record.study_id))) is not None
    ]
    if not labelled:
        ids = [f"image {r.image_id!r} of study {r.study_id!r}" for r in every[:1]]
        raise CxrlocError(
            f"none of {len(every)} images has a report among {len(labels)}: reports are as "
            f"{next(iter(labels), None)!r}, images as {', '.join(ids) or 'none'}; "
            "a report's id must be that of its image or study"
        )
    return labelled
