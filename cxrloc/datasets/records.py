"""Records made from boxes alone, records moved to a copy of the image, and what a set holds."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cxrloc.types import Annotation, Box, CxrlocError, Label, Mask, Outline, Record


def checked_box(where: str, x_min: float, y_min: float, x_max: float, y_max: float) -> Box:
    """The box, or an error that says where it stands.

    Raises:
        CxrlocError: `Box` refuses the coordinates.
    """
    try:
        return Box(x_min, y_min, x_max, y_max)
    except ValueError as error:
        raise CxrlocError(f"{where}: {error}") from error


def boxed_record(
    image_id: str,
    annotations: Iterable[Annotation],
    patient_id: str | None = None,
    frame: tuple[int, int] | None = None,
    path: Path | None = None,
) -> Record:
    """What a box list alone says of an image: its boxed findings are positive.

    >>> boxed_record("a", []).patient_id
    'a'
    """
    boxes = tuple(annotations)
    return Record(
        image_id=image_id,
        patient_id=patient_id or image_id,
        study_id=image_id,
        path=path,
        labels={annotation.finding: Label.POSITIVE for annotation in boxes},
        annotations=boxes,
        annotation_frame=frame,
    )


def annotations_in_image(record: Record, rows: int, columns: int) -> Record:
    """The record with its boxes in pixels of an image of this size, cut to the image.

    Outlines move with their boxes; they are not cut.

    A record without an annotation frame is taken to be drawn on this image.

    Raises:
        CxrlocError: a box lies outside the image.

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
    frame_rows, frame_columns = record.annotation_frame or (rows, columns)
    scale_x, scale_y = columns / frame_columns, rows / frame_rows
    moved = []
    for annotation in record.annotations:
        box = annotation.box
        try:
            inside = Box(
                x_min=max(0.0, box.x_min * scale_x),
                y_min=max(0.0, box.y_min * scale_y),
                x_max=min(float(columns), box.x_max * scale_x),
                y_max=min(float(rows), box.y_max * scale_y),
            )
        except ValueError as error:
            raise CxrlocError(
                f"image {record.image_id}: {box} of {annotation.finding} lies outside the image of "
                f"{frame_columns} x {frame_rows} pixels: correct the box list"
            ) from error
        shape = _scaled(annotation.shape, scale_x, scale_y)
        moved.append(dataclasses.replace(annotation, box=inside, shape=shape))
    return dataclasses.replace(record, annotations=tuple(moved), annotation_frame=(rows, columns))


def _scaled(shape: Outline | Mask | None, x: float, y: float) -> Outline | Mask | None:
    """The shape on a copy of the image; a mask is spread over any copy as it is."""
    if not isinstance(shape, Outline):
        return shape
    return Outline(
        tuple(tuple((x * across, y * down) for across, down in ring) for ring in shape.polygons)
    )


@dataclass(frozen=True, slots=True)
class DataCounts:
    """What a data set holds and what of it is missing on this disk."""

    images: int
    images_missing: int
    patients: int
    boxed_images: int
    boxed_images_missing: int
    annotations: int
    annotations_missing: int
    ages_unknown: int


def count_records(records: Iterable[Record]) -> DataCounts:
    """Counts of images, patients and boxes; missing ones have no image file here.

    >>> count_records([boxed_record("a", [Annotation("a", "Mass", Box(0.0, 0.0, 1.0, 1.0))])])
    DataCounts(images=1, images_missing=1, patients=1, boxed_images=1, boxed_images_missing=1,
    annotations=1, annotations_missing=1, ages_unknown=1)
    """
    every = list(records)
    missing = [record for record in every if record.path is None]
    return DataCounts(
        images=len(every),
        images_missing=len(missing),
        patients=len({record.patient_id for record in every}),
        boxed_images=sum(bool(record.annotations) for record in every),
        boxed_images_missing=sum(bool(record.annotations) for record in missing),
        annotations=sum(len(record.annotations) for record in every),
        annotations_missing=sum(len(record.annotations) for record in missing),
        ages_unknown=sum(record.age_years is None for record in every),
    )
