"""Which file each result goes to."""

from collections.abc import Sequence
from pathlib import Path

from cxrloc.images.folders import find_images, output_stem
from cxrloc.types import UsageError

SUFFIXES = (".png", ".json", ".npz")
"""What may be written for an image."""


def plan_outputs(paths: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Every image under the paths, and the place of its results below the output folder.

    An image found in a folder keeps its sub-folders; only known suffixes are cut from its name. A
    path that does not exist is planned too: reading it fails, by name, and the others go on. What
    lies in the output folder itself, such as earlier pictures, is no input of a folder's search.

    Raises:
        UsageError: two images would write the same results, a result would replace an image, or
            there is no image at all.
    """
    planned: dict[Path, Path] = {}
    for path in paths:
        for image in find_images([path]) if path.is_dir() else [path]:
            if path.is_dir() and path.resolve() != out.resolve() and _lies_in(image, out):
                continue
            folder = image.relative_to(path).parent if path.is_dir() else Path()
            planned[image] = folder / output_stem(image)
    if not planned:
        raise UsageError(f"no DICOM, PNG or JPEG file in {', '.join(map(str, paths))}")
    owner: dict[Path, Path] = {}
    for image, stem in planned.items():
        if stem in owner:
            raise UsageError(
                f"{owner[stem]} and {image} would both write {stem}.png: "
                "rename one, or run them into separate --out folders"
            )
        owner[stem] = image
    inputs = {image.resolve() for image in planned}
    for stem in owner:
        for suffix in SUFFIXES:
            if (written := (out / f"{stem}{suffix}").resolve()) in inputs:
                raise UsageError(
                    f"{written} is an image and would be replaced: choose another --out"
                )
    return planned


def make_folder(out: Path) -> None:
    """Make the output folder before any work starts.

    Raises:
        UsageError: it cannot be made, or nothing can be written there.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".cxrloc-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror or error}") from error


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
