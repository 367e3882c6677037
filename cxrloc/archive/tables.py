"""The tables of an archive's results, and how one part of them is written.

- `findings`: a row per image and finding.
- `boxes`: a row per box, in the columns of `detections.csv`.
- `maps`: a row per image and finding with the raw map as 16-bit numbers; only if asked for.
- `failures`: a row per image that failed, with the stage and the reason.

`uri` names the image as the manifest does, so that the tables can be joined with it.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

from cxrloc.archive.isolation import Item, Lost
from cxrloc.archive.plan import Part
from cxrloc.archive.store import write_bytes
from cxrloc.extras import import_extra
from cxrloc.files.part_tables import PART_FILE

COLUMNS: dict[str, dict[str, str]] = {
    "findings": {
        "uri": "string",
        "finding": "string",
        "probability": "float32",  # calibrated, as everywhere
        "raw_probability": "float32",
        "operating_point": "float32",
        "above_operating_point": "bool",
        "degenerate": "bool",
        "status": "string",
        "warnings": "list<string>",
    },
    "boxes": {
        "uri": "string",
        "finding": "string",
        **dict.fromkeys(("x_min", "y_min", "x_max", "y_max", "threshold", "score"), "float64"),
    },
    "maps": {
        "uri": "string",
        "finding": "string",
        "probability": "float32",
        "rows": "int32",  # of the image
        "columns": "int32",
        "map_rows": "int32",
        "map_columns": "int32",
        "to_image": "list<float64>",  # an `Affine`: from cells of the map to pixels of the image
        "scores": "list<halffloat>",  # row by row
    },
    "failures": {"uri": "string", "stage": "string", "reason": "string"},
}
"""Tables, their columns, and the types of these in Arrow."""


class Rows(NamedTuple):
    """The rows of one image in each table but `failures`, cells in the order of `COLUMNS`."""

    findings: list[tuple[Any, ...]]
    boxes: list[tuple[Any, ...]]
    maps: list[tuple[Any, ...]]


class PartCounts(NamedTuple):
    """A part that was written: its images, and those of them that failed."""

    part: int
    images: int
    failed: int


@dataclass(frozen=True, slots=True)
class PartWriter:
    """Writes parts below a folder or URI; with `maps` also the table of maps."""

    out: str
    maps: bool = False

    def __call__(self, part: Part, items: Sequence[Item]) -> PartCounts:
        """Write the tables of a part, and last of all its `_part.json`.

        Args:
            part: the part.
            items: its images; the value of each is `Rows`, or `Lost` for a failure.

        Raises:
            CxrlocError: a file cannot be written.
        """
        good = [item.value for item in items if not isinstance(item.value, Lost)]
        bad = [(item.uri, *item.value) for item in items if isinstance(item.value, Lost)]
        rows = {
            name: [row for each in good for row in getattr(each, name)] for name in Rows._fields
        }
        if not self.maps:
            del rows["maps"]
        tables = {
            name: _write_table(f"{self.out}/{part.name}/{name}.parquet", name, table_rows)
            for name, table_rows in {**rows, "failures": bad}.items()
        }
        ended = time.time()
        started = min((item.begun for item in items), default=ended)
        card = {
            "part": part.number,
            "first_row": part.first_row,
            "images": len(items),
            "failed": len(bad),
            "started": round(started, 3),
            "seconds": round(ended - started, 3),
            "tables": tables,
        }
        text = json.dumps(card, indent=1) + "\n"
        write_bytes(f"{self.out}/{part.name}/{PART_FILE}", text.encode())
        return PartCounts(part.number, len(items), len(bad))


def _write_table(place: str, name: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Write one table; returns its number of rows and the size and hash of its file."""
    arrow = import_extra("pyarrow", "archive")
    parquet = import_extra("pyarrow.parquet", "archive")
    schema = arrow.schema([(column, _type(arrow, kind)) for column, kind in COLUMNS[name].items()])
    cells = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [arrow.array(values, field.type) for values, field in zip(cells, schema, strict=True)]
    stream = BytesIO()
    parquet.write_table(arrow.Table.from_arrays(arrays, schema=schema), stream, compression="zstd")
    content = stream.getvalue()
    write_bytes(place, content)
    hashed = hashlib.sha256(content).hexdigest()
    return {"rows": len(rows), "bytes": len(content), "sha256": hashed}


def _type(arrow: Any, kind: str) -> Any:
    if kind.startswith("list<"):
        return arrow.list_(arrow.type_for_alias(kind[5:-1]))
    return arrow.type_for_alias(kind)
