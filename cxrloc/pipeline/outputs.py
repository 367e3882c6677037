"""Which file each result goes to."""

from collections.abc import Sequence
from pathlib import Path

from cxrloc.images.read import find_images, output_stem
from cxrloc.types import UsageError


def plan_outputs(paths: Sequence[Path]) -> dict[Path, Path]:
    """Every image under the paths, and the place of its results below the output folder.

    An image found in a folder keeps its sub-folders; only known suffixes are cut from its name. A
    path that does not exist is planned too: reading it fails, by name, and the others go on.

    Raises:
        UsageError: two images would write the same results, or there is no image at all.
    """
    planned: dict[Path, Path] = {}
    for path in paths:
        for image in find_images([path]) if path.is_dir() else [path]:
            folder = image.relative_to(path).parent if path.is_dir() else Path()
            planned[image] = folder / output_stem(image)
    if not planned:
        raise UsageError(f"no DICOM, PNG or JPEG file in {', '.join(map(str, paths))}")
    owner: dict[Path, Path] = {}
    for image, stem in planned.items():
        if stem in owner:
            raise UsageError(
                f"{owner[stem]} and {image} would both write {stem}.png: "
                "give their common folder, or run them into separate --out folders"
            )
        owner[stem] = image
    return planned
