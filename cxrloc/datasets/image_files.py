"""Image files of a data set: their ids, and where they lie."""

import errno
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from cxrloc.errors import CxrlocError
from cxrloc.images.folders import files_below, is_image, is_image_name
from cxrloc.images.formats import SUFFIXES

IMAGE_FOLDERS = ("images", "images_*", "images_*/images", "JPEGImages")


def image_id_of(name: str) -> str:
    """The id of an image: its file name without a known image suffix.

    >>> image_id_of("images/00000001_000.png"), image_id_of("1.2.840.113619")
    ('00000001_000', '1.2.840.113619')
    """
    file_name = name.strip().replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = file_name.rpartition(".")
    return stem if (dot + suffix).lower() in SUFFIXES else file_name


def is_file(path: Path) -> bool:
    """Whether a file is there; a path that is too long for a file, as in a damaged table, is none.

    `Path.is_file` raises an error for such a path.

    Raises:
        OSError: the path cannot be looked at, as in a folder without permission.

    >>> is_file(Path("9" * 1000))
    False
    """
    try:
        return path.is_file()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


ImagesByStem = Mapping[str, Sequence[tuple[str, Path | None]]]
"""Image ids, each with the file of the image if it is on this disk, by the name of that file."""


def images_by_stem(images: Mapping[str, Path | None]) -> ImagesByStem:
    """The images by the name of their file without suffix, for `image_named`.

    An image without a file has the name of its id.
    """
    found: dict[str, list[tuple[str, Path | None]]] = {}
    for image_id, path in images.items():
        for stem in {image_id, image_id_of(path.name) if path else image_id}:
            found.setdefault(stem, []).append((image_id, path))
    return found


def image_named(where: str, name: str, images: ImagesByStem) -> str | None:
    """The id of the image that a name means; None if there is no such image.

    A name may have a suffix and folders. Folders decide only where several images have files of the
    same name.

    Args:
        where: file and row of the name, for the error message.
        name: as a table writes it.
        images: of `images_by_stem`.

    Raises:
        CxrlocError: several images have files of this name, and the folders do not say which one is
            meant.

    >>> there = images_by_stem({"p1_a": Path("x/p1/a.png"), "p2_a": Path("x/p2/a.png")})
    >>> image_named("row 2", "p2/a.png", there), image_named("row 3", "b.png", there)
    ('p2_a', None)
    """
    found = [*images.get(image_id_of(name), ())]
    if len(found) > 1:
        found = [each for each in found if each[1] is None or same_file(name, str(each[1]))]
    if not found and (joined := joined_among(name, images)):
        return joined
    if len(found) > 1 or (not found and images.get(image_id_of(name))):
        others = ", ".join(str(path) for _, path in images[image_id_of(name)][:2])
        raise CxrlocError(
            f"{where}: {name[:60]!r} can be several images ({others}, ...): name it with its folder"
        )
    return found[0][0] if found else None


def named_or_new_id(where: str, name: str, images: ImagesByStem) -> str:
    """The id of the image that a name means, or an id for an image that is not there.

    That id is made from all folders of the name, so that two images that are not there keep two
    ids. If no image is known, an id is the file name (`image_id_of`).

    Raises:
        CxrlocError: as `image_named`.

    >>> named_or_new_id("row 2", "p2/b.png", images_by_stem({"a": None}))
    'p2_b'
    """
    known = image_named(where, name, images)
    return known or (joined_id(name) if images else image_id_of(name))


def same_file(name: str, other: str) -> bool:
    """Whether two names can be those of one file: the shorter path is the end of the longer one.

    >>> same_file("a.png", "p1/a.png"), same_file("p1/a.png", "p2/a.png")
    (True, False)
    """
    paths = [_parts(name), _parts(other)]
    shared = min(map(len, paths))
    return paths[0][-shared:] == paths[1][-shared:]


def joined_id(path: str) -> str:
    """The id that is made from a path: "p1/frontal.png" becomes p1_frontal.

    >>> joined_id("./p1/frontal.png")
    'p1_frontal'
    """
    return "_".join(_parts(path))


def joined_among(path: str, known: Container[str]) -> str | None:
    """The known id that is made from the end of a path, of two parts or more; None without one.

    CheXpert's own tables name an image of the study `patient00001_study1` by its whole path.

    >>> joined_among("CheXpert-v1.0/valid/patient00001/study1", {"patient00001_study1"})
    'patient00001_study1'
    """
    parts = _parts(path)
    ends = ("_".join(parts[first:]) for first in range(len(parts) - 1))
    return next((each for each in ends if each in known), None)


def _parts(path: str) -> list[str]:
    """The folders of a path and the name without image suffix."""
    *folders, name = path.strip().replace("\\", "/").split("/")
    return [*(folder for folder in folders if folder not in ("", ".", "..")), image_id_of(name)]


class SeenNames:
    """The names under which a file has written its images, to find one id for two images.

    >>> seen = SeenNames()
    >>> seen.check("row 2", "p1/a.png", "a")
    >>> seen.check("row 3", "p2/a.png", "a")
    Traceback (most recent call last):
    cxrloc.errors.CxrlocError: row 3: 'p2/a.png' and 'p1/a.png' (row 2) would both be image a: ...
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, str]] = {}

    def check(self, where: str, name: str, image_id: str) -> None:
        """Remember the name of an image.

        Raises:
            CxrlocError: an earlier name of this image is that of another file.
        """
        other, place = self._first.setdefault(image_id, (name, where))
        if name != other and not same_file(name, other):
            raise CxrlocError(
                f"{where}: {name[:60]!r} and {other[:60]!r} ({place}) would both be image "
                f"{image_id}: give the folder of the images, or rename the files"
            )


def find_image_files(folder: Path) -> dict[str, Path]:
    """Image files by image id, in a folder and its image folders but not in deeper folders.

    Hidden files, and files whose name and content are not those of an image, are skipped.

    Raises:
        CxrlocError: two files have the same id.
    """
    found: dict[str, Path] = {}
    matches = {match for pattern in IMAGE_FOLDERS for match in folder.glob(pattern)}
    for place in [folder, *sorted(match for match in matches if match.is_dir())]:
        with os.scandir(place) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
        for name in names:
            path, image_id = place / name, image_id_of(name)
            if not (is_image_name(name) and is_image(path)):
                continue
            if image_id in found:
                raise CxrlocError(
                    f"{path} and {found[image_id]} are both image {image_id}: keep one of them"
                )
            found[image_id] = path
    return found


def find_image_files_below(folders: Iterable[Path]) -> dict[str, Path]:
    """Image files by image id, in these folders and all folders below; a folder may be missing.

    Raises:
        CxrlocError: two files have the same id.
    """
    found: dict[str, Path] = {}
    present = [folder for folder in folders if folder.is_dir()]
    for path in (path for folder in present for path in sorted(files_below(folder))):
        if path.suffix.lower() in SUFFIXES:
            image_id = image_id_of(path.name)
            if image_id in found:
                raise CxrlocError(
                    f"{path} and {found[image_id]} are both image {image_id}: keep one of them"
                )
            found[image_id] = path
    return found
