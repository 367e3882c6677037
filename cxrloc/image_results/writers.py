"""`WRITERS`: the files that `heatmap` writes for one image.

To add a format, write a function of an `ImageResult` and a path, and add one line to `WRITERS`.
The help of `--write` in `cxrloc/cli/heatmap.py` lists the names.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import PIL.Image

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.extras import import_extra
from cxrloc.files.structured import read_json
from cxrloc.files.whole import whole_file, write_json
from cxrloc.image_results.report import OUTSIDE, SCHEMA_VERSION, ImageResult, top_findings
from cxrloc.images.formats import HEAD, file_format_of, open_regular
from cxrloc.inference.hierarchy import ALONG_TREE
from cxrloc.inference.map_files import write_maps
from cxrloc.inference.prepared import check_names
from cxrloc.models.provenance import caption_of
from cxrloc.panels.heatmap_picture import heatmap_picture
from cxrloc.panels.overlay import write_png


class Writer(NamedTuple):
    """How one kind of file is written.

    Attributes:
        ending: ending of the file's name.
        write: function that writes the file.
        always: whether every image gets this file. Without boxes there is no DICOM object of boxes,
            and of an image outside there is no report of findings.
    """

    ending: str
    write: Callable[[ImageResult, Path], None]
    always: bool = True


def picture_of(image: ImageResult) -> PIL.Image.Image:
    """The radiograph, and beside it the heatmaps and boxes of its `top_findings`."""
    radiograph, heatmaps = image.localized.radiograph, image.localized.heatmaps
    outside = image.report["outside_because"]
    captions = [f"This image is {OUTSIDE}: {'; '.join(outside)}."] if outside else []
    captions += [caption_of(image.model)]
    captions += [ALONG_TREE] if image.report["products_along_tree"] else []
    captions += [f"Warning: {text}" for text in image.report["warnings"] if text not in outside]
    shown = top_findings(image.report, image.settings.top)
    note = "(image outside: no claim)" if outside and not image.settings.force else ""
    return heatmap_picture(radiograph.pixels, heatmaps, image.detections, shown, captions, note)


def write_picture(image: ImageResult, path: Path) -> None:
    """Write the picture of `picture_of`."""
    picture = picture_of(image)
    with whole_file(path) as part:
        write_png(picture, part)


def write_raw_maps(image: ImageResult, path: Path) -> None:
    """Write the raw maps of all findings, including those that are not reported."""
    write_maps(image.localized.probabilities, image.localized.heatmaps, path)


def write_report(image: ImageResult, path: Path) -> None:
    """Write the findings, probabilities and boxes as JSON (`image_report.schema.json`)."""
    write_json(path, image.report)


def write_object(kind: str, image: ImageResult, path: Path) -> None:
    """Write the DICOM object of one kind; no file if the image has no content for the object."""
    from cxrloc.dicom_objects.objects import object_of
    from cxrloc.image_results.dicom_result import dicom_result

    encoded = object_of(kind, dicom_result(image), lambda: picture_of(image))
    if encoded is None:
        path.unlink(missing_ok=True)
        return
    with whole_file(path) as part:
        encoded.save_as(part, enforce_file_format=True)


def _dicom(kind: str, always: bool) -> Writer:
    return Writer(f".{kind}.dcm", partial(write_object, kind), always)


DICOM_WRITERS: dict[str, Writer] = {
    "sr-findings": _dicom("sr-findings", always=False),
    "sr-regions": _dicom("sr-regions", always=False),
    "gsps": _dicom("gsps", always=False),
    "sc": _dicom("sc", always=True),
    "seg": _dicom("seg", always=False),
    "fractional-seg": _dicom("fractional-seg", always=False),
}
"""Writers of objects that refer to the image's own study, so that only a DICOM file has them."""

# The report is written last, so that an image with a report is finished.
WRITERS: dict[str, Writer] = {
    "npz": Writer(".npz", write_raw_maps),
    "png": Writer(".png", write_picture),
    **DICOM_WRITERS,
    "json": Writer(".json", write_report),
}
"""Name of `--write` to writer, in the order in which the files of an image are written."""


GROUPS = {"sr": ("sr-findings", "sr-regions")}
"""Names of `--write` that stand for several writers."""


def chosen_writers(names: Sequence[str]) -> tuple[str, ...]:
    """The names of `WRITERS` that a user asks for, each once.

    Raises:
        UsageError: a name stands for no writer.
    """
    known = [*GROUPS, *(each for each in WRITERS if each not in sum(GROUPS.values(), ()))]
    check_names("--write", names, known)
    return tuple(dict.fromkeys(each for name in names for each in GROUPS.get(name, (name,))))


def check_sources(paths: Iterable[Path], kinds: Sequence[str]) -> None:
    """Refuse DICOM objects that cannot be made, before any image is computed.

    Raises:
        UsageError: a kind is one of `DICOM_WRITERS`, and an image is a PNG or JPEG file, which
            belongs to no DICOM study.
        CxrlocError: a kind needs a package that is not installed.
    """
    if not (objects := [kind for kind in kinds if kind in DICOM_WRITERS]):
        return
    import_extra("highdicom", "pacs")
    for path in paths:
        try:
            with open_regular(path) as file:
                found = file_format_of(file.read(HEAD))
        except (CxrlocError, OSError):
            continue  # it fails by name when it is read
        if found in ("PNG", "JPEG"):
            raise UsageError(
                f"--write {objects[0]}: {path} is a {found} file, without a patient and a study "
                "that a DICOM object could belong to; give DICOM images"
            )


def write_results(
    image: ImageResult, file: Path, stem: Path, kinds: Sequence[str]
) -> dict[str, Any]:
    """Write the files of one image; returns its report, to which a writer may add warnings.

    Args:
        image: what is written.
        file: the image's own file, from whose header DICOM objects inherit.
        stem: path of the files without their endings.
        kinds: names of `WRITERS`.

    Raises:
        CxrlocError: a file cannot be written.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    if any(kind in DICOM_WRITERS for kind in kinds):
        from cxrloc.image_results.dicom_result import with_header

        image = with_header(image, file)
    # An older report would mark the image as finished while its other files are being replaced.
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
    return image.report


def finished_report(path: Path, stem: Path, kinds: Sequence[str]) -> dict[str, Any] | None:
    """The report of an image that is finished: its file is unchanged and all its results exist."""
    report = _report_of(str(path), stem)
    try:
        file = path.stat()
        same = report and report["image_bytes"] == file.st_size
        same = same and report["image_modified_ns"] == file.st_mtime_ns
    except (OSError, KeyError):
        return None
    always = [kind for kind in kinds if WRITERS[kind].always]
    return report if same and all(written_file(stem, kind).is_file() for kind in always) else None


def remove_results(image_id: str, stem: Path, kinds: Sequence[str]) -> None:
    """Remove an earlier call's files for an image that fails now, and no other file."""
    if _report_of(image_id, stem):
        with suppress(OSError):
            for kind in ("json", *kinds):  # the report first: without it the image is not done
                written_file(stem, kind).unlink(missing_ok=True)


def _report_of(image_id: str, stem: Path) -> dict[str, Any]:
    """The report of this image that lies at the stem; empty if there is none."""
    try:
        report = read_json(written_file(stem, "json"))
    except (CxrlocError, OSError):
        return {}
    if not isinstance(report, dict) or report.get("schema_version") != SCHEMA_VERSION:
        return {}
    return report if report.get("image") == image_id else {}


def written_file(stem: Path, kind: str) -> Path:
    """The path of the file of one kind.

    `with_suffix` is not used, because 1.2.840.113 would lose its last part.
    """
    return stem.with_name(f"{stem.name}{WRITERS[kind].ending}")
