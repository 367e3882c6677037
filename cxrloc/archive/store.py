"""Files on a disk or in an object store, by their paths or URIs.

A file is written whole or not at all. On a disk it gets its name when it is complete; an object
store gets it in one put, and needs no renaming.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.extras import import_extra
from cxrloc.files.whole import whole_file


def opened(place: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URI, and the path there.

    Raises:
        UsageError: no installed package knows such a place.
    """
    core = import_extra("fsspec.core", "archive")
    try:
        system, path = core.url_to_fs(place)
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(f"{place}: cannot be opened ({error})") from error
    return system, path


def absolute(place: str) -> str:
    """A place that means the same in every folder of this machine; a URI stays as it is."""
    system, path = opened(place)
    return path if is_local(system) else place


def is_local(system: Any) -> bool:
    """Whether a file system is this machine's disk."""
    return "file" in _protocols(system)


def _protocols(system: Any) -> tuple[str, ...]:
    protocol = system.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def write_bytes(place: str, content: bytes) -> None:
    """Write a whole file.

    Raises:
        CxrlocError: it cannot be written.
    """
    system, path = opened(place)
    if is_local(system):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(Path(path)) as part:
            part.write_bytes(content)
        return
    try:
        system.pipe_file(path, content)
    except Exception as error:  # every store has its own errors
        raise CxrlocError(f"{place}: cannot be written ({error})") from error


def read_bytes(place: str) -> bytes | None:
    """The content of a file; None if there is no such file.

    Raises:
        CxrlocError: it cannot be read.
    """
    system, path = opened(place)
    try:
        content: bytes = system.cat_file(path)
    except FileNotFoundError:
        return None
    except Exception as error:
        raise CxrlocError(f"{place}: cannot be read ({error})") from error
    return content


@contextmanager
def local_copy(uri: str) -> Iterator[Path]:
    """Yield the path of a file, which for an object is a copy that lives as long as the block.

    Raises:
        CxrlocError: the object cannot be fetched.
    """
    system, path = opened(uri)
    if is_local(system):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="cxrloc-") as folder:
        copy = Path(folder, Path(path).name)
        try:
            system.get_file(path, str(copy))
        except Exception as error:
            raise CxrlocError(f"{uri}: cannot be fetched ({error})") from error
        yield copy


def content_hash(place: str) -> str:
    """The SHA-256 of a file or object."""
    system, path = opened(place)
    with system.open(path, "rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
