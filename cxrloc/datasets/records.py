"""Makes records from boxes alone, checks records, and moves their boxes to a copy of the image."""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from cxrloc.datasets.identifiers import checked_id, refuse_equal_patients
from cxrloc.errors import CxrlocError
from cxrloc.findings import NO_FINDING, spelled_as, standard_finding
from cxrloc.types import Annotation, Box, Label, Mask, Outline, Record, View


def checked_box(where: str, x_min: float, y_min: float, x_max: float, y_max: float) -> Box:
    """The box with these coordinates, or an error that names the file and row.

    Raises:
        CxrlocError: `Box` refuses the coordinates.
    """
    try:
        return Box(x_min, y_min, x_max, y_max)
    except ValueError as error:
        raise CxrlocError(f"{where}: {error}") from error


def checked_frame(where: str, rows: Any, columns: Any) -> tuple[int, int]:
    """Rows and columns of an image as whole numbers.

    Raises:
        CxrlocError: they are not whole numbers from 1 to 100,000.

    >>> checked_frame("a.json", 1024, 800.0)
    (1024, 800)
    """
    for size in (rows, columns):
        if isinstance(size, bool) or not isinstance(size, int | float) or size % 1:
            raise CxrlocError(f"{where}: the size {rows} x {columns} is no pair of whole numbers")
        if not 1 <= size <= _MOST_PIXELS:
            raise CxrlocError(f"{where}: the size {rows} x {columns} is that of no image")
    return int(rows), int(columns)


def boxed_record(
    image_id: str,
    annotations: Iterable[Annotation],
    patient_id: str | None = None,
    frame: tuple[int, int] | None = None,
    path: Path | None = None,
    ignored: Iterable[Annotation] = (),
) -> Record:
    """The record of an image that is known only from a box list: boxed findings are positive.

    >>> boxed_record("a", []).patient_id
    'a'
    """
    boxes, regions = tuple(annotations), tuple(ignored)
    return Record(
        image_id=image_id,
        patient_id=patient_id or image_id,
        study_id=image_id,
        path=path,
        labels={annotation.finding: Label.POSITIVE for annotation in (*boxes, *regions)},
        annotations=boxes,
        annotation_frame=frame,
        ignored=regions,
    )


def judges(record: Record, finding: str) -> bool:
    """Whether a finding without a label counts as absent; otherwise nothing is known about it.

    >>> judges(Record("a", "1", "a", None, vocabulary=frozenset({"Mass"})), "Edema")
    False
    """
    return record.labelled and (record.vocabulary is None or finding in record.vocabulary)


def with_vocabulary(records: Sequence[Record], findings: Iterable[str] = ()) -> list[Record]:
    """The records, whose labels can name these findings and those that any of the records names.

    A record that has it already is not copied: 112,120 copies take as long as reading a table.

    >>> chest = Record("a", "1", "a", None, labels={"Mass": Label.POSITIVE})
    >>> sorted(with_vocabulary([chest], ["Pleural Effusion"])[0].vocabulary)
    ['Effusion', 'Mass']
    """
    named = {finding for record in records for finding in record.labels}
    vocabulary = frozenset(named.union(map(standard_finding, findings)))
    return [
        each if each.vocabulary == vocabulary else dataclasses.replace(each, vocabulary=vocabulary)
        for each in records
    ]


_MOST_PIXELS = 100_000  # along one side
CUT = "a box of the truth reached over the image and was cut to it"
TWICE = "a box of the truth is in the list twice and counts once"
_SAME_SHAPE = 1.02  # ratio of heights to widths that rounding of a small copy explains
_ROUNDING = 1e-6  # pixels that x + width may lie beyond the image by rounding
NO_PATIENT = "its patient is blank: it counts as a patient of its own"
STRETCHED = "its boxes were drawn on an image of another shape, and are stretched with it"
NO_FRAME = "the size of the image is not known, so its boxes were not compared with it"


def has_view(record: Record, views: Collection[str]) -> bool:
    """Whether a record's view is among these; a view FRONTAL (PA or AP) counts if both are.

    >>> has_view(Record("a", "1", "a", None, View.FRONTAL), ["PA", "AP"])
    True
    """
    if record.view is View.FRONTAL:
        return View.FRONTAL in views or (View.PA in views and View.AP in views)
    return record.view in views


def annotations_in_image(record: Record, rows: int, columns: int) -> Record:
    """The record with its boxes in pixels of an image of this size, cut to the image.

    If a box is cut, or the image has another shape than the one that the boxes were drawn on, the
    record gets a warning. Outlines move with their boxes but are not cut. The
    boxes of a record without an annotation frame are assumed to be drawn on this image.

    Raises:
        CxrlocError: a box lies outside the image, or rows and columns are exchanged; the message
            names the row.

    >>> box = Box(x_min=512.0, y_min=0.0, x_max=1024.0, y_max=256.0)
    >>> drawn = Record(
    ...     "a",
    ...     "1",
    ...     "a",
    ...     None,
    ...     annotations=(Annotation("a", "Mass", box),),
    ...     annotation_frame=(1024, 1024),
    ... )
    >>> annotations_in_image(drawn, rows=512, columns=256).annotations[0].box
    Box(x_min=128.0, y_min=0.0, x_max=256.0, y_max=128.0)
    """
    size = (rows, columns)
    frame = record.annotation_frame or size
    warnings = record.warnings
    if record.annotations and frame != size:
        _refuse_exchanged(record.annotations[0], frame, size)
        stretch = frame[0] * columns / (frame[1] * rows)
        if STRETCHED not in warnings and not 1 / _SAME_SHAPE < stretch < _SAME_SHAPE:
            warnings = (*warnings, STRETCHED)
    if CUT not in warnings and any(
        _overshoot(a.box, frame) > _ROUNDING for a in record.annotations
    ):
        warnings = (*warnings, CUT)
    return dataclasses.replace(
        record,
        annotations=tuple(_moved(each, frame, size) for each in record.annotations),
        ignored=tuple(_moved(each, frame, size) for each in record.ignored),
        annotation_frame=size,
        warnings=warnings,
    )


def _refuse_exchanged(first: Annotation, frame: tuple[int, int], size: tuple[int, int]) -> None:
    if frame == size[::-1]:
        raise CxrlocError(
            f"{first.where or f'image {first.image_id}'}: its boxes are on an image of "
            f"{frame[0]} x {frame[1]} rows x columns, and the file has {size[0]} x {size[1]}; rows "
            "and columns are exchanged"
        )


def _overshoot(box: Box, frame: tuple[int, int]) -> float:
    """By how many pixels a box reaches beyond its frame of rows and columns."""
    return max(-box.x_min, -box.y_min, box.x_max - frame[1], box.y_max - frame[0])


def _moved(annotation: Annotation, frame: tuple[int, int], size: tuple[int, int]) -> Annotation:
    """The annotation on a copy of the image, cut to it; frame and size are rows and columns."""
    box, (rows, columns) = annotation.box, size
    scale_x, scale_y = columns / frame[1], rows / frame[0]
    try:
        inside = Box(
            x_min=max(0.0, box.x_min * scale_x),
            y_min=max(0.0, box.y_min * scale_y),
            x_max=min(float(columns), box.x_max * scale_x),
            y_max=min(float(rows), box.y_max * scale_y),
        )
    except ValueError as error:
        place = annotation.where or f"image {annotation.image_id}"
        raise CxrlocError(
            f"{place}: {box} of {annotation.finding} lies outside the image of "
            f"{frame[1]} x {frame[0]} pixels: correct the box list"
        ) from error
    shape = _scaled(annotation.shape, scale_x, scale_y)
    return dataclasses.replace(annotation, box=inside, shape=shape)


def spelled_records(records: Iterable[Record], declared: Collection[str]) -> list[Record]:
    """The records, in which the user's own findings have the spelling of the declared names.

    Known findings have their standard names already; other names may differ in case and blanks
    between a table, a box file and the model's card.

    >>> record = Record("a", "1", "a", None, labels={"coin_lesion": Label.POSITIVE})
    >>> spelled_records([record], ["Coin lesion"])[0].labels
    {'Coin lesion': <Label.POSITIVE: 1>}
    """
    if not declared:
        return [*records]
    return [
        dataclasses.replace(
            record,
            labels={spelled_as(name, declared): label for name, label in record.labels.items()},
            annotations=tuple(_spelled(each, declared) for each in record.annotations),
            ignored=tuple(_spelled(each, declared) for each in record.ignored),
            vocabulary=record.vocabulary
            and frozenset(spelled_as(name, declared) for name in record.vocabulary),
        )
        for record in records
    ]


def _spelled(annotation: Annotation, declared: Collection[str]) -> Annotation:
    return dataclasses.replace(annotation, finding=spelled_as(annotation.finding, declared))


def refuse_shares(boxes: Iterable[tuple[str, Box]]) -> None:
    """Raise an error if there are boxes and none reaches beyond the first pixel.

    Such coordinates are shares of the image and not pixels.

    Args:
        boxes: each with its place in the file.

    Raises:
        CxrlocError: names the first box, and says what to do.
    """
    places = []
    for where, box in boxes:
        if max(box.x_max, box.y_max) > 1:
            return
        places.append(where)
    if places:
        raise CxrlocError(
            f"{places[0]}: all coordinates are at most 1, so they are shares of the image; "
            "multiply them by its width and height: boxes are in pixels"
        )


def finished_records(records: Iterable[Record], path: Path) -> list[Record]:
    """The records of a reader after checks: duplicate annotations removed, boxes cut to the frame.

    Each change adds a warning to the record.

    Raises:
        CxrlocError: an id cannot be a file name, an image occurs twice, a box lies outside its
            frame, all boxes are shares of their images, No Finding has a box, or two ids mean the
            same patient (`identifiers.refuse_equal_patients`).
    """
    records = list(records)
    drawn = [each for record in records for each in record.annotations]
    for each in drawn:
        if each.finding == NO_FINDING:
            raise CxrlocError(
                f"{each.where or path}: {NO_FINDING} has a box; leave the row out, or correct its "
                "finding"
            )
    # Masks are always in pixels, and may be one pixel wide.
    refuse_shares((each.where, each.box) for each in drawn if not isinstance(each.shape, Mask))
    finished = [_finished(record, str(path)) for record in records]
    ids: set[str] = set()
    for record in finished:
        if record.image_id in ids:
            raise CxrlocError(f"{path}: image {record.image_id} is there twice; keep one")
        ids.add(record.image_id)
    patient_ids = (record.patient_id for record in finished if record.patient_id != record.image_id)
    refuse_equal_patients(str(path), patient_ids)
    return finished


def _finished(record: Record, where: str) -> Record:
    # If image, patient and study share a name, the error speaks of the image.
    names = {record.study_id: "a study", record.patient_id: "a patient"}
    names[record.image_id] = "an image"
    for name, what in names.items():
        checked_id(where, name, what)
    if not (record.annotations or record.ignored):
        return record
    once = tuple(dict.fromkeys(record.annotations))
    warnings = record.warnings + ((TWICE,) if len(once) < len(record.annotations) else ())
    if record.annotation_frame is None:
        unknown = () if record.path else (NO_FRAME,)
        return dataclasses.replace(record, annotations=once, warnings=warnings + unknown)
    drawn = dataclasses.replace(record, annotations=once, warnings=warnings)
    return annotations_in_image(drawn, *record.annotation_frame)


def _scaled(shape: Outline | Mask | None, x: float, y: float) -> Outline | Mask | None:
    """The shape on a copy of the image; a mask is unchanged, because it covers any copy."""
    if not isinstance(shape, Outline):
        return shape
    return Outline(
        tuple(tuple((x * across, y * down) for across, down in ring) for ring in shape.polygons)
    )
