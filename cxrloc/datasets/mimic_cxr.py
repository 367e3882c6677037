"""MIMIC-CXR and MIMIC-CXR-JPG (Johnson et al. 2019) in their published layout.

`mimic-cxr-2.0.0-metadata.csv`, `-split.csv`, `-chexpert.csv`, `-negbio.csv`, each packed (`.gz`)
or not; images in `files/p10/p10000032/s50414267/<dicom_id>.jpg` or `.dcm`, reports in
`files/p10/p10000032/s50414267.txt`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from cxrloc.datasets.observation_tables import observation_labels, read_table, table_rows
from cxrloc.findings import CHEXPERT14
from cxrloc.images.dicom_header import VIEW_POSITIONS
from cxrloc.types import CxrlocError, Label, Record

NAME = "mimic-cxr-*-"
"""How the names of all tables begin; the version (2.0.0) stands between."""

METADATA_COLUMNS = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
LABEL_COLUMNS = ("subject_id", "study_id", *CHEXPERT14)
SPLIT_COLUMNS = ("dicom_id", "split")

LABELERS = ("chexpert", "negbio")
"""Tables of labels by the labeler that made them; of two in a folder the first is read."""

_PARTS = {"train": "train", "validate": "validation", "test": "test"}


def read_mimic_cxr(path: Path) -> list[Record]:
    """One record per image of the metadata, by patient and then in the order of acquisition.

    Order is by StudyDate and StudyTime; images of one time stay as the file has them. A study is
    named `s50414267`, as its report's file is, so that labels which `cxrloc label` took from
    `files/` join the records (`report_labels.with_labels`). Labels are CheXpert's 14 observations
    of the study, from the public table of a labeler (`label_table` says which); without a table,
    or for a study that is not in it, there are none and the record is not `labelled`. Ages and
    sexes stand in MIMIC-IV only.

    Args:
        path: the folder that holds the tables, or one of the two tables of labels, beside the
            others.

    Raises:
        CxrlocError: a table is missing, or a row (named) breaks its rule.
    """
    folder = path.parent if path.is_file() else path
    labels = _labels(label_table(path))
    metadata = _table(folder, "metadata")
    if metadata is None:
        raise CxrlocError(f"{folder} holds no {NAME}metadata.csv or .csv.gz")
    rows = table_rows(read_table(metadata, METADATA_COLUMNS))
    numbered = sorted(enumerate(rows), key=lambda each: _order(metadata, *each))
    return [_record(folder, row, labels) for _, row in numbered]


def label_table(path: Path) -> Path | None:
    """The public table that labels come from; None where there is none.

    Raises:
        CxrlocError: the file is no such table.
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
    table = read_table(path, SPLIT_COLUMNS)
    for row, part in enumerate(table["split"]):
        if part not in _PARTS:
            raise CxrlocError(f"{path}, row {row + 2}: split {part!r}; it is {', '.join(_PARTS)}")
    parts = dict(zip(table["dicom_id"], table["split"], strict=True))
    return {r.image_id: _PARTS[parts[r.image_id]] for r in records if r.image_id in parts}


def _table(folder: Path, kind: str) -> Path | None:
    """A table of the folder; unpacked goes before packed."""
    found = sorted(path for end in ("csv", "csv.gz") for path in folder.glob(f"{NAME}{kind}.{end}"))
    return found[0] if found else None


def _labels(path: Path | None) -> dict[tuple[str, str], Mapping[str, Label]]:
    """Labels by subject and study."""
    if path is None:
        return {}
    table = read_table(path, LABEL_COLUMNS)
    keys = zip(table["subject_id"], table["study_id"], strict=True)
    return dict(zip(keys, observation_labels(path, table), strict=True))


def _order(path: Path, index: int, row: Mapping[str, str]) -> tuple[str, int, float, str, int]:
    """Patient, date, time of day (HHMMSS and a fraction, leading zeros cut off), study, row."""
    try:
        date, time = int(row["StudyDate"] or 0), float(row["StudyTime"] or 0)
    except ValueError as error:
        raise CxrlocError(f"{path}, row {index + 2}: StudyDate or StudyTime: {error}") from error
    return row["subject_id"], date, time, row["study_id"], index


def _record(
    folder: Path, row: Mapping[str, str], labels: Mapping[tuple[str, str], Mapping[str, Label]]
) -> Record:
    subject, study = row["subject_id"], row["study_id"]
    place = folder / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}"
    files = (place / f"{row['dicom_id']}{suffix}" for suffix in (".jpg", ".dcm"))
    return Record(
        image_id=row["dicom_id"],
        patient_id=subject,
        study_id=f"s{study}",
        path=next((file for file in files if file.is_file()), None),
        view=VIEW_POSITIONS.get(row["ViewPosition"]),
        labels=labels.get((subject, study), {}),
        labelled=(subject, study) in labels,
    )
