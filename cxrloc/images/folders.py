"""Finds the images in folders, and names their results."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cxrloc.errors import CxrlocError
from cxrloc.images.formats import HEAD, SUFFIXES, file_format_of, open_regular

log = logging.getLogger(__name__)

NOT_IMAGES = ("dicomdir", "thumbs.db", "desktop.ini")
"""Files that DICOM media and Windows put into folders of images; names in lower case."""


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths, and the images in the folders among them, sorted, each once.

    Folders are searched with all their sub-folders, linked ones too, each once. A file counts as an
    image by its content or by its suffix, so that a broken image is found too and its error names
    it. Hidden files and those of `NOT_IMAGES` are left out. A path that is not a folder is kept as
    it is.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(sorted(_images_below(path)) if path.is_dir() else [path]))
    return list(found)


def is_image_name(name: str) -> bool:
    """Whether a file of this name may be an image: not hidden, no index of a folder.

    >>> is_image_name("1.2.840.dcm"), is_image_name("._1.2.840.dcm"), is_image_name("Thumbs.db")
    (True, False, False)
    """
    return not name.startswith(".") and name.lower() not in NOT_IMAGES


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder whose name may be an image's, in order, each folder of them once.

    Linked folders are followed. A link to a folder that was searched before, such as the link's own
    parent, could make the search endless, so the link is left out and the log says so.
    """
    state = folder.stat()
    searched = {(state.st_dev, state.st_ino)}

    def unreadable(error: OSError) -> None:
        log.warning("%s: %s: this folder is not searched", error.filename, error.strerror)

    for place, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        kept = []
        for name in sorted(folders):
            path = Path(place) / name
            try:
                state = path.stat()
            except OSError as error:
                unreadable(error)
                continue
            if (state.st_dev, state.st_ino) in searched:
                log.warning("%s: a link to a folder that is searched already: not followed", path)
            elif not name.startswith("."):
                searched.add((state.st_dev, state.st_ino))
                kept.append(name)
        folders[:] = kept
        yield from (Path(place) / name for name in sorted(names) if is_image_name(name))


def _images_below(folder: Path) -> Iterator[Path]:
    return (path for path in files_below(folder) if is_image(path))


def is_image(path: Path) -> bool:
    """Whether a file's suffix claims that it is an image, or its content does."""
    return path.suffix.lower() in SUFFIXES or _has_image(path)


def _has_image(path: Path) -> bool:
    """Whether a regular file is an image by its content."""
    try:
        with open_regular(path) as file:
            return file_format_of(file.read(HEAD)) is not None
    except CxrlocError:
        return False


def output_stem(path: Path) -> str:
    """A file's name for its outputs: without a known suffix, but with all parts of a UID.

    >>> output_stem(Path("a/chest.v2.dcm")), output_stem(Path("1.2.840.113619.2"))
    ('chest.v2', '1.2.840.113619.2')
    """
    return path.stem if path.suffix.lower() in SUFFIXES else path.name
