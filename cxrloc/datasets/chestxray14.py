"""ChestX-ray14 (Wang et al. 2017) in its published layout, whole or in part.

`Data_Entry_2017*.csv` (labels), `BBox_List*.csv` (984 expert boxes), `train_val_list.txt` and
`test_list.txt` (official split), images under `images/` or `images_001/images/` and so on.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cxrloc.datasets.boxes import annotations_of, read_box_rows
from cxrloc.datasets.identifiers import CHESTXRAY14_NAME, checked_id, patient_in, patient_key
from cxrloc.datasets.image_files import find_image_files, image_id_of
from cxrloc.datasets.label_cells import finding_labels, known_finding
from cxrloc.datasets.records import boxed_record
from cxrloc.errors import CxrlocError
from cxrloc.files.encodings import opened_text
from cxrloc.files.tables import Table, is_blank, number_in, read_table
from cxrloc.findings import CHESTXRAY14
from cxrloc.images.dicom_header import VIEW_POSITIONS
from cxrloc.types import Annotation, Label, Record, Sex

FRAME = (1024, 1024)
"""Rows and columns of the published images; boxes are in their pixels. The size of the original
images before they were resized (`OriginalImage[Width,Height]`) is not used."""

OLDEST_YEARS = 120
"""Ages above this are typing errors (the first edition has ages up to 414) and become unknown."""

_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "D": 1 / 365.25}
COLUMNS = (
    "Image Index",
    "Finding Labels",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
)
_SEXES = {"F": Sex.FEMALE, "M": Sex.MALE}

LAST_PATIENT = 30_805
"""Patients of ChestX-ray14 are numbered from 1; larger numbers in file names are dates and such."""

FROM_NAME = "its Patient ID is blank: the patient is that of the file name"
RENUMBERED = "its Patient ID is not the number in its file name: the table's Patient ID is taken"
REPEATED = "its row is in the label table twice and counts once"
NO_ROW = "it has boxes and no row in the label table: nothing else is known of its findings"
UNLABELLED = "its cell of labels is blank: nothing is known of its findings"


def read_chestxray14(folder: Path, declared: Collection[str] = ()) -> list[Record]:
    """One record per image of the label file, then one per image that only the box list names.

    An image that is not on this disk has no path. If there are two label files, the later edition
    is read. A finding of the vocabulary is negative if the image's labels do not name it. If there
    is a label file and it has no row for an image with boxes, nothing is known of the other
    findings of this image. If there is no label file, a finding is absent from an image that has no
    box of it, as in any list of boxes. If the label file leaves the patient blank, or if there is
    no label file, the patient is the number at the start of the file name.

    Args:
        folder: of the published files.
        declared: findings that a label may name beside the known ones.

    Raises:
        CxrlocError: there is neither a label file nor a box list, or a row (named) is not valid.
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
    rows = [row for path in box_lists for row in read_box_rows(path)]
    for row in rows:
        known_finding(row.where, row.finding, declared)
    annotations = annotations_of(rows)
    files = find_image_files(folder)
    records = _read_entries(entries[-1], annotations, files, declared) if entries else []
    known = {record.image_id for record in records}
    boxed = [
        boxed_record(image_id, boxes, patient_in(image_id), FRAME, files.get(image_id))
        for image_id, boxes in annotations.items()
        if image_id not in known
    ]
    if entries:
        # The label table has no row for these images, so nobody judged them: they may have
        # findings without a box.
        boxed = [replace(record, labelled=False, warnings=(NO_ROW,)) for record in boxed]
    return records + boxed


def official_split(folder: Path, records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of the official "train_val" and "test" lists, which share no patient.

    A record that is in neither list is left out.

    Raises:
        CxrlocError: a list is missing or cannot be read, or an image or a patient is in both.
    """
    part_of: dict[str, str] = {}
    for part in ("train_val", "test"):
        path = folder / f"{part}_list.txt"
        if not path.is_file():
            raise CxrlocError(f"{path} is missing: the official split needs it")
        with opened_text(path) as lines:
            names = [image_id_of(line) for line in lines.read().split()]
        if in_both := next((name for name in names if part_of.get(name, part) != part), None):
            raise CxrlocError(
                f"{path}: {in_both} is in train_val_list.txt too; an image is in one part"
            )
        part_of |= dict.fromkeys(names, part)
    split: dict[str, list[Record]] = {"train_val": [], "test": []}
    for record in records:
        if record.image_id in part_of:
            split[part_of[record.image_id]].append(record)
    learned, judged = (
        {record.patient_id for record in part_records} for part_records in split.values()
    )
    if shared := sorted(learned & judged):
        raise CxrlocError(
            f"{folder}: {len(shared)} patients, such as {shared[0]}, are in both lists of the "
            "official split; a patient is in one part"
        )
    return split


def official_parts(folder: Path, records: Iterable[Record]) -> dict[str, str]:
    """The part of each image in the official lists: "train" (the list train_val) or "test".

    Raises:
        CxrlocError: as `official_split`.
    """
    split = official_split(folder, records)
    names = {"train_val": "train", "test": "test"}
    return {record.image_id: names[part] for part in split for record in split[part]}


def _read_entries(
    path: Path,
    annotations: Mapping[str, Sequence[Annotation]],
    files: Mapping[str, Path],
    declared: Collection[str],
) -> list[Record]:
    hint = f"a label file of ChestX-ray14 has the columns {', '.join(COLUMNS)}"
    table = read_table(path, COLUMNS, hint=hint)
    # Cells are read column by column, and cells of equal text once: a dictionary and checks for
    # each of 112,120 rows would double the time.
    start = f"{path}, row "
    columns = [table.columns[name] for name in COLUMNS]
    labels: dict[str, tuple[Mapping[str, Label], bool]] = {}
    for number, text in zip(table.numbers, table.columns["Finding Labels"], strict=True):
        if text not in labels:
            labels[text] = _labels(f"{start}{number}", text, declared)
    vocabulary = frozenset(name for found, _ in labels.values() for name in found)
    ages: dict[str, float | None] = {}
    records: dict[str, Record] = {}
    for number, name, text, patient, age, sex, view in zip(table.numbers, *columns, strict=True):
        where = f"{start}{number}"
        image_id = checked_id(where, image_id_of(name))
        if age not in ages:
            ages[age] = _age_years(age, where)
        findings, labelled = labels[text]
        record = Record(
            image_id,
            _patient(where, patient, image_id),
            image_id,
            files.get(image_id),
            VIEW_POSITIONS.get(view.upper()),
            ages[age],
            _SEXES.get(sex[:1].upper()),
            findings,
            tuple(annotations.get(image_id, ())),
            FRAME,
            labelled,
            vocabulary,
        )
        if is_blank(patient):
            record = _warned(record, FROM_NAME)
        if not labelled:
            record = _warned(record, UNLABELLED)
        if image_id in records:
            if replace(records[image_id], warnings=()) != replace(record, warnings=()):
                raise CxrlocError(f"{where}: {name} is there twice, with other cells; keep one")
            record = _warned(record, REPEATED)
        records[image_id] = record
    return _compared_with_names(path, table, records)


def _warned(record: Record, warning: str) -> Record:
    """The record with this warning added, unless it has the warning already."""
    return replace(record, warnings=tuple(dict.fromkeys((*record.warnings, warning))))


def _labels(where: str, text: str, declared: Collection[str]) -> tuple[Mapping[str, Label], bool]:
    """Labels of a cell ("Effusion|Mass"), and whether the cell is not blank.

    Images with equal cells share the mapping.
    """
    found = finding_labels(where, text, declared)
    if found is None:
        return {}, False
    return dict.fromkeys(CHESTXRAY14, Label.NEGATIVE) | dict.fromkeys(found, Label.POSITIVE), True


def _patient(where: str, patient: str, image_id: str) -> str:
    """The patient of a cell; a number such as "1.0" or "0001" becomes "1", as in ChestX-ray14.

    Raises:
        CxrlocError: the cell is blank and the file name contains no patient number.
    """
    if patient and image_id[8:9] == "_" and patient == image_id[:8].lstrip("0"):
        return patient  # nearly all rows
    named = _named_patient(image_id)
    if named and (is_blank(patient) or patient_key(patient) == named):
        return named
    if is_blank(patient):
        raise CxrlocError(
            f"{where}: Patient ID is blank, and {image_id} is not named as in ChestX-ray14 "
            "(00000001_000), so the patient is not known; fill the cell"
        )
    return patient


def _named_patient(image_id: str) -> str:
    """The patient in a file name of ChestX-ray14; empty for another name."""
    is_name = CHESTXRAY14_NAME.fullmatch(image_id) and int(image_id[:8]) <= LAST_PATIENT
    return (patient_in(image_id) or "") if is_name else ""


def _compared_with_names(path: Path, table: Table, records: Mapping[str, Record]) -> list[Record]:
    """The records, with a warning if the table numbers patients otherwise than the file names do.

    It does so if most numbers differ and no number of the file names has two Patient IDs.

    Raises:
        CxrlocError: numbers differ, and it does not; the first such row is named.
    """
    different = {
        image_id
        for image_id, record in records.items()
        if record.patient_id != image_id[:8].lstrip("0")  # nearly all are equal; this is quick
        and _named_patient(image_id) not in ("", record.patient_id)
        and patient_key(record.patient_id).isdecimal()
    }
    if not different:
        return list(records.values())
    named = [(_named_patient(each.image_id), each.patient_id) for each in records.values()]
    pairs = Counter((number, patient) for number, patient in named if number)
    if len(different) > pairs.total() / 2 and len(pairs) == len({number for number, _ in pairs}):
        return [
            _warned(record, RENUMBERED) if image_id in different else record
            for image_id, record in records.items()
        ]
    rows = zip(table.columns["Image Index"], table.numbers, strict=True)
    name, row = next(row for row in rows if image_id_of(row[0]) in different)
    record = records[image_id_of(name)]
    raise CxrlocError(
        f"{path}, row {row}: Patient ID is {record.patient_id}, and {record.image_id} is named as "
        f"an image of patient {_named_patient(record.image_id)}; are the rows of the two columns "
        "in one order?"
    )


def _age_years(text: str, where: str) -> float | None:
    """Age in years, from "58" (later edition) or "058Y", "011M", "003D" (first edition)."""
    if is_blank(text):
        return None
    number, unit = text, "Y"
    if number[-1] in _YEARS_PER_UNIT:
        number, unit = number[:-1], number[-1]
    years = number_in(where, "Patient Age", number) * _YEARS_PER_UNIT[unit]
    return years if 0 <= years <= OLDEST_YEARS else None
