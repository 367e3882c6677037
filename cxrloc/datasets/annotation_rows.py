"""Rows of the CSV files in which data sets publish their annotations."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cxrloc.types import CxrlocError


def annotation_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands, and its cells by column, both without outer blanks.

    Raises:
        CxrlocError: the file is not CSV, or lacks one of the columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            if missing := [name for name in columns if name not in header]:
                raise CxrlocError(
                    f"{path}, row 1: no column {', '.join(missing)}; the published file has "
                    f"{', '.join(columns)}"
                )
            for row in reader:
                if any(cell.strip() for cell in row):
                    cells = dict.fromkeys(header, "") | dict(zip(header, row, strict=False))
                    where = f"{path}, row {reader.line_num}"
                    yield where, {name: cell.strip() for name, cell in cells.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CxrlocError(f"{path} cannot be read as CSV: {error}") from error


def numbers(where: str, cells: Mapping[str, str], names: Sequence[str]) -> list[float]:
    """The cells as finite numbers.

    Raises:
        CxrlocError: a cell (named) is not one.

    >>> numbers("row 2", {"x": "1.5", "y": "2"}, ("x", "y"))
    [1.5, 2.0]
    """
    values = []
    for name in names:
        try:
            value = float(cells[name])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise CxrlocError(f"{where}: {name} is {cells[name]!r}, not a finite number")
        values.append(value)
    return values
