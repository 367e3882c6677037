"""MIMIC-CXR and MIMIC-CXR-JPG (Johnson et al. 2019) in their published layout.

`mimic-cxr-2.0.0-metadata.csv`, `-split.csv`, `-chexpert.csv`, `-negbio.csv`, each compressed
(`.gz`) or not; images in `files/p10/p10000032/s50414267/<dicom_id>.jpg` or `.dcm`, reports in
`files/p10/p10000032/s50414267.txt`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from cxrloc.datasets.chexpert import VOCABULARY, observation_labels
from cxrloc.datasets.identifiers import checked_id, patient_key
from cxrloc.datasets.image_files import is_file
from cxrloc.errors import CxrlocError
from cxrloc.files.tables import number_in, read_table, rows_of
from cxrloc.findings import CHEXPERT14
from cxrloc.images.dicom_header import VIEW_POSITIONS
from cxrloc.types import Label, Record

NAME = "mimic-cxr-*-"
"""Pattern of the names of all tables up to the last part; the version (2.0.0) may change."""

METADATA_COLUMNS = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
LABEL_COLUMNS = ("subject_id", "study_id", *CHEXPERT14)
SPLIT_COLUMNS = ("dicom_id", "split")

LABELERS = ("chexpert", "negbio")
"""Tables of labels by the labeler that made them; if a folder has both, the first is read."""

NO_ROW = "its study has no row in the table of labels: nothing is known of its findings"

_HINT = "the published table of MIMIC-CXR has it"
_PARTS = {"train": "train", "validate": "validation", "test": "test"}


def read_mimic_cxr(path: Path) -> list[Record]:
    """One record per image of the metadata, by patient and then in the order of acquisition.

    The order is that of StudyDate and StudyTime; images of the same time stay in the order of the
    file. A study is named `s50414267`, like the file of its report. Labels that `cxrloc label`
    extracts from `files/` can therefore be joined to the records (`report_labels.with_labels`).
    Labels are CheXpert's 14 observations of the study, from the public table of a labeler
    (`label_table` chooses it). Without a table, or if a study is not in the table, the record has
    no labels and is not `labelled`. Ages and sexes are published in MIMIC-IV only.

    Args:
        path: the folder that holds the tables, or one of the two tables of labels in this folder.

    Raises:
        CxrlocError: a table is missing, or a row (named) is not valid.
    """
    folder = path.parent if path.is_file() else path
    source = label_table(path)
    labels = _labels(source)
    metadata = _table(folder, "metadata")
    if metadata is None:
        raise CxrlocError(f"{folder} holds no {NAME}metadata.csv or .csv.gz")
    rows = rows_of(read_table(metadata, METADATA_COLUMNS, hint=_HINT))
    ordered = sorted(_order(number, where, cells) for number, (where, cells) in enumerate(rows))
    records = [_record(folder, *row[-2:], labels) for row in ordered]
    if source is not None and records and not any(record.labelled for record in records):
        first, other = records[0], next(iter(labels), ("none", "none"))
        raise CxrlocError(
            f"{source}: none of its {len(labels)} studies is in {metadata.name}, which has "
            f"{len({r.study_id for r in records})}; studies are as s{other[1]} of p{other[0]} "
            f"there and {first.study_id} of p{first.patient_id} here"
        )
    return records


def label_table(path: Path) -> Path | None:
    """The public table from which labels are read; None if there is no such table.

    Raises:
        CxrlocError: the file is not a table of labels.
    """
    if path.is_dir():
        found = (_table(path, labeler) for labeler in LABELERS)
        return next((table for table in found if table is not None), None)
    if not any(path.match(f"{NAME}{labeler}.csv*") for labeler in LABELERS):
        raise CxrlocError(
            f"{path}: name the folder of MIMIC-CXR, or one of its tables "
            f"{' and '.join(f'{NAME}{labeler}.csv' for labeler in LABELERS)}"
        )
    return path


def official_parts(folder: Path, records: Iterable[Record]) -> dict[str, str]:
    """The part of each image: "train", "validation" or "test", from `-split.csv`.

    An image that the table does not list is left out.

    Raises:
        CxrlocError: the table is missing, or a row names another part.
    """
    path = _table(folder, "split")
    if path is None:
        raise CxrlocError(f"{folder} holds no {NAME}split.csv or .csv.gz: the official split")
    parts: dict[str, str] = {}
    for where, cells in rows_of(read_table(path, SPLIT_COLUMNS, hint=_HINT)):
        if cells["split"] not in _PARTS:
            raise CxrlocError(f"{where}: split {cells['split']!r}; it is {', '.join(_PARTS)}")
        part = _PARTS[cells["split"]]
        if parts.setdefault(cells["dicom_id"], part) != part:
            raise CxrlocError(f"{where}: {cells['dicom_id']} is in another part above")
    return {r.image_id: parts[r.image_id] for r in records if r.image_id in parts}


def _table(folder: Path, kind: str) -> Path | None:
    """A table of the folder; the uncompressed file is preferred to the compressed one."""
    found = sorted(path for end in ("csv", "csv.gz") for path in folder.glob(f"{NAME}{kind}.{end}"))
    return found[0] if found else None


def _number(where: str, kind: str, cell: str) -> str:
    """The digits of a subject or study, which other programs write as "10000032.0" or "p10000032".

    Raises:
        CxrlocError: the cell has no digits.
    """
    number = patient_key(cell)
    if not number.isdecimal():
        raise CxrlocError(f"{where}: {kind} {cell[:40]!r} is no number of MIMIC-CXR")
    return number


def _labels(path: Path | None) -> dict[tuple[str, str], Mapping[str, Label]]:
    """Labels by subject and study."""
    labels: dict[tuple[str, str], Mapping[str, Label]] = {}
    if path is None:
        return labels
    for where, cells in rows_of(read_table(path, LABEL_COLUMNS, hint=_HINT)):
        subject, study = (_number(where, kind, cells[kind]) for kind in LABEL_COLUMNS[:2])
        row_labels = observation_labels(where, cells)
        if labels.setdefault((subject, study), row_labels) != row_labels:
            raise CxrlocError(f"{where}: study {study} has other labels above; keep one row")
    return labels


def _order(
    number: int, where: str, cells: Mapping[str, str]
) -> tuple[str, float, float, str, int, str, Mapping[str, str]]:
    """Sort key of a row: patient, date, time of day, study, row.

    Times are HHMMSS with a fraction; the published file has lost their leading zeros.
    """
    date, time = (number_in(where, name, cells[name] or "0") for name in ("StudyDate", "StudyTime"))
    return cells["subject_id"], date, time, cells["study_id"], number, where, cells


def _record(
    folder: Path,
    where: str,
    cells: Mapping[str, str],
    labels: Mapping[tuple[str, str], Mapping[str, Label]],
) -> Record:
    subject, study = (_number(where, kind, cells[kind]) for kind in LABEL_COLUMNS[:2])
    image_id = checked_id(where, cells["dicom_id"])
    place = folder / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}"
    files = (place / f"{image_id}{suffix}" for suffix in (".jpg", ".dcm"))
    known = (subject, study) in labels
    return Record(
        image_id=image_id,
        patient_id=subject,
        study_id=f"s{study}",
        path=next(filter(is_file, files), None),
        view=VIEW_POSITIONS.get(cells["ViewPosition"]),
        labels=labels.get((subject, study), {}),
        labelled=known,
        vocabulary=VOCABULARY,
        warnings=() if known or not labels else (NO_ROW,),
    )
