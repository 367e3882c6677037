"""Writes CSV files row by row."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cxrloc.files.whole import closed_after, named_errors, whole_file
from cxrloc.text import for_csv


@contextmanager
def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Callable[[Sequence[Any]], None]]:
    """Yield a function that adds a row to a CSV file, which is whole when the block ends.

    The function serves tables that are too long for the memory; it writes None as an empty cell.
    """
    with (
        whole_file(path) as part,
        closed_after(
            part.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        ) as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)

        def add(row: Sequence[Any]) -> None:
            with named_errors(path):
                table.writerow([for_csv(c) if isinstance(c, str) else c for c in row])

        yield add
