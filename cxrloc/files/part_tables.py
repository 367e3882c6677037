"""The results of `cxrloc archive`: a folder per part, with a Parquet file per table.

`part-000012/findings.parquet` is one table of one part, and `part-000012/_part.json`, which is
written last, says that the part is complete.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.errors import CxrlocError
from cxrloc.extras import import_extra
from cxrloc.files.structured import expecting, read_json
from cxrloc.text import one_line

PART_FILE = "_part.json"


def holds_parts(path: Path) -> bool:
    """Whether a path is the folder of results of `cxrloc archive`."""
    return path.is_dir() and any(path.glob(f"part-*/{PART_FILE}"))


class PartRow(NamedTuple):
    """A row of a part's table: the file, the number of the row from 1 on, and the cells."""

    file: Path
    number: int
    cells: tuple[Any, ...]


def rows_of_parts(path: Path, table: str, columns: Sequence[str]) -> Iterator[PartRow]:
    """Yields the rows of one table over all complete parts, in the order of the manifest.

    Args:
        path: the folder of results.
        table: "findings", "boxes", "maps" or "failures".
        columns: the cells of a row, in this order.

    Raises:
        CxrlocError: the card or a table of a part is damaged or missing.
    """
    for part in sorted(path.glob(f"part-*/{PART_FILE}")):
        with expecting(part, "the card of a part"):
            if table not in read_json(part)["tables"]:
                continue
        place = part.with_name(f"{table}.parquet")
        for number, cells in enumerate(_rows(place, columns), 1):
            yield PartRow(place, number, cells)


def _rows(place: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    parquet = import_extra("pyarrow.parquet", "archive")
    with table_errors(place), parquet.ParquetFile(place) as file:
        for batch in file.iter_batches(columns=list(columns)):
            cells = [batch.column(name).to_pylist() for name in columns]
            yield from zip(*cells, strict=True)


@contextmanager
def table_errors(place: Path | str) -> Iterator[None]:
    """Turn an error of pyarrow into one line that names the file."""
    try:
        with expecting(place, "a table of `cxrloc archive`"):
            yield
    except OSError as error:  # damaged metadata, too, are an OSError in pyarrow
        reason = one_line(error.strerror or str(error), 200)
        raise CxrlocError(f"{place}: cannot be read ({reason})") from error
