"""RSNA Pneumonia Detection Challenge (Shih et al. 2019): `stage_2_train_labels.csv`."""

import dataclasses
from pathlib import Path

from cxrloc.datasets.annotation_rows import annotation_rows, numbers
from cxrloc.datasets.image_files import find_image_files_below, image_id_of
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.types import Annotation, CxrlocError, Label, Record

FINDING = "Pneumonia"
"""What a box stands for: a lung opacity suspicious for pneumonia."""

FRAME = (1024, 1024)
"""Rows and columns of all published images."""

COLUMNS = ("patientId", "x", "y", "width", "height", "Target")


def read_rsna_pneumonia(path: Path) -> list[Record]:
    """One record per image; one row per box, or one row of Target 0 and no box.

    `patientId` names an image, and is the record's patient too: which images share a patient
    stands in the challenge's mapping to ChestX-ray14 only. Images are looked for below the
    file's folder, in `stage_2_train_images`.

    Raises:
        CxrlocError: a column is missing, a Target is neither 0 nor 1, or a row (named) is not a
            box.
    """
    boxes: dict[str, list[Annotation]] = {}
    for where, cells in annotation_rows(path, COLUMNS):
        image_id = image_id_of(cells["patientId"])
        own = boxes.setdefault(image_id, [])
        if cells["Target"] not in ("0", "1"):
            raise CxrlocError(f"{where}: Target is {cells['Target']!r}; it is 0 or 1")
        if cells["Target"] == "1":
            x, y, width, height = numbers(where, cells, COLUMNS[1:5])
            box = checked_box(where, x, y, x + width, y + height)
            own.append(Annotation(image_id, FINDING, box))
    files = find_image_files_below([path.parent / "stage_2_train_images"])
    return [
        dataclasses.replace(
            boxed_record(image_id, own, frame=FRAME, path=files.get(image_id)),
            labels={FINDING: Label.POSITIVE if own else Label.NEGATIVE},
        )
        for image_id, own in boxes.items()
    ]
