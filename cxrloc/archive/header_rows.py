"""The rows of a manifest: what the headers of the files say, without any pixel."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from cxrloc.archive.listing import ListedFile
from cxrloc.errors import CxrlocError
from cxrloc.images.dicom_file import PARSING_ERRORS, read_dicom_header
from cxrloc.images.dicom_header import view_of
from cxrloc.images.dicom_values import code_of, texts
from cxrloc.images.formats import HEAD, SUFFIXES, file_format_of

HEADER_BYTES = (1 << 15, 1 << 20)
"""Bytes that are read of every file, and of the few files whose header is longer than that."""

IDS = {
    "patient": "PatientID",
    "study": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "sop_instance": "SOPInstanceUID",
}
"""Columns of identifiers, each with the DICOM keyword of the element that it holds."""

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

Hide = Callable[[str], str]
"""A function of an identifier that returns what is written for it."""


def rows_of(
    files: Iterable[ListedFile], hide: Hide, dates: bool, workers: int
) -> Iterator[dict[str, Any]]:
    """Rows in the order of the files; no more than a few batches of headers are read ahead.

    Threads fetch the first bytes of the files, because an object store answers late. One thread
    makes the rows of them: several would wait for one another, and take twice the processor time.

    The row of an image has the cells of `COLUMNS` without `duplicate`, and a `key`, which is equal
    for equal SOP instance UIDs. The row of a file that cannot be read has the cells of
    `FAILURE_COLUMNS`.

    Args:
        files: files that may be images; files that are no images get no row.
        hide: function of an identifier that returns what is written for it.
        dates: whether to write dates of acquisition, which can identify a patient.
        workers: number of threads that fetch bytes.
    """
    waiting = iter(files)
    with ThreadPoolExecutor(workers) as pool:
        while chunk := list(islice(waiting, 64 * workers)):
            for file, start in zip(chunk, pool.map(_start, chunk), strict=True):
                row = _row(file, start, hide, dates)
                if row is not None:
                    yield row


def _start(file: ListedFile) -> bytes | Exception:
    """The first bytes of a file, or why there are none."""
    try:
        return file.first_bytes(HEADER_BYTES[0])
    except (CxrlocError, OSError, *PARSING_ERRORS) as error:
        return error


def _row(
    file: ListedFile, start: bytes | Exception, hide: Hide, dates: bool
) -> dict[str, Any] | None:
    """The row of an image, a row with a reason where it cannot be read; None for other files."""
    row = {"uri": file.uri, "size": file.size, "version": file.version}
    try:
        if not isinstance(start, bytes):
            raise start
        kind = file_format_of(start[:HEAD])
        if kind is None:
            if not file.path.lower().endswith(SUFFIXES):
                return None
            raise CxrlocError("neither DICOM nor PNG nor JPEG")
        if _utf8(file.uri) != file.uri:
            raise CxrlocError("its name is not UTF-8, which Parquet cannot hold: rename the file")
        read = partial(_dicom, hide=hide, dates=dates) if kind == "DICOM" else _picture
        try:
            values = read(start)
        except (CxrlocError, *PARSING_ERRORS):
            if file.size <= HEADER_BYTES[0]:
                raise
            values = read(file.first_bytes(HEADER_BYTES[1]))
        return {**row, "format": kind, **values}
    except (CxrlocError, OSError, *PARSING_ERRORS) as error:
        reason = " ".join(str(error).split())[:600] or type(error).__name__
        reason = reason.removeprefix(f"{file.path}: ")
        return {"uri": _utf8(file.uri), "size": file.size, "reason": _utf8(reason)}


def _utf8(text: str) -> str:
    """The text with escapes for what UTF-8 cannot hold, such as bytes of another encoding."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _dicom(content: bytes, hide: Hide, dates: bool) -> dict[str, Any]:
    header = read_dicom_header(Path("header"), content, TAGS)
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
        "acquisition_date": date if dates and date else None,
        **{name: hide(value) if value else None for name, value in ids.items()},
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
