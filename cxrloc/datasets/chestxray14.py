"""ChestX-ray14 (Wang et al. 2017) in its published layout, whole or in part.

`Data_Entry_2017*.csv` (labels), `BBox_List*.csv` (984 expert boxes), `train_val_list.txt` and
`test_list.txt` (official split), images under `images/` or `images_001/images/` and so on.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from cxrloc.datasets.boxes import read_box_rows
from cxrloc.datasets.image_files import find_image_files, image_id_of
from cxrloc.datasets.records import boxed_record
from cxrloc.findings import CHESTXRAY14, standard_finding
from cxrloc.types import Annotation, CxrlocError, Label, Record, Sex, View

FRAME = (1024, 1024)
"""Rows and columns of the published images, in whose pixels the boxes are; the size before that
resize (`OriginalImage[Width,Height]`) plays no part."""

OLDEST_YEARS = 120
"""Ages above are typos (the first edition goes to 414) and become unknown."""

_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "D": 1 / 365.25}
_COLUMNS = [
    "Image Index",
    "Finding Labels",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
]


def read_chestxray14(folder: Path) -> list[Record]:
    """One record per image of the label file, then those that only the box list names.

    An image that is not on this disk has no path (`records.count_records` counts them). Of two
    label files the later edition is read. Findings of the vocabulary that an image is not
    labelled with are negative. Without a label file a record knows its boxes alone, and its
    patient is the number that its file name begins with.

    Raises:
        CxrlocError: neither list is there, or a row (named) breaks its rule.
    """
    entries = sorted(folder.glob("Data_Entry_2017*.csv"))
    box_lists = sorted(folder.glob("BBox_List*.csv"))
    if not entries and not box_lists:
        raise CxrlocError(
            f"{folder} holds neither Data_Entry_2017*.csv nor BBox_List*.csv: the layout of "
            "ChestX-ray14 needs one of them"
        )
    if len(box_lists) > 1:
        raise CxrlocError(f"{folder} holds {len(box_lists)} files BBox_List*.csv: keep one")
    annotations: dict[str, list[Annotation]] = {}
    for row in (row for path in box_lists for row in read_box_rows(path)):
        annotation = Annotation(row.image_id, row.finding, row.box)
        annotations.setdefault(row.image_id, []).append(annotation)
    files = find_image_files(folder)
    records = _read_entries(entries[-1], annotations, files) if entries else []
    known = {record.image_id for record in records}
    return records + [
        boxed_record(image_id, boxes, patient_in(image_id), FRAME, files.get(image_id))
        for image_id, boxes in annotations.items()
        if image_id not in known
    ]


def official_split(folder: Path, records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of the official "train_val" and "test" lists, which share no patient.

    A record that is in neither list is left out.

    Raises:
        CxrlocError: a list is missing.
    """
    part_of: dict[str, str] = {}
    for part in ("train_val", "test"):
        path = folder / f"{part}_list.txt"
        if not path.is_file():
            raise CxrlocError(f"{path} is missing: the official split needs it")
        part_of |= {image_id_of(line): part for line in path.read_text().split()}
    split: dict[str, list[Record]] = {"train_val": [], "test": []}
    for record in records:
        if record.image_id in part_of:
            split[part_of[record.image_id]].append(record)
    return split


def official_parts(folder: Path, records: Iterable[Record]) -> dict[str, str]:
    """The part of each image by the official lists: "train" (of train_val) or "test".

    Raises:
        CxrlocError: as `official_split`.
    """
    split = official_split(folder, records)
    names = {"train_val": "train", "test": "test"}
    return {record.image_id: names[part] for part in split for record in split[part]}


def _read_entries(
    path: Path, annotations: Mapping[str, Sequence[Annotation]], files: Mapping[str, Path]
) -> list[Record]:
    try:
        table = pd.read_csv(
            path, usecols=_COLUMNS, dtype=str, keep_default_na=False, index_col=False
        )
    except (OSError, ValueError) as error:
        raise CxrlocError(f"{path} cannot be read as a label file: {error}") from error
    columns = {name: table[name].tolist() for name in _COLUMNS}
    ages = {text: _age_years(text, path) for text in set(columns["Patient Age"])}
    labels = _labels(set(columns["Finding Labels"]))
    sexes, views = dict(zip("FM", Sex, strict=True)), {"PA": View.PA, "AP": View.AP}
    records: dict[str, Record] = {}
    for name, label_text, patient, age, sex, view in zip(*columns.values(), strict=True):
        image_id = image_id_of(name)
        records[image_id] = Record(
            image_id,
            patient,
            image_id,
            files.get(image_id),
            views.get(view),
            ages[age],
            sexes.get(sex),
            labels[label_text],
            tuple(annotations.get(image_id, ())),
            FRAME,
        )
    if len(records) < len(table):
        twice = table["Image Index"][table["Image Index"].duplicated()]
        raise CxrlocError(f"{path}, row {twice.index[0] + 2}: {twice.iloc[0]} is there twice")
    return list(records.values())


def _labels(texts: Iterable[str]) -> dict[str, Mapping[str, Label]]:
    """Labels by cell ("Effusion|Mass"); records of equal cells share the mapping."""
    names = {text: [standard_finding(name) for name in text.split("|")] for text in texts}
    return {
        text: dict.fromkeys(CHESTXRAY14, Label.NEGATIVE)
        | dict.fromkeys((name for name in found if name and name != "No Finding"), Label.POSITIVE)
        for text, found in names.items()
    }


def _age_years(text: str, path: Path) -> float | None:
    """Years from "58" (later edition) or "058Y", "011M", "003D" (first edition)."""
    if not text.strip():
        return None
    number, unit = text.strip(), "Y"
    if number[-1] in _YEARS_PER_UNIT:
        number, unit = number[:-1], number[-1]
    try:
        years = float(number) * _YEARS_PER_UNIT[unit]
    except ValueError as error:
        raise CxrlocError(f"{path}: Patient Age {text!r} is not a number of years") from error
    return years if 0 <= years <= OLDEST_YEARS else None


def patient_in(image_id: str) -> str | None:
    """The number before the underscore, as `Patient ID` writes it; None where there is none.

    >>> patient_in("00000013_005")
    '13'
    """
    number = image_id.split("_")[0]
    return str(int(number)) if number.isdecimal() else None
