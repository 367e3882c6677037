"""Reads delimited tables (CSV, TSV, with or without gzip) as text, with limits on their size.

Spreadsheets, R, pandas and the publishers of data sets write different tables. `read_table` reads
all of them in one way, and refuses tables that would otherwise give a wrong number.
"""

import csv
import io
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrloc.errors import CxrlocError
from cxrloc.files.encodings import opened_text

NOTE = "note"
"""Column of a result in which sentences hold for the row, such as that images are synthetic."""

MAX_CELL = 1_000_000
"""Most characters of one cell; a report or a run-length code is far shorter."""

MAX_CELLS = 30_000_000
"""Most cells of a table that is kept in memory as a whole."""

_BLANK = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"})
_BLOCK = 1 << 20
_FORMULA = re.compile(r'^="([^"]*)"$')  # written so that a spreadsheet keeps leading zeros
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table as text.

    Attributes:
        path: of its file, for messages.
        columns: the cells of each named column, without outer blanks, in the file's order.
        numbers: for each row of cells, its row number in the file, counted from 1 as in a
            spreadsheet; the heading is row 1.
    """

    path: Path
    columns: Mapping[str, Sequence[str]]
    numbers: Sequence[int]


def read_table(
    path: Path, needed: Sequence[str] = (), optional: Sequence[str] = (), hint: str = ""
) -> Table:
    """The whole table, with all cells as text without outer blanks, and without blank rows.

    The function reads UTF-8 with or without byte order mark, UTF-16 and Windows-1252; comma,
    semicolon, tab and vertical bar; quoted cells; Excel's first line `sep=;` and text as a formula
    `="007"`; gzip. In a table that is not separated by commas a number may have a decimal comma,
    which becomes a point.
    Case, blanks, points and underscores are ignored when a column is found by its name, since
    R writes `Image.Index` for `Image Index`. Columns without a name are left out.

    Args:
        path: of the file.
        needed: names of columns that must be there; the result uses this spelling.
        optional: names of columns that may be missing; the result uses this spelling.
        hint: end of the message about a missing column.

    Raises:
        CxrlocError: the file cannot be read as a table, a needed column is missing, a column is
            there twice, or a row (named) has too few or too many cells.
    """
    rows = table_rows(path)
    _, header = next(rows, (1, []))
    names = _standard_names(path, header, needed, optional)
    missing = [name for name in needed if name not in names]
    if missing:
        there = ", ".join(filter(None, names)) or "none"
        raise CxrlocError(
            f"{path}, row 1: no column {', '.join(missing)}; {hint or f'its columns are {there}'}"
        )
    kept: list[tuple[str, ...]] = []
    numbers: list[int] = []
    width = len(names)
    most = MAX_CELLS // max(len(names), 1)
    for number, row in rows:
        # Tuples of text, unlike lists, need not be tracked by the garbage collector.
        if len(row) != width:
            row = whole_row(f"{path}, row {number}", names, row)
        kept.append(tuple(row))
        numbers.append(number)
        if len(kept) > most:
            raise CxrlocError(
                f"{path}: more than {MAX_CELLS:,} cells; divide the file into several"
            )
    cells = list(zip(*kept, strict=True)) or [()] * len(names)
    columns = {name: cells[i] for i, name in enumerate(names) if name}
    return Table(path, columns, numbers)


def table_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields number and cells of each row that is not blank, lazily; the first is the heading.

    Raises:
        CxrlocError: the file cannot be read, is not text, or has a cell or a size above the limit.
    """
    for number, row in readable_rows(path):
        if isinstance(row, str):
            raise CxrlocError(f"{path}, row {number}: {row}")
        yield number, row


def readable_rows(path: Path) -> Iterator[tuple[int, list[str] | str]]:
    """Yields what `table_rows` yields, and the reason in place of the cells of a broken row.

    After a broken row, such as one whose quote is never closed, reading goes on at the next line.

    Raises:
        CxrlocError: the file cannot be read, or is no text.
    """
    number = 0
    csv.field_size_limit(MAX_CELL)
    try:
        with opened_text(path) as file:
            lines, delimiter = _delimited(_lines(path, file))
            source = _Rewindable(lines)
            rows = csv.reader(source, delimiter=delimiter, strict=True)
            while True:
                number += 1
                source.forget()
                try:
                    row = next(rows)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield number, f"cannot be read as CSV ({error})"
                    source.back_to_second_line()
                    rows = csv.reader(source, delimiter=delimiter, strict=True)
                    continue
                cells = list(map(str.strip, row))
                joined = "".join(cells)
                if not joined:
                    continue
                if '="' in joined:
                    cells = [_FORMULA.sub(r"\1", cell) for cell in cells]
                if delimiter != ",":
                    cells = [
                        cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell
                        for cell in cells
                    ]
                yield number, cells
    except FileNotFoundError as error:
        raise CxrlocError(f"{path}: no such file") from error
    except (OSError, UnicodeError, EOFError, zlib.error) as error:
        raise CxrlocError(f"{path}: cannot be read as a table ({error})") from error


class _Rewindable:
    """An iterator of lines that can go back to the second line of the current row."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._read: list[str] = []
        self._again: list[str] = []

    def __iter__(self) -> "_Rewindable":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._lines)
        self._read.append(line)
        return line

    def forget(self) -> None:
        """Forgets the lines of the last row, so that a new row begins."""
        self._read.clear()

    def back_to_second_line(self) -> None:
        """Goes back, so that all lines of the row but its first are read again."""
        self._again += reversed(self._read[1:])


def whole_row(where: str, names: Sequence[str], row: list[str]) -> list[str]:
    """The row with as many cells as the heading has names.

    Blank cells may be missing below columns without a name, and may follow the last column, because
    the published box list of ChestX-ray14 has both.

    Raises:
        CxrlocError: a named column has no cell, as in a truncated file, or a cell has no column.
    """
    if len(row) < len(names):
        if any(names[len(row) :]):
            raise CxrlocError(
                f"{where}: {len(row)} cells where the heading has {len(names)} columns; "
                "the file may be cut short, or a separator missing"
            )
        return row + [""] * (len(names) - len(row))
    if any(row[len(names) :]):
        raise CxrlocError(
            f"{where}: {len(row)} cells where the heading has {len(names)} columns; "
            "text that holds a separator must be quoted"
        )
    return row[: len(names)]


def rows_of(table: Table) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields for each row its place ("file, row 7") and its cells by column."""
    names, start = list(table.columns), f"{table.path}, row "
    for number, cells in zip(table.numbers, zip(*table.columns.values(), strict=True), strict=True):
        yield f"{start}{number}", dict(zip(names, cells, strict=True))


def row_name(table: Table, index: int) -> str:
    """The place of a row of cells, for messages: "file, row 7"."""
    return f"{table.path}, row {table.numbers[index]}"


def number_of(text: str) -> float:
    """The number in a cell; NaN if it is none, such as "0_9", which Python would read as 9."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def number_in(where: str, column: str, text: str) -> float:
    """The cell as a finite number.

    Raises:
        CxrlocError: the cell is not a finite number; the message names row and column.

    >>> number_in("row 2", "x", "1.5")
    1.5
    """
    if not math.isfinite(value := number_of(text)):
        raise CxrlocError(f"{where}: {column} is {text[:40]!r}, not a finite number")
    return value


def is_blank(cell: str) -> bool:
    """Whether a cell is empty or one of the marks that R and pandas write for a missing value.

    >>> [is_blank(cell) for cell in ("", "NA", "nan", "None", "0")]
    [True, True, True, True, False]
    """
    return cell.strip().lower() in _BLANK


def key_of(name: str) -> str:
    """A column's name in lower case, without blanks, points and underscores.

    All spellings of one name have the same key.

    >>> key_of("Image Index") == key_of("image.index")
    True
    """
    return re.sub(r"[\s._-]+", "", name).lower()


def _standard_names(
    path: Path, header: Sequence[str], needed: Sequence[str], optional: Sequence[str]
) -> list[str]:
    """Names of the columns; those that the caller asked for have the caller's spelling."""
    by_key = {key_of(name): name for name in (*optional, *needed)}
    named = {*needed, *optional}
    names = [name if name in named else by_key.get(key_of(name), name) for name in header]
    twice = [name for name, count in Counter(filter(None, names)).items() if count > 1]
    if twice:
        raise CxrlocError(f"{path}, row 1: the column {twice[0]} is there twice; keep one")
    return names


def _lines(path: Path, file: io.TextIOBase) -> Iterator[str]:
    """The lines of a file, limited in size so that no file fills the memory."""
    while line := file.readline(_BLOCK * 16):
        if len(line) == _BLOCK * 16:
            raise CxrlocError(
                f"{path}: a line of more than {_BLOCK * 16:,} characters, so it is not a table"
            )
        if "\0" in line:
            raise CxrlocError(f"{path}: it holds NUL characters; not a table of text")
        yield line


def _delimited(lines: Iterator[str]) -> tuple[Iterator[str], str]:
    """All lines, and the separator of cells as the first line that is not blank shows it."""
    first = next((line for line in lines if line.strip()), "")
    declared = re.fullmatch(r"\ufeff?sep=(.)\s*", first)
    if declared:
        return lines, declared[1]
    bare = re.sub(r'"[^"]*"', "", first)
    delimiter = "\t" if "\t" in bare else max(",;|", key=bare.count)

    def all_lines() -> Iterator[str]:
        yield first
        yield from lines

    return all_lines(), delimiter
