"""Reads reports from a tar archive, member by member, without writing to the disk."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cxrloc.errors import CxrlocError

SUFFIXES = (".tgz", ".tar.gz", ".tar", ".tar.bz2", ".tar.xz")
"""Endings of the names of archives."""

MAX_REPORT = 1_000_000
"""Most bytes of one report; a larger file is not one report."""

_MAX_MEMBER = 50_000_000
_MAX_ARCHIVE = 4_000_000_000
_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_ARCHIVES = (*SUFFIXES, ".zip", ".gz", ".bz2", ".xz", ".7z", ".rar")


def is_archive(path: Path, start: bytes) -> bool:
    """Whether a file is a packed archive, by its name or its first bytes."""
    return path.name.lower().endswith(SUFFIXES) or start.startswith(tuple(_OPENERS))


def archive_members(path: Path) -> Iterator[tuple[str, bytes | str]]:
    """Yields name and content of each text and XML file, or the reason why it cannot be read.

    Raises:
        CxrlocError: the archive cannot be read to its end, or a member has a size that no report
            archive has. Such an archive is refused before anything of that size is unpacked.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(6)
            raw.seek(0)
            openers = [_OPENERS[magic] for magic in _OPENERS if start.startswith(magic)]
            unpacked = openers[0](raw) if openers else raw
            with tarfile.open(fileobj=_Bounded(unpacked), mode="r:") as archive:  # type: ignore[call-overload]
                yield from _members(path, archive)
    # A wrong number in a header makes tarfile and the decompressors raise any of these errors.
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise CxrlocError(f"{path}: archive cannot be read to its end ({error})") from error
    except (ValueError, OverflowError, ArithmeticError, LookupError, TypeError) as error:
        raise CxrlocError(f"{path}: archive with a header that cannot be read ({error})") from error


def _members(path: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, bytes | str]]:
    while (member := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps all of them otherwise
        name = Path(member.name).name
        if not 0 <= member.size <= _MAX_MEMBER or member.issparse():
            kind = "sparse" if member.issparse() else f"of {member.size} bytes"
            raise CxrlocError(
                f"{path}: {name} in it is {kind}; an archive of reports holds text files of at "
                f"most {MAX_REPORT} bytes"
            )
        if archive.offset > _MAX_ARCHIVE:
            raise CxrlocError(f"{path}: more than {_MAX_ARCHIVE} bytes unpacked; divide it")
        if not member.isfile():
            continue
        if name.lower().endswith(_ARCHIVES):
            yield name, "an archive inside the archive; unpack it and give its folder"
        elif Path(name).suffix.lower() in {".xml", ".txt"}:
            if member.size > MAX_REPORT:
                yield name, f"larger than {MAX_REPORT} bytes, not one report"
            elif (content := archive.extractfile(member)) is not None:
                yield name, content.read()


class _Bounded:
    """An unpacked file for tarfile that refuses to read a block larger than any header."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.tell = file.tell
        self.seek = file.seek

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            tarfile.ReadError: more bytes are asked for than a report or a header has.
        """
        if not 0 <= size <= _MAX_MEMBER:
            raise tarfile.ReadError(f"a block of {size} bytes in it")
        content: bytes = self._file.read(size)
        return content
