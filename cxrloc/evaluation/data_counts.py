"""Counts of a data set: images per finding, overlaps, single labels, views and pairs of views.

They can be compared with the tables in which papers describe their data: Wang et al. 2017, tables 1
and 16; Dong et al. 2017, table I; Rubin et al. 2018, tables 1 to 3.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.units import score_units
from cxrloc.findings import NO_FINDING, OTHER_OUTPUTS
from cxrloc.types import Predictions, Record, View

VIEW_ROWS: Mapping[str, frozenset[View]] = {
    "PA": frozenset({View.PA}),
    "AP": frozenset({View.AP}),
    "Lateral": frozenset({View.LATERAL}),
    "PA & Lateral": frozenset({View.PA, View.LATERAL}),
    "AP & Lateral": frozenset({View.AP, View.LATERAL}),
}
"""Rows of the counts of views; two views are those of one study."""


def labelled_findings(records: Sequence[Record]) -> tuple[str, ...]:
    """The findings that a data set labels, in the order of its records, then No Finding."""
    names = dict.fromkeys(name for record in records for name in record.labels)
    return (*(name for name in names if name != NO_FINDING), NO_FINDING)


def finding_counts(records: Sequence[Record], findings: Sequence[str]) -> pd.DataFrame:
    """Images per finding, and how many of them also have another of the findings.

    Columns:
        finding: as given, without those that no label can name; No Finding means that none of the
            others is positive, where the data set has no such label.
        images: with a positive label.
        overlap: those of them with at least one other of the findings.
        single_label_images: the rest of them.
        percent_of_positive_labels: share of all positive labels in percent (Rubin et al. 2018,
            table 3).

    Raises:
        CxrlocError: there is no record.

    >>> from cxrloc.types import Label
    >>> labels = [{"Mass": Label.POSITIVE, "Edema": Label.POSITIVE}, {"Mass": Label.POSITIVE}, {}]
    >>> chests = [Record(str(i), "p", "s", None, labels=has) for i, has in enumerate(labels)]
    >>> finding_counts(chests, ["Mass", "No Finding"])
          finding  images  overlap  single_label_images  percent_of_positive_labels
    0        Mass       2        0                    2                   66.666667
    1  No Finding       1        0                    1                   33.333333
    """
    if not records:
        raise CxrlocError("there is no image to count")
    ids = tuple(record.image_id for record in records)
    scores = np.zeros((len(ids), len(findings)))
    units = score_units(Predictions(ids, tuple(findings), scores), records)
    positive = units.truth & units.known
    labels = np.array([name not in OTHER_OUTPUTS for name in units.findings])
    several = positive[:, labels].sum(axis=1) > 1
    images, overlap = positive.sum(axis=0), (positive & several[:, None]).sum(axis=0)
    return pd.DataFrame(
        {
            "finding": list(units.findings),
            "images": images,
            "overlap": overlap,
            "single_label_images": images - overlap,
            "percent_of_positive_labels": 100 * images / max(int(images.sum()), 1),
        }
    )


def view_counts(records: Sequence[Record], parts: Mapping[str, str]) -> pd.DataFrame:
    """Images and studies per view, and studies that have both of two views.

    Columns: finding (the row, a name of `VIEW_ROWS`), images (of both views), studies; and the
    same for each official part (train, validation, test).

    Args:
        records: a data set.
        parts: of image ids; empty where there is no official split.

    >>> views = [View.PA, View.LATERAL, View.PA]
    >>> chests = [Record(str(i), "p", "ab"[i // 2], None, view) for i, view in enumerate(views)]
    >>> view_counts(chests, {}).set_index("finding").loc[["PA", "PA & Lateral"]]
                  images  studies
    finding
    PA                 2        2
    PA & Lateral       2        1
    """
    named = [part for part in ("train", "validation", "test") if part in set(parts.values())]
    rows = []
    for name, views in VIEW_ROWS.items():
        row: dict[str, str | int] = {"finding": name}
        for part in ("", *named):
            part_records = [r for r in records if not part or parts.get(r.image_id) == part]
            suffix = f"_{part}" if part else ""
            counted = _of_views(part_records, views)
            row[f"images{suffix}"] = len(counted)
            row[f"studies{suffix}"] = len({record.study_id for record in counted})
        rows.append(row)
    return pd.DataFrame(rows)


def _of_views(records: Sequence[Record], views: frozenset[View]) -> list[Record]:
    """Images of these views in the studies that have each of them."""
    views_of_study: dict[str, set[View]] = {}
    for record in records:
        if record.view is not None:
            views_of_study.setdefault(record.study_id, set()).add(record.view)
    return [r for r in records if r.view in views and views <= views_of_study[r.study_id]]
