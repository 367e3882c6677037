"""The parts of a manifest: which rows each has, and which of them a run computes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from cxrloc.archive.store import opened
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.extras import import_extra
from cxrloc.files.structured import reason_of


class Part(NamedTuple):
    """A part of a manifest: `rows` rows from `first_row` on."""

    number: int
    first_row: int
    rows: int

    @property
    def name(self) -> str:
        """Name of the part's folder; names sort as numbers do."""
        return f"part-{self.number:06d}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A manifest cut into parts of equal size; the last part may be smaller.

    Attributes:
        manifest: path or URI of the Parquet file.
        rows: number of rows of the manifest.
        part_size: number of rows of a part.
        shard: (k, n): this run computes the parts whose numbers leave the remainder k when they are
            divided by the number of shards n.
    """

    manifest: str
    rows: int
    part_size: int
    shard: tuple[int, int] = (0, 1)

    def parts(self) -> Iterator[Part]:
        """The parts of this shard."""
        number, shards = self.shard
        for each in range(number, -(-self.rows // self.part_size), shards):
            first = each * self.part_size
            yield Part(each, first, min(self.part_size, self.rows - first))


def shard_of(text: str) -> tuple[int, int]:
    """The shard that a user writes as i/n, with i from 0 to n - 1.

    Raises:
        UsageError: it is not of this form.

    >>> shard_of("0/4")
    (0, 4)
    """
    number, _, shards = text.partition("/")
    if number.isdecimal() and shards.isdecimal() and int(number) < int(shards):
        return int(number), int(shards)
    raise UsageError(f"--shard {text}: write i/n with i from 0 to n - 1, such as 0/4")


def make_plan(manifest: str, part_size: int, shard: tuple[int, int] = (0, 1)) -> Plan:
    """The plan of a manifest.

    Raises:
        UsageError: it is no manifest, or has no rows.
    """
    with _manifest_file(manifest) as file:
        rows = file.metadata.num_rows
        columns = file.schema_arrow.names
    if "uri" not in columns:
        raise UsageError(f"{manifest}: has no column `uri`; `cxrloc manifest` makes such a file")
    if not rows:
        raise UsageError(f"{manifest}: lists no image")
    return Plan(manifest, rows, part_size, shard)


def uris_of(manifest: str, part: Part) -> list[str]:
    """The URIs of a part's images, in the order of the manifest.

    Only the row groups with rows of this part are read.
    """
    uris: list[str] = []
    end, first = part.first_row + part.rows, 0
    with _manifest_file(manifest) as file:
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            start, stop = max(part.first_row - first, 0), min(end - first, rows)
            if start < stop:
                with _manifest_errors(manifest):
                    column = file.read_row_group(group, columns=["uri"]).column(0)
                uris += column.slice(start, stop - start).to_pylist()
            first += rows
    return uris


@contextmanager
def _manifest_file(manifest: str) -> Iterator[Any]:
    """The opened Parquet file.

    Raises:
        UsageError: there is no such file, or it is no Parquet.
        CxrlocError: it cannot be read.
    """
    parquet = import_extra("pyarrow.parquet", "archive")
    system, path = opened(manifest)
    with ExitStack() as stack:
        with _manifest_errors(manifest):
            if not system.isfile(path) and system.exists(path):  # a pipe would block
                raise UsageError(f"{manifest}: not a regular file")
            stream = stack.enter_context(system.open(path, "rb"))
            file = stack.enter_context(parquet.ParquetFile(stream))
        yield file


@contextmanager
def _manifest_errors(manifest: str) -> Iterator[None]:
    """Turn an error of a store or of pyarrow into one line that names the manifest."""
    try:
        yield
    except UsageError:
        raise
    except FileNotFoundError:
        raise UsageError(f"{manifest}: no such file") from None
    except Exception as error:  # every store has its own errors
        reason = getattr(error, "strerror", None) or reason_of(error)
        # pyarrow's ArrowInvalid is a ValueError; damaged metadata are an OSError without a number.
        # The errors of stores have no number either, but a class of their own.
        damaged = type(error) is OSError and error.errno is None
        if damaged or isinstance(error, ValueError):
            raise UsageError(
                f"{manifest}: no Parquet file ({reason}); `cxrloc manifest` makes one"
            ) from error
        raise CxrlocError(f"{manifest}: cannot be read ({reason})") from error
