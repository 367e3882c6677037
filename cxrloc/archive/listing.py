"""Files of folders and object stores that may be images, as they are found."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.archive.store import is_local, opened
from cxrloc.errors import UsageError
from cxrloc.images.folders import files_below, is_image_name
from cxrloc.images.formats import open_regular

log = logging.getLogger(__name__)


class ListedFile(NamedTuple):
    """A file or object that was found.

    Attributes:
        system: the fsspec file system that has it.
        path: its path there.
        uri: its name in the manifest.
        size: in bytes.
        version: an object store's ETag, else the time of the last change.
    """

    system: Any
    path: str
    uri: str
    size: int
    version: str

    def first_bytes(self, count: int) -> bytes:
        """The beginning of the file.

        Raises:
            CxrlocError: it is a pipe or a device, or cannot be opened.
            OSError: it cannot be read.
        """
        local = is_local(self.system)
        stream = open_regular(Path(self.path)) if local else self.system.open(self.path, "rb")
        with stream:
            content: bytes = stream.read(count)
        return content


def list_files(places: Sequence[str]) -> Iterator[ListedFile]:
    """The files of each place whose names may be those of images, a folder at a time.

    Folders on a disk are searched as `images.folders.files_below` says.

    Args:
        places: paths, or URIs that fsspec knows.

    Raises:
        UsageError: a place does not exist, or cannot be opened.
    """
    for place in places:
        system, path = opened(place)
        try:
            if not system.exists(path):
                raise UsageError(f"{place}: no such file or folder")
            folder = system.isdir(path)
        except OSError as error:
            raise UsageError(f"{place}: cannot be opened ({error})") from error
        if not folder:
            yield _listed(system, system.info(path))
        elif is_local(system):
            for file in files_below(Path(path)):
                yield _listed_on_disk(system, file)
        else:
            yield from _listed_in_store(system, path)


def _listed_in_store(system: Any, path: str) -> Iterator[ListedFile]:
    def unreadable(error: OSError) -> None:
        log.warning("%s: this folder is not searched", error)

    for _, folders, files in system.walk(path, detail=True, on_error=unreadable):
        ordered = sorted(folders.items())  # `walk` goes through this same dictionary afterwards
        folders.clear()
        folders.update(ordered)
        for name in sorted(files):
            if is_image_name(name):
                yield _listed(system, files[name])


def _listed_on_disk(system: Any, file: Path) -> ListedFile:
    path = str(file)
    try:
        state = file.stat()
    except OSError:  # such as a link to nothing; reading it will say what is wrong
        return ListedFile(system, path, system.unstrip_protocol(path), 0, "")
    uri = system.unstrip_protocol(path)
    return ListedFile(system, path, uri, state.st_size, str(state.st_mtime))


def _listed(system: Any, info: dict[str, Any]) -> ListedFile:
    path = info["name"]
    version = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("created", "")
    size = int(info["size"] or 0)
    return ListedFile(system, path, system.unstrip_protocol(path), size, str(version))
