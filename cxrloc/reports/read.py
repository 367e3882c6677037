"""Reports from files: Open-i XML (a folder or .tgz), CSV with a text column, plain text."""

import codecs
import csv
import html
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

from cxrloc.types import CxrlocError

MAX_BYTES = 1_000_000
"""A larger file is not one report; it is refused before it is read into memory."""

TEXT_COLUMNS = ("text", "report", "reports", "report_text", "diagnosis")
SECTION_COLUMNS = ("findings", "impression")
ID_COLUMNS = ("report_id", "study_id", "image_id", "filename", "uid", "id", "dicom_id")
_SUFFIXES = {".xml", ".txt", ".csv", ".tsv", ".tgz"}


@dataclass(frozen=True, slots=True)
class Report:
    """One report: its id (file stem, or the id column) and its text with section headings.

    `image_ids` are the images that it reports on, where its file says them (Open-i).
    """

    report_id: str
    text: str
    image_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadableReport:
    """A report that could not be read, and why; the others go on."""

    report_id: str
    reason: str


def read_reports(path: Path) -> Iterator[Report | UnreadableReport]:
    """Reads reports one after the other, so that any number fits in memory.

    A folder (searched recursively, sorted), a .tgz (read without writing to the disk), a CSV or
    TSV (see `_from_table`), an XML of Open-i or a text file of one report.

    Raises:
        CxrlocError: the path does not exist, holds no report, or is an archive or a table that
            cannot be opened.
    """
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
        if not found:
            raise CxrlocError(f"{path}: no report in it; looked for {', '.join(sorted(_SUFFIXES))}")
        yield from chain.from_iterable(map(_from_file, found))
    elif path.is_file():
        yield from _from_file(path)
    else:
        raise CxrlocError(f"{path}: no such file or folder")


def _from_file(path: Path) -> Iterator[Report | UnreadableReport]:
    suffix = path.suffix.lower()
    if path.name.lower().endswith((".tgz", ".tar.gz", ".tar")):
        yield from _from_archive(path)
    elif suffix in {".csv", ".tsv"}:
        yield from _from_table(path)
    elif path.stat().st_size > MAX_BYTES:
        yield UnreadableReport(path.stem, f"larger than {MAX_BYTES} bytes, not one report")
    else:
        yield _parse(path.name, path.read_bytes())


def _from_archive(path: Path) -> Iterator[Report | UnreadableReport]:
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                name = Path(member.name).name
                if not member.isfile() or Path(name).suffix.lower() not in {".xml", ".txt"}:
                    continue
                if member.size > MAX_BYTES:
                    yield UnreadableReport(name, f"larger than {MAX_BYTES} bytes, not one report")
                    continue
                content = archive.extractfile(member)
                if content is not None:
                    yield _parse(name, content.read())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CxrlocError(f"{path}: archive cannot be read to its end ({error})") from error


def _parse(name: str, content: bytes) -> Report | UnreadableReport:
    text = decode(content)
    if Path(name).suffix.lower() != ".xml":
        return Report(Path(name).stem, text)
    try:
        return parse_openi(Path(name).stem, text)
    except (ElementTree.ParseError, CxrlocError) as error:
        return UnreadableReport(Path(name).stem, f"XML cannot be read: {error}")


def decode(content: bytes) -> str:
    r"""Text of unknown encoding, see `encoding_of`; never fails.

    >>> decode("肺炎 é".encode()), decode("双肺纹理增多".encode("gb18030")), decode(b"caf\xe9")
    ('肺炎 é', '双肺纹理增多', 'café')
    """
    return content.decode(encoding_of(content, whole=True), errors="replace")


def encoding_of(content: bytes, whole: bool) -> str:
    """By its byte order mark, else UTF-8, else GB18030 or Windows-1252.

    GB18030 is taken where it gives at least three characters beyond ASCII, nearly all Chinese.
    Content that is not the whole file may end within a character.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=whole)
    except UnicodeDecodeError:
        text = content.decode("gb18030", errors="replace")
        beyond = [character for character in text if character > "\x7f"]
        chinese = sum("\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef" for c in beyond)
        return "gb18030" if len(beyond) > 2 and chinese > 0.9 * len(beyond) else "cp1252"
    return "utf-8-sig"


def parse_openi(report_id: str, text: str) -> Report:
    """A report of Open-i (NLMCXR): its abstract's sections under their labels, its id and images.

    The indexers' MeSH terms are not read: the gold labels were made from them.

    Raises:
        CxrlocError: it declares a document type (which could define entities), or has no abstract.
        xml.etree.ElementTree.ParseError: not well-formed.

    >>> parse_openi(
    ...     "1", '<a><uId id="CXR1"/><AbstractText Label="FINDINGS">Clear.</AbstractText></a>'
    ... )
    Report(report_id='CXR1', text='FINDINGS: Clear.', image_ids=())
    """
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise CxrlocError("it declares a document type or entities, which are never expanded")
    # Named entities of HTML (&nbsp;) are unknown to XML; its own five stay.
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
    """Rows of a CSV or TSV: one of TEXT_COLUMNS, or SECTION_COLUMNS; ids from one of ID_COLUMNS.

    Without a known heading, a table of one column is read as reports without heading (the format
    of CheXpert's labeler). Ids are row numbers where there is no id column.
    """
    csv.field_size_limit(MAX_BYTES)
    with path.open("rb") as file:
        encoding = encoding_of(file.read(MAX_BYTES), whole=False)
    with path.open(encoding=encoding, errors="replace", newline="") as text:
        rows: Iterator[list[str]] = csv.reader(
            (line.replace("\0", " ") for line in text),
            delimiter="\t" if path.suffix.lower() == ".tsv" else ",",
        )
        first = next(rows, None)
        if first is None:
            raise CxrlocError(f"{path}: empty; expected a column of reports")
        names = {
            name.strip().lower().replace(" ", "_"): column for column, name in enumerate(first)
        }
        columns = [names[name] for name in TEXT_COLUMNS if name in names][:1]
        sections = {name: names[name] for name in SECTION_COLUMNS if name in names}
        if not columns and not sections:
            if len(first) != 1:
                raise CxrlocError(
                    f"{path}: no column {' or '.join((*TEXT_COLUMNS, *SECTION_COLUMNS))} "
                    f"among {', '.join(first)}; rename the column that holds the reports"
                )
            columns, rows = [0], chain([first], rows)
        ids = next((names[name] for name in ID_COLUMNS if name in names), None)
        headed = {"": columns[0]} if columns else sections
        yield from _rows(rows, headed, ids, path)


def _rows(
    rows: Iterator[list[str]], headed: Mapping[str, int], ids: int | None, path: Path
) -> Iterator[Report | UnreadableReport]:
    number = 0
    while True:
        number += 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield UnreadableReport(f"{path.name} row {number}", str(error))
            continue
        if not row:
            continue
        report_id = row[ids] if ids is not None and ids < len(row) else str(number)
        if max(headed.values()) >= len(row):
            yield UnreadableReport(report_id, f"{path.name} row {number} has {len(row)} columns")
            continue
        parts = (
            f"{name}: {row[column]}" if name else row[column] for name, column in headed.items()
        )
        yield Report(report_id, "\n".join(parts))
