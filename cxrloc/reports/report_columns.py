"""Which columns of a table hold its reports and their ids."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

from cxrloc.errors import CxrlocError
from cxrloc.files.tables import readable_rows
from cxrloc.findings import name_key

TEXT_COLUMNS = (
    *("text", "report", "reports"),
    *("report_text", "reporttext", "full_report", "report_content"),
)
"""Names of columns that hold whole reports."""

SECTION_COLUMNS = {
    "findings": ("findings", "finding", "report_findings", "findings_text"),
    "impression": ("impression", "impressions", "report_impression", "impression_text"),
}
"""Names of columns that hold one section of a report each, by the section's heading."""

OTHER_TEXT_COLUMNS = ("narrative", "diagnosis")
"""Names of columns that hold the reports where the table has none of the columns above."""

ID_COLUMNS = ("report_id", "study_id", "image_id", "filename", "uid", "id", "dicom_id")
"""Names of columns that hold the ids of reports, or of the images that they report on."""

_NO_TEXT = {
    *("", "nan", "na", "none", "null", "nil", "nat", "notavailable", "unavailable", "missing"),
    *("noreport", "noreportavailable", "notreported", "pending", "reportpending", "empty", "blank"),
}
"""Cells that hold no report, as `name_key` writes them: letters and digits alone."""


def known_columns(path: Path, heading: Sequence[str]) -> dict[str, int]:
    """The columns with a known name, by that name: in lower case, with words joined by "_".

    Raises:
        CxrlocError: two columns have the same known name.
    """
    sections = chain.from_iterable(SECTION_COLUMNS.values())
    known = {*TEXT_COLUMNS, *sections, *OTHER_TEXT_COLUMNS, *ID_COLUMNS}
    columns: dict[str, int] = {}
    for column, written in enumerate(heading):
        name = re.sub(r"[\W_]+", "_", written.lower()).strip("_")
        if name in known and name in columns:
            raise CxrlocError(
                f"{path}: the columns {heading[columns[name]]} and {written} have the same name; "
                "rename one of them"
            )
        columns.setdefault(name, column)
    return columns


def report_columns(path: Path, heading: Sequence[str], names: Mapping[str, int]) -> dict[str, int]:
    """The columns that hold the reports: one under "", or some by the heading of their section.

    They are one of TEXT_COLUMNS, or SECTION_COLUMNS, or one of OTHER_TEXT_COLUMNS, whichever the
    table has first in this order; empty where it has none.

    Raises:
        CxrlocError: several columns may hold the reports.
    """
    sections = {
        section: names[name]
        for section, known in SECTION_COLUMNS.items()
        for name in known
        if name in names
    }
    whole, other = (
        [names[name] for name in known if name in names]
        for known in (TEXT_COLUMNS, OTHER_TEXT_COLUMNS)
    )
    if whole or not sections:
        return _only_filled(path, heading, whole or other)
    return sections


def _only_filled(path: Path, heading: Sequence[str], columns: Sequence[int]) -> dict[str, int]:
    """The one of these columns that has text, under ""; empty if there are no columns.

    Raises:
        CxrlocError: several of them have text.
    """
    if len(columns) < 2:
        return {"": columns[0]} if columns else {}
    filled: set[int] = set()
    for _, row in islice(readable_rows(path), 1, None):
        if not isinstance(row, str):
            filled |= {c for c in columns if c < len(row) and has_text(row[c])}
    if len(filled) > 1:
        raise CxrlocError(
            f"{path}: the columns {' and '.join(heading[c] for c in sorted(filled))} may both hold "
            "the reports; rename the one that does not"
        )
    return {"": min(filled, default=columns[0])}


def has_text(cell: str) -> bool:
    """Whether a cell of a table holds a report; "nan" and "not available" are none.

    >>> has_text("No mass."), has_text("NaN"), has_text("--")
    (True, False, False)
    """
    return name_key(cell) not in _NO_TEXT
