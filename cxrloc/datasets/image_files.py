"""Image files of a data set: their ids, and where they lie."""

import os
from collections.abc import Iterable
from pathlib import Path

from cxrloc.images.folders import files_below, is_image, is_image_name
from cxrloc.images.formats import SUFFIXES
from cxrloc.types import CxrlocError

IMAGE_FOLDERS = ("images", "images_*", "images_*/images", "JPEGImages")


def image_id_of(name: str) -> str:
    """The id of an image: its file name without a known image suffix.

    >>> image_id_of("images/00000001_000.png"), image_id_of("1.2.840.113619")
    ('00000001_000', '1.2.840.113619')
    """
    file_name = name.strip().replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = file_name.rpartition(".")
    return stem if (dot + suffix).lower() in SUFFIXES else file_name


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
