"""RSNA Pneumonia Detection Challenge (Shih et al. 2019): `stage_2_train_labels.csv`."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from cxrloc.datasets.identifiers import checked_id, patient_in
from cxrloc.datasets.image_files import find_image_files_below, image_id_of
from cxrloc.datasets.records import boxed_record, checked_box
from cxrloc.errors import CxrlocError
from cxrloc.files.structured import expecting, read_json
from cxrloc.files.tables import is_blank, number_in, read_table, rows_of
from cxrloc.types import Annotation, Label, Record

FINDING = "Pneumonia"
"""The finding of every box: a lung opacity suspicious for pneumonia."""

FRAME = (1024, 1024)
"""Rows and columns of all published images."""

COLUMNS = ("patientId", "x", "y", "width", "height", "Target")

MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
"""RSNA's list that maps each image of the challenge to its image in ChestX-ray14."""


def read_rsna_pneumonia(path: Path) -> list[Record]:
    """One record per image; one row per box, or one row of Target 0 and no box.

    `patientId` names an image, not a patient. The patient is that of ChestX-ray14, found in the
    challenge's list `MAPPING` beside the file. Without that list each image counts as a patient of
    its own. Images are looked for below the file's folder, in `stage_2_train_images`.

    Raises:
        CxrlocError: a column is missing, a Target is neither 0 nor 1, an image has both, a row
            (named) is not a box or has Target 0 and a box, or the list cannot be read or lacks an
            image (named).
    """
    boxes: dict[str, list[Annotation]] = {}
    targets: dict[str, tuple[str, str]] = {}
    for where, cells in rows_of(read_table(path, COLUMNS)):
        image_id = checked_id(where, image_id_of(cells["patientId"]))
        image_boxes = boxes.setdefault(image_id, [])
        target = cells["Target"].removesuffix(".0")
        if target not in ("0", "1"):
            raise CxrlocError(f"{where}: Target is {cells['Target']!r}; it is 0 or 1")
        before, place = targets.setdefault(image_id, (target, where))
        if before != target:
            raise CxrlocError(
                f"{where}: {image_id} has Target {target} here and {before} in {place}"
            )
        if target == "0" and not all(map(is_blank, (cells[name] for name in COLUMNS[1:5]))):
            raise CxrlocError(f"{where}: {image_id} has Target 0 and a box; correct one of them")
        if target == "1":
            x, y, width, height = (number_in(where, name, cells[name]) for name in COLUMNS[1:5])
            box = checked_box(where, x, y, x + width, y + height)
            image_boxes.append(Annotation(image_id, FINDING, box, where=where))
    files = find_image_files_below([path.parent / "stage_2_train_images"])
    patients = _patients(path.parent / MAPPING, boxes)
    return [
        dataclasses.replace(
            boxed_record(image_id, image_boxes, patients.get(image_id), FRAME, files.get(image_id)),
            labels={FINDING: Label.POSITIVE if image_boxes else Label.NEGATIVE},
        )
        for image_id, image_boxes in boxes.items()
    ]


def _patients(path: Path, image_ids: Iterable[str]) -> dict[str, str]:
    """Patients of ChestX-ray14 by image of the challenge; empty if the list is missing."""
    if not path.is_file():
        return {}
    with expecting(path, "the challenge's list of subset_img_id and img_id"):
        entries = read_json(path)
        patients = {each["subset_img_id"]: patient_in(each["img_id"]) for each in entries}
    known = {}
    for image_id in image_ids:
        if (patient := patients.get(image_id)) is None:
            raise CxrlocError(f"{path} names no image of ChestX-ray14 for {image_id}")
        known[image_id] = patient
    return known
