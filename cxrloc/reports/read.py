"""Reads reports from files: Open-i XML (folder or .tgz), tables with a text column, plain text."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

from cxrloc.errors import CxrlocError
from cxrloc.files.encodings import LFS_POINTER, encoding_of
from cxrloc.files.tables import readable_rows, whole_row
from cxrloc.reports.archive import MAX_REPORT, archive_members, is_archive
from cxrloc.reports.report_columns import (
    ID_COLUMNS,
    OTHER_TEXT_COLUMNS,
    SECTION_COLUMNS,
    TEXT_COLUMNS,
    has_text,
    known_columns,
    report_columns,
)

_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_SUFFIXES = {".xml", ".txt", ".csv", ".tsv", ".tgz"}
_DOCUMENTS = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a Word or Excel file or another ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Word or Excel file",
    b"{\\rtf": "an RTF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    **LFS_POINTER,
}
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*[\[{"]|\{\s*")')
_HEADING = re.compile(
    r"(?:[^\W_]+[ _.-]+){0,2}(?:report|text|note|narrative|content)s?", re.IGNORECASE
)
"""Such as "radiology_report"; the first words of a report may be "No reportable disease"."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report: its id (file stem, or the id column) and its text with section headings.

    `image_ids` are the images that it reports on, where its file names them (Open-i).
    """

    report_id: str
    text: str
    image_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadableReport:
    """A report that could not be read, and the reason; the other reports are still read."""

    report_id: str
    reason: str


def read_reports(path: Path) -> Iterator[Report | UnreadableReport]:
    """Yields reports one after the other, so that any number of them fits in memory.

    They come from a folder (searched recursively, in order of names), a tar archive (read without
    writing to the disk), a table (see `_from_table`), an XML of Open-i or a text file of one
    report. A report whose id occurred before is unreadable, because one row of labels cannot belong
    to two reports.

    Raises:
        CxrlocError: the path does not exist, holds no report, or is an archive or a table that
            cannot be opened. In a folder such a file is one `UnreadableReport`.
    """
    if path.is_dir():
        documents = {".pdf", ".doc", ".docx", ".xls", ".xlsx", ".rtf"}
        found = sorted(
            p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES | documents and p.is_file()
        )
        if not found:
            raise CxrlocError(f"{path}: no report in it; looked for {', '.join(sorted(_SUFFIXES))}")
        yield from _once(chain.from_iterable(map(_from_one_of_many, found)))
    elif path.is_file():
        yield from _once(_from_file(path))
    else:
        raise CxrlocError(
            f"{path}: {'not a regular file' if path.exists() else 'no such file or folder'}"
        )


def _once(
    reports: Iterable[Report | UnreadableReport],
) -> Iterator[Report | UnreadableReport]:
    seen: set[str] = set()
    for report in reports:
        if isinstance(report, Report) and report.report_id in seen:
            yield UnreadableReport(
                report.report_id, "the id of an earlier report; keep one of them"
            )
        else:
            seen.add(report.report_id)
            yield report


def _from_one_of_many(path: Path) -> Iterator[Report | UnreadableReport]:
    try:
        yield from _from_file(path)
    except CxrlocError as error:
        yield UnreadableReport(path.name, str(error))


def _from_file(path: Path) -> Iterator[Report | UnreadableReport]:
    try:
        with path.open("rb") as file:
            start = file.read(MAX_REPORT + 1)
    except OSError as error:
        raise CxrlocError(f"{path}: cannot be read ({error.strerror})") from error
    if path.name.lower().endswith(_TABLES):
        yield from _from_table(path)
    elif is_archive(path, start):
        for name, content in archive_members(path):
            if isinstance(content, str):
                yield UnreadableReport(name, content)
            else:
                yield _parse(name, content)
    elif (kind := _document(start)) is not None:
        raise CxrlocError(f"{path} is {kind}; save its reports as text, CSV or XML")
    elif len(start) > MAX_REPORT:
        yield UnreadableReport(path.stem, f"larger than {MAX_REPORT} bytes, not one report")
    else:
        yield _parse(path.name, start)


def _document(content: bytes) -> str | None:
    """The kind of a file that is not plain text, by its first bytes; None for plain text."""
    for magic, kind in _DOCUMENTS.items():
        if content.lstrip(b" \r\n\t\xef\xbb\xbf").startswith(magic):
            return kind
    if _JSON.match(content):
        return "JSON"
    # NUL bytes are allowed in UTF-16 alone, where every second byte of Latin text is NUL.
    if b"\0" in content[:4096] and not encoding_of(content, whole=False).startswith("utf-16"):
        return "a binary file"
    return None


def _parse(name: str, content: bytes) -> Report | UnreadableReport:
    kind = _document(content)
    if kind is not None:
        return UnreadableReport(name, f"{kind}, no text")
    text = decode(content)
    if Path(name).suffix.lower() != ".xml":
        return Report(Path(name).stem, text)
    try:
        return parse_openi(Path(name).stem, text)
    except (ElementTree.ParseError, CxrlocError, RecursionError, ValueError) as error:
        return UnreadableReport(Path(name).stem, f"XML cannot be read: {error}")


def decode(content: bytes) -> str:
    r"""The text of content of unknown encoding, which `encoding_of` guesses; never fails.

    >>> decode("肺炎 é".encode()), decode("双肺纹理增多".encode("gb18030")), decode(b"caf\xe9")
    ('肺炎 é', '双肺纹理增多', 'café')
    """
    return content.decode(encoding_of(content, whole=True), errors="replace")


def parse_openi(report_id: str, text: str) -> Report:
    """A report of Open-i (NLMCXR): its abstract's sections under their labels, its id and images.

    The indexers' MeSH terms are not read: the gold labels were made from them.

    Raises:
        CxrlocError: the XML declares a document type (which could define entities), or has no
            abstract.
        xml.etree.ElementTree.ParseError: the XML is not well-formed.

    >>> parse_openi(
    ...     "1", '<a><uId id="CXR1"/><AbstractText Label="FINDINGS">Clear.</AbstractText></a>'
    ... )
    Report(report_id='CXR1', text='FINDINGS: Clear.', image_ids=())
    """
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise CxrlocError("it declares a document type or entities, which are never expanded")
    # XML does not know the named entities of HTML (&nbsp;); its own five entities stay.
    text = re.sub(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z]\w*;", lambda m: html.unescape(m[0]), text)
    root = ElementTree.fromstring(re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", text))
    parts = [
        f"{part.get('Label', 'FINDINGS')}: {''.join(part.itertext()).strip()}"
        for part in root.iter("AbstractText")
    ]
    if not parts:
        raise CxrlocError("no AbstractText in it")
    uid = root.find(".//uId")
    own_id = uid.get("id") if uid is not None else None
    images = tuple(image.get("id", "") for image in root.iter("parentImage"))
    return Report(own_id or report_id, "\n".join(parts), images)


def _from_table(path: Path) -> Iterator[Report | UnreadableReport]:
    """Reports from the rows of a table, out of its `report_columns`.

    Without a known heading, a table of one column is read as reports without heading (the format
    of CheXpert's labeler), unless its first cell is a heading such as "radiology report". Where
    there is no id column, an id is "row 7": a bare number could be taken for that of an image. A
    cell "nan" counts as empty.
    """
    rows = readable_rows(path)
    number, first = next(rows, (1, []))
    if not first:
        raise CxrlocError(f"{path}: empty; expected a column of reports")
    if isinstance(first, str):
        raise CxrlocError(f"{path}, row {number}: {first}")
    names = known_columns(path, first)
    headed = report_columns(path, first, names)
    if not headed and len(first) == 1:
        headed = {"": 0}
        if not _HEADING.fullmatch(first[0]):
            rows, first = chain([(number, first)], rows), ["text"]
    if not headed:
        known = (*TEXT_COLUMNS, *SECTION_COLUMNS, *OTHER_TEXT_COLUMNS)
        raise CxrlocError(
            f"{path}: no column {' or '.join(known)} among {', '.join(first)}; rename the column "
            "that holds the reports"
        )
    ids = next((names[name] for name in ID_COLUMNS if name in names), None)
    columns = [name or f"column {i + 1}" for i, name in enumerate(first)]
    for row_number, row in rows:
        yield _from_row(path.name, row_number, columns, row, headed, ids)


def _from_row(
    table: str,
    number: int,
    columns: list[str],
    row: list[str] | str,
    headed: Mapping[str, int],
    ids: int | None,
) -> Report | UnreadableReport:
    where = f"{table}, row {number}"
    if isinstance(row, str):
        return UnreadableReport(where, row)
    own_id = row[ids] if ids is not None and ids < len(row) else ""
    report_id = own_id or (f"row {number}" if ids is None else where)
    try:
        cells = whole_row(where, columns, row)
    except CxrlocError as error:
        return UnreadableReport(report_id, str(error))
    parts = [
        f"{name}: {cells[column]}" if name else cells[column]
        for name, column in headed.items()
        if has_text(cells[column])
    ]
    return Report(report_id, "\n".join(parts))
