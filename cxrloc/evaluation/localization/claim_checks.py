"""Compares claims with the data that they are scored on, before any number is computed."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from cxrloc.errors import CxrlocError
from cxrloc.images.size import image_size
from cxrloc.types import Detection, Heatmaps, Record


def compare_images(
    path: Path, named: Iterable[str], records: Sequence[Record], what: str
) -> dict[str, int]:
    """A warning if some of the images that a file names are not in the data.

    Raises:
        CxrlocError: none of them is.
    """
    theirs, ours = dict.fromkeys(named), {record.image_id for record in records}
    strangers = [name for name in theirs if name not in ours]
    if len(strangers) == len(theirs):
        example = f"such as {strangers[0]!r}" if strangers else f"there is no {what}"
        raise CxrlocError(
            f"{path}: none of its {len(theirs)} images ({example}) is among the {len(ours)} that "
            f"are scored (such as {min(ours, default='none')!r}); image names must be equal but "
            "for their suffix"
        )
    if not strangers:
        return {}
    without = len(ours) - (len(theirs) - len(strangers))
    text = (
        f"{path}: {len(strangers)} of its {len(theirs)} images, such as {strangers[0]!r}, are not "
        f"scored; {without} of the {len(ours)} images of the data have no {what} there"
    )
    return {text: len(strangers)}


def compare_findings(
    path: Path, claimed: Collection[tuple[str, str]], records: Sequence[Record], what: str
) -> dict[str, int]:
    """A warning if some claims are of findings for which the data has no box.

    Args:
        path: of the claims, for the message.
        claimed: image and finding of each claim.
        records: the images that are scored.
        what: what the claims are, in the plural: boxes or maps.

    Raises:
        CxrlocError: all claims are of such findings.
    """
    ours = {annotation.finding for record in records for annotation in record.annotations}
    others = [(image_id, finding) for image_id, finding in claimed if finding not in ours]
    if not others:
        return {}
    names = ", ".join(dict.fromkeys(finding for _, finding in others))
    if len(others) == len(claimed):
        raise CxrlocError(
            f"{path}: the data has no box of its findings ({names}), but boxes of "
            f"{', '.join(sorted(ours))}"
        )
    images = {image_id for image_id, _ in others}
    return {f"{path}: {what} of {names} are not scored, since the data has none": len(images)}


def compare_places(
    path: Path, detections: Sequence[Detection], records: Sequence[Record]
) -> dict[str, int]:
    """A warning if boxes have no point in common with their images, as far as sizes are known."""
    frames = {record.image_id: record.annotation_frame for record in records}
    images = {
        each.image_id
        for each in detections
        if (frame := frames.get(each.image_id)) is not None
        and (
            min(each.box.x_max, each.box.y_max) <= 0
            or each.box.x_min >= frame[1]
            or each.box.y_min >= frame[0]
        )
    }
    if not images:
        return {}
    warning = (
        f"{path}: boxes lie outside their image; are they in pixels of an image of another size?"
    )
    return {warning: len(images)}


def find_repeated(path: Path, detections: Sequence[Detection]) -> dict[str, int]:
    """A warning if a box is there twice, with equal score and threshold.

    A repeated expert's box is dropped, but not a claim: a tool that makes it twice makes two.
    """
    seen: set[tuple[object, ...]] = set()
    images: dict[str, None] = {}
    for each in detections:
        claim = (each.image_id, each.finding, each.box, each.threshold, each.score)
        if claim in seen:
            images[each.image_id] = None
        seen.add(claim)
    if not images:
        return {}
    text = (
        f"{path}: images have the same box with the same score twice, such as "
        f"{next(iter(images))}; each counts as a detection. If this is an export error, remove one"
    )
    return {text: len(images)}


def find_broken_maps(maps: Iterable[Heatmaps]) -> dict[str, int]:
    """A warning if maps hold NaN or infinite values; such a map is degenerate and gives no box."""
    broken = [
        (each.image_id, finding)
        for each in maps
        for finding, scores in zip(each.findings, each.scores, strict=True)
        if not np.isfinite(scores).all()
    ]
    if not broken:
        return {}
    image_id, finding = broken[0]
    text = (
        f"maps with NaN or infinite values, such as that of {finding} in {image_id}, give no box, "
        "so their pairs count as missed; write finite numbers"
    )
    return {text: len({image_id for image_id, _ in broken})}


def check_size(path: Path, heatmaps: Heatmaps, record: Record) -> None:
    """Compare the size that a map file names with that of the image, where it is on this disk.

    Raises:
        CxrlocError: they differ.
    """
    if record.path is None:
        return
    named, true = (heatmaps.image_rows, heatmaps.image_columns), image_size(record.path)
    if named != true:
        turned = "; rows and columns are exchanged" if named == true[::-1] else ""
        raise CxrlocError(
            f"{path}: its rows x columns, {named[0]:g} x {named[1]:g}, are not those of "
            f"{record.path.name}, {true[0]} x {true[1]}{turned}"
        )
