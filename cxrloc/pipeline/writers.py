"""`WRITERS`: the files that `heatmap` writes for one image.

To add a format, write a function of an `ImageResult` and a path, and add one line to `WRITERS`.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.files.structured import read_json
from cxrloc.files.whole import whole_file, write_json
from cxrloc.inference.hierarchy import ALONG_TREE
from cxrloc.inference.map_files import write_maps
from cxrloc.models.provenance import caption_of
from cxrloc.panels.heatmap_picture import heatmap_picture
from cxrloc.panels.overlay import write_png
from cxrloc.pipeline.image_report import SCHEMA_VERSION, ImageResult, top_findings
from cxrloc.types import CxrlocError


class Writer(NamedTuple):
    """How one kind of file is written, and how its name ends."""

    ending: str
    write: Callable[[ImageResult, Path], None]


def write_picture(image: ImageResult, path: Path) -> None:
    """The radiograph, and beside it the heatmaps and boxes of the most probable findings."""
    radiograph, _, heatmaps = image.localized
    captions = [caption_of(image.model), *(f"Warning: {w}" for w in image.report["warnings"])]
    if image.report["products_along_tree"]:
        captions.insert(1, ALONG_TREE)
    shown = top_findings(image.report, image.top)
    picture = heatmap_picture(radiograph.pixels, heatmaps, image.detections, shown, captions)
    with whole_file(path) as part:
        write_png(picture, part)


def write_raw_maps(image: ImageResult, path: Path) -> None:
    """The raw maps of all findings, also of those that are not reported."""
    write_maps(image.localized.probabilities, image.localized.heatmaps, path)


def write_report(image: ImageResult, path: Path) -> None:
    """The findings, probabilities and boxes (`image_report.schema.json`)."""
    write_json(path, image.report)


# The report is written last: where it stands, the image is done.
WRITERS: dict[str, Writer] = {
    "npz": Writer(".npz", write_raw_maps),
    "png": Writer(".png", write_picture),
    "json": Writer(".json", write_report),
}
"""Name of `--write` to writer, in the order in which the files of an image are written."""


def write_results(image: ImageResult, stem: Path, kinds: Sequence[str]) -> None:
    """Write the files of one image.

    Args:
        image: what is written.
        stem: path of the files without their endings.
        kinds: names of `WRITERS`.

    Raises:
        CxrlocError: a file cannot be written.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    # An older report would say that the image is done while its other files are being replaced.
    written_file(stem, "json").unlink(missing_ok=True)
    begun: list[Path] = []
    try:
        for kind, writer in WRITERS.items():
            if kind in kinds:
                begun.append(written_file(stem, kind))
                writer.write(image, begun[-1])
    except Exception:
        for path in begun:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise


def finished_report(path: Path, stem: Path, kinds: Sequence[str]) -> dict[str, Any] | None:
    """The report of an image that is done: the file is as it was, and all its results are there."""
    report = _report_of(str(path), stem)
    try:
        file = path.stat()
        same = report and report["image_bytes"] == file.st_size
        same = same and report["image_modified_ns"] == file.st_mtime_ns
    except (OSError, KeyError):
        return None
    return report if same and all(written_file(stem, kind).is_file() for kind in kinds) else None


def remove_results(image_id: str, stem: Path, kinds: Sequence[str]) -> None:
    """Remove what an earlier call has written of an image that fails now, and no other file."""
    if _report_of(image_id, stem):
        with suppress(OSError):
            for kind in ("json", *kinds):  # the report first: without it the image is not done
                written_file(stem, kind).unlink(missing_ok=True)


def _report_of(image_id: str, stem: Path) -> dict[str, Any]:
    """The report that stands here, empty if there is none of this image."""
    try:
        report = read_json(written_file(stem, "json"))
    except (CxrlocError, OSError):
        return {}
    if not isinstance(report, dict) or report.get("schema_version") != SCHEMA_VERSION:
        return {}
    return report if report.get("image") == image_id else {}


def written_file(stem: Path, kind: str) -> Path:
    """The file of one kind; not `with_suffix`, by which 1.2.840.113 would lose its last part."""
    return stem.with_name(f"{stem.name}{WRITERS[kind].ending}")
