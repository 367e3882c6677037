"""Opens text files of unknown encoding, with or without gzip."""

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cxrloc.errors import CxrlocError

MAX_CHARACTERS = 1_000_000_000
"""Most characters of one table, unpacked; MIMIC-CXR's largest table has about 60 million."""

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
LFS_POINTER = {
    b"version https://git-lfs": "a pointer of Git LFS (fetch the file by `git lfs pull`)"
}
"""First bytes of the text that stands for a file which Git LFS has not fetched, and its name."""

_NO_TABLE = {
    b"PK\x03\x04": "an Excel workbook or another ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a PNG image",
    b"<!DOCTYPE": "a web page (of a refused download?)",
    b"<!doctype": "a web page (of a refused download?)",
    b"<html": "a web page (of a refused download?)",
    **LFS_POINTER,
}


@contextmanager
def opened_text(path: Path) -> Iterator[io.TextIOBase]:
    """A table's file as text, unpacked and decoded; line ends are kept, as the csv module needs.

    Raises:
        CxrlocError: there is no such file, it is no text, or it is too large.
    """
    if not path.is_file():
        raise CxrlocError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    with path.open("rb") as raw:
        start = raw.read(max(map(len, _NO_TABLE)))
        raw.seek(0)
        kind = next((what for magic, what in _NO_TABLE.items() if start.startswith(magic)), None)
        if kind is not None:
            raise CxrlocError(f"{path} is {kind}, not a table of text; save it as CSV")
        packed = start.startswith(_GZIP)
        content: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        encoding = _encoding_of_file(path, content)
        content.seek(0)
        with io.TextIOWrapper(content, encoding=encoding, newline="") as text:
            yield text


def _encoding_of_file(path: Path, file: io.BufferedIOBase) -> str:
    """The encoding of a whole file, read in blocks; a file that is too large is refused."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    first, size = b"", 0
    odd: bytes | None = None
    while block := file.read(_BLOCK):
        size += len(block)
        first = first or block
        if size > MAX_CHARACTERS:
            raise CxrlocError(
                f"{path}: more than {MAX_CHARACTERS:,} bytes when unpacked, so it is not a table "
                "of these data sets"
            )
        try:
            decoder.decode(block)
        except UnicodeDecodeError:
            odd = block
            break
    marked = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return encoding_of(first if odd is None or marked or b"\0" in first[:100] else odd, whole=False)


def encoding_of(content: bytes, whole: bool) -> str:
    r"""The encoding of a text: by its byte order mark, else UTF-8, else GB18030 or Windows-1252.

    GB18030 is chosen where it gives at least three characters beyond ASCII and nearly all of these
    are Chinese. UTF-16 without a mark is recognised by a NUL in every second byte of the first
    characters, if these are ASCII. Content that is not the whole file may end within a character.

    >>> encoding_of("a;b".encode("utf-16-le"), whole=True), encoding_of(b"caf\xe9", whole=True)
    ('utf-16-le', 'cp1252')
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding, place in (("utf-16-le", 1), ("utf-16-be", 0)):
        start = content[:40]
        if len(start) > 3 and not any(start[place::2]) and all(start[1 - place :: 2]):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=whole)
    except UnicodeDecodeError:
        text = content.decode("gb18030", errors="replace")
        beyond = [character for character in text if character > "\x7f"]
        chinese = sum("\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef" for c in beyond)
        return "gb18030" if len(beyond) > 2 and chinese > 0.9 * len(beyond) else "cp1252"
    return "utf-8-sig"
