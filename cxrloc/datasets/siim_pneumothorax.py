"""SIIM-ACR Pneumothorax Segmentation (2019): run lengths in `train-rle.csv`."""

import dataclasses
from pathlib import Path

from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import find_image_files_below, image_id_of
from cxrloc.datasets.records import boxed_record
from cxrloc.datasets.shapes import box_of_mask
from cxrloc.errors import CxrlocError
from cxrloc.files.tables import read_table, rows_of
from cxrloc.types import Annotation, Label, Mask, Record

FINDING = "Pneumothorax"
FRAME = (1024, 1024)
"""Rows and columns of all published images."""

COLUMNS = ("ImageId", "EncodedPixels")


def read_siim_pneumothorax(path: Path) -> list[Record]:
    """One record per image; one row per mask, or one row of -1 and no mask.

    The numbers of a mask are pairs: the gap from the end of the previous run, and the length of the
    run. Pixels are counted down the columns, from the left column on, as in `Mask`. The published
    header has a blank before `EncodedPixels`. Images are looked for below the file's folder, in
    `dicom-images-train` and `dicom-images-test`.

    Raises:
        CxrlocError: a column is missing, a row (named) does not hold run lengths or reaches beyond
            the image, or an image has both -1 and a mask.
    """
    masks: dict[str, list[Annotation]] = {}
    first: dict[str, tuple[bool, str]] = {}
    for where, cells in rows_of(read_table(path, COLUMNS)):
        image_id = checked_id(where, image_id_of(cells["ImageId"]))
        image_masks = masks.setdefault(image_id, [])
        clear = cells["EncodedPixels"].removesuffix(".0") == "-1"
        before, place = first.setdefault(image_id, (clear, where))
        if before != clear:
            raise CxrlocError(f"{where}: {image_id} has both -1 and a mask; see {place}")
        if not clear:
            mask = Mask(*FRAME, runs=_runs(where, cells["EncodedPixels"]))
            box = box_of_mask(mask)
            if box is None:
                raise CxrlocError(f"{where}: the mask is empty; an image without one says -1")
            image_masks.append(Annotation(image_id, FINDING, box, mask, where))
    places = [path.parent / f"dicom-images-{part}" for part in ("train", "test")]
    files = find_image_files_below(places)
    return [
        dataclasses.replace(
            boxed_record(image_id, image_masks, frame=FRAME, path=files.get(image_id)),
            labels={FINDING: Label.POSITIVE if image_masks else Label.NEGATIVE},
        )
        for image_id, image_masks in masks.items()
    ]


def _runs(where: str, text: str) -> tuple[int, ...]:
    try:
        runs = tuple(map(int, text.split()))
    except ValueError as error:
        raise CxrlocError(
            f"{where}: EncodedPixels holds {text[:40]!r}, not whole numbers"
        ) from error
    if len(runs) % 2 or min(runs, default=0) < 0:
        raise CxrlocError(f"{where}: EncodedPixels are pairs of gap and length, none below 0")
    if sum(runs) > FRAME[0] * FRAME[1]:
        raise CxrlocError(f"{where}: EncodedPixels go beyond the image of 1024 x 1024 pixels")
    return runs
