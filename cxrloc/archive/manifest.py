"""Writes the manifest of an archive: one row per image, from the headers of the files alone.

Files are listed and read as a stream, so memory grows only by eight bytes per SOP instance UID,
which are needed to mark duplicates. The tables are Parquet files, written whole or not at all.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.archive.header_rows import COLUMNS, FAILURE_COLUMNS, rows_of
from cxrloc.archive.listing import list_files
from cxrloc.errors import UsageError
from cxrloc.files.run_folder import make_folder
from cxrloc.files.whole import closed_after, named_errors, whole_file

KEY_VARIABLE = "CXRLOC_ID_KEY"
"""Environment variable with the key of hashed identifiers."""

BATCH = 10_000
"""Rows that are written at once."""


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """What a manifest holds.

    Attributes:
        key: key of the hashes that replace patients and UIDs; empty only with `clear_ids`.
        clear_ids: whether to write patients and UIDs as they are, for public data.
        dates: whether to write dates of acquisition, which can identify a patient.
        where: an SQL condition on the columns; rows that meet it are kept. Empty keeps all rows.
        workers: number of threads that fetch the beginnings of the files.
    """

    key: bytes = b""
    clear_ids: bool = False
    dates: bool = False
    where: str = ""
    workers: int = 8


def id_key(key_file: Path | None) -> bytes:
    """The key of hashed identifiers: a file's content, else the environment's; empty for none.

    Raises:
        UsageError: the file cannot be read or is empty.
    """
    if key_file is None:
        return os.environ.get(KEY_VARIABLE, "").encode()
    try:
        key = key_file.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"--key-file {key_file}: cannot be read ({error.strerror})") from error
    if not key:
        raise UsageError(f"--key-file {key_file}: it is empty; write a long random text there")
    return key


class ManifestCounts(NamedTuple):
    """The numbers of rows, of rows that repeat an earlier image, and of unreadable files."""

    images: int
    duplicates: int
    failures: int


def write_manifest(
    places: Sequence[str],
    out: Path,
    options: ManifestOptions,
    watch: Callable[[Iterable[dict[str, Any]]], Iterable[dict[str, Any]]] = iter,
) -> ManifestCounts:
    """Write the manifest of files, folders and object stores, and a table of unreadable files.

    `out` gets one row per image, `<out>.failures.parquet` one per file that claims to be an image
    by its suffix or its content and cannot be read.

    Args:
        places: paths, or URIs that fsspec knows (`s3://`, `gs://`, `memory://`).
        out: the Parquet file.
        options: identifiers, dates, filter, threads.
        watch: passes rows on, and may show how far they have come.

    Raises:
        UsageError: there is no key and ids are not to be clear, a place does not exist, `out` is a
            URI or cannot be made, the condition is no SQL, or the extra `archive` is not installed.
    """
    if re.match(r"\w\w+:/", str(out)):  # a path has lost one slash of a URI
        raise UsageError(
            f"--out {out}: --out must be a path on a disk, not a URI; write it there and copy the "
            "file to the store afterwards"
        )
    if not options.key and not options.clear_ids:
        raise UsageError(
            f"identifiers become keyed hashes: name a key (environment variable {KEY_VARIABLE}, "
            "or --key-file), or write public ones as they are with --clear-ids"
        )
    make_folder(out.parent)
    hide = partial(_hidden, options=options)
    failed = out.with_name(f"{out.stem}.failures.parquet")
    counts = [0, 0, 0]
    seen: set[bytes] = set()
    with ExitStack() as stack:
        parts = [stack.enter_context(whole_file(path)) for path in (out, failed)]
        images = stack.enter_context(closed_after(_Table(out, parts[0], COLUMNS)))
        unreadable = stack.enter_context(closed_after(_Table(failed, parts[1], FAILURE_COLUMNS)))
        read = rows_of(list_files(places), hide, options.dates, options.workers)
        rows = iter(watch(read))
        while batch := list(islice(rows, BATCH)):
            good = [row for row in batch if "reason" not in row]
            for row in good:
                row["duplicate"] = _is_repeated(row.pop("key"), seen)
            bad = [row for row in batch if "reason" in row]
            images.write(good)
            unreadable.write(bad)
            counts[0] += len(good)
            counts[1] += sum(row["duplicate"] for row in good)
            counts[2] += len(bad)
        images.close()
        unreadable.close()
        if options.where:
            with named_errors(out):
                counts[0], counts[1] = _keep_rows(parts[0], options.where)
    return ManifestCounts(*counts)


class _Table:
    """A Parquet file that is being written; errors of the disk name `path`, which it will become.

    Args:
        path: the finished file.
        part: the temporary file.
        columns: their names and types in Arrow.
    """

    def __init__(self, path: Path, part: Path, columns: Mapping[str, str]) -> None:
        parquet, self._arrow = _arrow()
        fields = [(name, self._arrow.type_for_alias(kind)) for name, kind in columns.items()]
        self._path, self._schema = path, self._arrow.schema(fields)
        with named_errors(path):
            self._writer = parquet.ParquetWriter(part, self._schema)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows."""
        if rows:
            with named_errors(self._path):
                self._writer.write_table(self._arrow.Table.from_pylist(rows, schema=self._schema))

    def close(self) -> None:
        """Write what is left; a table that is closed stays so."""
        with named_errors(self._path):
            self._writer.close()


def _is_repeated(key: bytes | None, seen: set[bytes]) -> bool:
    """Whether an image of this SOP instance UID came before; an image without one is its own."""
    if key is None or key not in seen:
        if key is not None:
            seen.add(key)
        return False
    return True


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("a manifest needs the extra: pip install 'cxrloc[archive]'") from error
    return pyarrow.parquet, pyarrow


def _hidden(value: str, options: ManifestOptions) -> str:
    """An identifier as its keyed hash (HMAC-SHA-256, 128 bits), or as it is."""
    if options.clear_ids:
        return value
    return hmac.new(options.key, value.encode(), hashlib.sha256).hexdigest()[:32]


def _keep_rows(path: Path, where: str) -> tuple[int, int]:
    """Keep only the rows that meet an SQL condition; the numbers of images and of duplicates."""
    try:
        import duckdb
    except ImportError as error:
        raise UsageError("--where needs the extra: pip install 'cxrloc[archive]'") from error
    kept = path.with_name(f"{path.name}.kept")
    try:
        with duckdb.connect() as session:
            # A file that the condition names is opened here, so later IO errors are of our files.
            rows_kept = session.read_parquet(str(path)).filter(where)
            try:
                rows_kept.write_parquet(str(kept))
            except duckdb.IOException as error:
                raise OSError(" ".join(str(error).split())[:300]) from error
            counted = session.read_parquet(str(kept)).aggregate(
                "count(*), coalesce(sum(duplicate::int), 0)"
            )
            images, duplicates = counted.fetchall()[0]
        kept.replace(path)
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"--where {where!r}: {reason}") from error
    finally:
        kept.unlink(missing_ok=True)
    return int(images), int(duplicates)
