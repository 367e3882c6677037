"""Writes files that are whole or absent, even if the program is killed while it writes."""

import errno
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cxrloc.errors import CxrlocError

PART_PREFIX = ".cxrloc-part-"
"""The beginning of the names of temporary files, which are not whole yet."""

_NAME_BYTES = 120  # part names stay far below the 255 bytes that file systems allow

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""After these errors no further file can be written either."""


_LISTENERS: list[Callable[[Path], None]] = []


class DiskError(CxrlocError):
    """No file can be written, because the disk is full, over its quota, read-only or broken.

    Other errors of writing concern one file. After a `DiskError` every further file would fail too,
    so a command stops.
    """


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, which becomes `path` when the block ends without error.

    The temporary file is in the same folder, so that the renaming replaces an older `path` in
    one step; its suffix is that of `path`, because some writers choose a format by it. It is
    flushed to the disk before it is renamed. After an error it is removed, and an older `path`
    stays as it was. A device or a pipe, such as `/dev/stdout`, is written directly.

    Raises:
        DiskError: the disk is full, over quota, read-only or broken.
        CxrlocError: the file cannot be written for another reason.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder, "scores.csv")) as part:
    ...         _ = part.write_text("auc")
    ...     [path.name for path in Path(folder).iterdir()]
    ['scores.csv']
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        with named_errors(path):
            yield path
        return
    part = path.with_name(_part_name(path))
    try:
        with named_errors(path):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
        for listen in tuple(_LISTENERS):
            listen(path)
    except BaseException:  # a KeyboardInterrupt, too, leaves no temporary file behind
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


class Closable(Protocol):
    """Anything that has to be closed, such as an open file."""

    def close(self) -> None:
        """Write what is left, and free the file."""


C = TypeVar("C", bound=Closable)


@contextmanager
def closed_after(file: C) -> Iterator[C]:
    """Close a file at the end of the block; after an error, closing raises no other error.

    On a full disk every open file fails when it is closed, and the error would name the last one.
    """
    try:
        yield file
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    file.close()


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in UTF-8; what UTF-8 cannot hold is written as an escape."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write a whole JSON file; a number that is not finite becomes null, as JSON has no NaN."""
    write_text(path, json.dumps(finite(value), indent=1, allow_nan=False, default=str) + "\n")


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file, in one call of the system.

    If the program is killed, the last line can be incomplete, and readers of the file ignore it.
    The next call begins a new line after an incomplete one.

    Raises:
        DiskError: the disk is full, over quota, read-only or broken.
        CxrlocError: the file cannot be written for another reason.
    """
    with named_errors(path), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            cut = file.read(1) != b"\n"
        else:
            cut = False
        file.write(b"\n" * cut + line.encode("utf-8", "backslashreplace") + b"\n")


def finite(value: Any) -> Any:
    """The value with None in place of every float that is not finite.

    >>> finite({"auc": float("nan"), "ends": (0.5, float("inf"))})
    {'auc': None, 'ends': [0.5, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [finite(each) for each in value]
    return value


@contextmanager
def watched_writes(listen: Callable[[Path], None]) -> Iterator[None]:
    """Call a function with the path of every file that is written whole within the block."""
    _LISTENERS.append(listen)
    try:
        yield
    finally:
        _LISTENERS.remove(listen)


def remove_parts(folder: Path) -> None:
    """Remove the temporary files that a killed run left anywhere below the folder.

    The caller makes sure that no other run is writing there.
    """
    for part in folder.rglob(f"{PART_PREFIX}*"):
        with suppress(OSError):
            part.unlink()


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one line that names the file to be written.

    `whole_file` does so for its block. Where the block of one file is within that of another, an
    error would get the name of the inner file, so each writing stands in a block of this function.
    """
    try:
        yield
    except OSError as raised:
        error = raised
        # pydicom raises an error of its own, whose cause is that of the file system.
        while error.errno is None and isinstance(error.__cause__, OSError):
            error = error.__cause__
        # pyarrow's own text names the temporary file.
        reason = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
        kind = DiskError if error.errno in DISK_ERRORS else CxrlocError
        raise kind(f"{path}: cannot be written: {reason}") from raised


def _part_name(path: Path) -> str:
    """The name of a file's temporary file, always the same, so that the next run replaces it."""
    name = path.name
    if len(os.fsencode(name)) > _NAME_BYTES:
        name = sha256(os.fsencode(name)).hexdigest() + path.suffix[:20]
    return f"{PART_PREFIX}{name}"
