"""The results of `cxrloc archive`: a folder per part, with a Parquet file per table.

`part-000012/findings.parquet` is one table of one part, and `part-000012/_part.json`, which is
written last, says that the part is complete.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cxrloc.extras import import_extra

PART_FILE = "_part.json"


def holds_parts(path: Path) -> bool:
    """Whether a path is the folder of results of `cxrloc archive`."""
    return path.is_dir() and any(path.glob(f"part-*/{PART_FILE}"))


def rows_of_parts(path: Path, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yields the rows of one table over all complete parts, in the order of the manifest.

    Args:
        path: the folder of results.
        table: "findings", "boxes", "maps" or "failures".
        columns: the cells of a row, in this order.
    """
    parquet = import_extra("pyarrow.parquet", "archive")
    for part in sorted(path.glob(f"part-*/{PART_FILE}")):
        if table not in json.loads(part.read_bytes())["tables"]:
            continue
        with parquet.ParquetFile(part.with_name(f"{table}.parquet")) as file:
            for batch in file.iter_batches(columns=list(columns)):
                cells = [batch.column(name).to_pylist() for name in columns]
                yield from zip(*cells, strict=True)
