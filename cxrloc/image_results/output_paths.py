"""Decides where the results of each image are written."""

import logging
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cxrloc.errors import UsageError
from cxrloc.files.run_folder import MARK
from cxrloc.image_results.writers import WRITERS
from cxrloc.images.folders import find_images, output_stem

LONGEST_NAME = 230
"""Most bytes of a name without its ending; file systems allow 255 bytes with the ending."""

log = logging.getLogger(__name__)


def plan_outputs(paths: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Every image under the paths, and the path of its results below the output folder.

    The results of an image found in a folder keep its sub-folders, and only known suffixes are cut
    from its name. If the results of two images would have the same name, the second name gets a
    number, and the log says so. A path that does not exist is planned too, so that reading it fails
    with its name and the other images are still processed. The search of a folder leaves out the
    results of this and other runs, such as earlier pictures.

    Raises:
        UsageError: a result would replace an image, or there is no image at all.
    """
    planned: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for path in paths:
        for image in find_images([path]) if path.is_dir() else [path]:
            if image in planned or (path.is_dir() and _is_result(image, path, out)):
                continue
            folder = image.relative_to(path).parent if path.is_dir() else Path()
            stem = folder / _short(output_stem(image))
            planned[image] = _free(stem, taken)
            if planned[image] != stem:
                message = "%s: its results are named %s, since those of %s have its name"
                log.warning(message, image, planned[image], taken[stem])
            taken[planned[image]] = image
    if not planned:
        raise UsageError(f"no DICOM, PNG or JPEG file in {', '.join(map(str, paths))}")
    inputs = {_real(image) for image in planned}
    for stem in taken:
        for writer in WRITERS.values():
            if (written := _real(out / f"{stem}{writer.ending}")) in inputs:
                raise UsageError(
                    f"{written} is an image and would be replaced: choose another --out"
                )
    return planned


def _free(stem: Path, taken: dict[Path, Path]) -> Path:
    """The stem, or the first of stem-2, stem-3, ... that no other image has."""
    number, free = 1, stem
    while free in taken:
        number += 1
        free = stem.with_name(f"{stem.name}-{number}")
    return free


def _short(name: str) -> str:
    """The name; if it is too long to add an ending, its beginning and a hash of the whole name."""
    content = os.fsencode(name)
    if len(content) <= LONGEST_NAME:
        return name
    return f"{os.fsdecode(content[:200])}-{sha256(content).hexdigest()[:16]}"


def _is_result(image: Path, searched: Path, out: Path) -> bool:
    """Whether an image below a searched folder was written by this or another run."""
    searched, out, image = map(_real, (searched, out, image))
    if searched != out and image.is_relative_to(out):
        return True
    below = [folder for folder in image.parents if folder.is_relative_to(searched)]
    return any((folder / MARK).exists() for folder in below if folder != searched)


def _real(path: Path) -> Path:
    """The path without links; `Path.resolve` raises an error for links that point at each other."""
    return Path(os.path.realpath(path))
