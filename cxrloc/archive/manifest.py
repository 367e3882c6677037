"""The manifest of an archive: one row per image, out of headers alone.

Files are walked and read as a stream: memory stays flat but for eight bytes per SOP instance UID,
by which duplicates are marked. The tables are Parquet, written whole or not at all.
"""

import hashlib
import hmac
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.archive.store import opened
from cxrloc.files.whole import whole_file
from cxrloc.images.dicom_file import PARSING_ERRORS, read_dicom_header
from cxrloc.images.dicom_header import view_of
from cxrloc.images.dicom_values import code_of, texts
from cxrloc.images.folders import is_image_name
from cxrloc.images.formats import HEAD, SUFFIXES, file_format_of
from cxrloc.types import CxrlocError, UsageError

KEY_VARIABLE = "CXRLOC_ID_KEY"
"""Environment variable with the key of hashed identifiers."""

HEADER_BYTES = (1 << 15, 1 << 20)
"""Of a file that are read, and then of a file whose header is longer: most have a few kilobytes."""

BATCH = 10_000
"""Rows that are written at once."""

IDS = {
    "patient": "PatientID",
    "study": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "sop_instance": "SOPInstanceUID",
}
"""Columns of identifiers, and the DICOM keywords that they are of."""

TAGS = (
    *IDS.values(),
    *("SpecificCharacterSet", "Modality", "ViewPosition", "ViewCodeSequence", "BodyPartExamined"),
    *("Rows", "Columns", "PhotometricInterpretation", "AcquisitionDate", "StudyDate"),
)

COLUMNS = {
    "uri": "string",
    "size": "int64",
    "version": "string",  # an object store's ETag, else the time of the last change
    "format": "string",
    "modality": "string",
    "view": "string",
    "body_part": "string",
    "rows": "int32",
    "columns": "int32",
    "transfer_syntax": "string",
    "photometric_interpretation": "string",
    "acquisition_date": "string",
    **dict.fromkeys(IDS, "string"),
    "duplicate": "bool",
}
"""Columns of the manifest and their types in Arrow; empty cells are null."""

FAILURE_COLUMNS = {"uri": "string", "size": "int64", "reason": "string"}


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """What a manifest holds.

    Attributes:
        key: of the keyed hashes that stand for patients and UIDs; empty only with `clear_ids`.
        clear_ids: write patients and UIDs as they are, for public data.
        dates: write dates of acquisition, which can tell a patient.
        where: an SQL condition on the columns, by which rows are kept; empty keeps all.
        workers: threads that read headers.
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
    """Rows of the manifest, those of them that repeat an earlier image, and unreadable files."""

    images: int
    duplicates: int
    failures: int


class _File(NamedTuple):
    system: Any
    path: str
    uri: str
    size: int
    version: str


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
        UsageError: there is no key and ids are not to be clear, a place does not exist, the
            condition is no SQL, or the extra `archive` is not installed.
    """
    if not options.key and not options.clear_ids:
        raise UsageError(
            f"identifiers become keyed hashes: name a key (environment variable {KEY_VARIABLE}, "
            "or --key-file), or write public ones as they are with --clear-ids"
        )
    parquet, arrow = _arrow()
    failed = out.with_name(f"{out.stem}.failures.parquet")
    counts = [0, 0, 0]
    seen: set[bytes] = set()
    with ExitStack() as stack:
        parts = [stack.enter_context(whole_file(path)) for path in (out, failed)]
        schemas = [_schema(arrow, columns) for columns in (COLUMNS, FAILURE_COLUMNS)]
        writers = [
            stack.enter_context(parquet.ParquetWriter(part, schema))
            for part, schema in zip(parts, schemas, strict=True)
        ]
        rows = iter(watch(_rows(_files(places), options)))
        while batch := list(islice(rows, BATCH)):
            good = [row for row in batch if "reason" not in row]
            for row in good:
                row["duplicate"] = _is_repeated(row.pop("key"), seen)
            bad = [row for row in batch if "reason" in row]
            for writer, schema, own in zip(writers, schemas, (good, bad), strict=True):
                if own:
                    writer.write_table(arrow.Table.from_pylist(own, schema=schema))
            counts[0] += len(good)
            counts[1] += sum(row["duplicate"] for row in good)
            counts[2] += len(bad)
        for writer in writers:
            writer.close()
        if options.where:
            counts[0], counts[1] = _keep_rows(parts[0], options.where)
    return ManifestCounts(*counts)


def _schema(arrow: Any, columns: Mapping[str, str]) -> Any:
    return arrow.schema([(name, arrow.type_for_alias(kind)) for name, kind in columns.items()])


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


def _files(places: Sequence[str]) -> Iterator[_File]:
    """Files that may be images, as they are found; each place's folders in order."""
    for place in places:
        system, path = opened(place)
        try:
            exists = system.exists(path)
        except OSError as error:
            raise UsageError(f"{place}: cannot be opened ({error})") from error
        if not exists:
            raise UsageError(f"{place}: no such file or folder")
        if system.isfile(path):
            yield _file(system, system.info(path))
            continue
        for _, _, files in system.walk(path, detail=True):
            for name in sorted(files):
                if is_image_name(name):
                    yield _file(system, files[name])


def _file(system: Any, info: dict[str, Any]) -> _File:
    path = info["name"]
    version = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("created", "")
    return _File(system, path, system.unstrip_protocol(path), int(info["size"] or 0), str(version))


def _rows(files: Iterable[_File], options: ManifestOptions) -> Iterator[dict[str, Any]]:
    """Rows in the order of the files; no more than a few batches of headers are read ahead."""
    waiting = iter(files)
    with ThreadPoolExecutor(options.workers) as pool:
        while chunk := list(islice(waiting, 64 * options.workers)):
            for row in pool.map(lambda file: _row(file, options), chunk):
                if row is not None:
                    yield row


def _row(file: _File, options: ManifestOptions) -> dict[str, Any] | None:
    """The row of an image, a row with a reason where it cannot be read; None for other files."""
    row = {"uri": file.uri, "size": file.size, "version": file.version}
    try:
        content = _first_bytes(file, HEADER_BYTES[0])
        kind = file_format_of(content[:HEAD])
        if kind is None:
            if not file.path.lower().endswith(SUFFIXES):
                return None
            raise CxrlocError("neither DICOM nor PNG nor JPEG")
        read = partial(_dicom, options=options) if kind == "DICOM" else _picture
        try:
            own = read(content)
        except (CxrlocError, *PARSING_ERRORS):
            if file.size <= HEADER_BYTES[0]:
                raise
            own = read(_first_bytes(file, HEADER_BYTES[1]))
        return {**row, "format": kind, **own}
    except (CxrlocError, OSError, *PARSING_ERRORS) as error:
        reason = " ".join(str(error).split())[:600] or type(error).__name__
        return {"uri": file.uri, "size": file.size, "reason": reason}


def _first_bytes(file: _File, count: int) -> bytes:
    with file.system.open(file.path, "rb") as stream:
        content: bytes = stream.read(count)
    return content


def _dicom(content: bytes, options: ManifestOptions) -> dict[str, Any]:
    with mmap.mmap(-1, len(content)) as data:
        data.write(content)
        header = read_dicom_header(Path("header"), data, TAGS)
        ids = {name: (texts(header, keyword) or ("",))[0] for name, keyword in IDS.items()}
        if header.get("Rows") is None or header.get("Columns") is None:
            raise CxrlocError("no image: Rows or Columns (0028,0010 and 0028,0011) is missing")
        view = view_of(header)
        date = code_of(header, "AcquisitionDate") or code_of(header, "StudyDate")
        uid = ids["sop_instance"]
        return {
            "modality": code_of(header, "Modality") or None,
            "view": view.value if view else None,
            "body_part": code_of(header, "BodyPartExamined") or None,
            "rows": int(header.Rows),
            "columns": int(header.Columns),
            "transfer_syntax": str(header.file_meta.TransferSyntaxUID),
            "photometric_interpretation": code_of(header, "PhotometricInterpretation") or None,
            "acquisition_date": date if options.dates and date else None,
            **{name: _hidden(value, options) for name, value in ids.items()},
            "key": hashlib.sha256(uid.encode()).digest()[:8] if uid else None,
        }


def _picture(content: bytes) -> dict[str, Any]:
    from PIL import Image

    try:
        with Image.open(BytesIO(content)) as picture:
            columns, rows = picture.size
    except Exception as error:  # whatever Pillow raises on a broken header
        raise CxrlocError(f"its header cannot be read ({type(error).__name__})") from error
    return {"rows": rows, "columns": columns, "key": None}


def _hidden(value: str, options: ManifestOptions) -> str | None:
    """An identifier as its keyed hash (HMAC-SHA-256, 128 bits), or as it is."""
    if not value:
        return None
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
            table = session.read_parquet(str(path))
            table.filter(where).write_parquet(str(kept))
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
