"""CheXpert (Irvin et al. 2019) in its published layout: `train.csv`, `valid.csv`, `test*.csv`.

The column Path says all there is of patient and study:
`CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg`. Images lie as it says, below
the folder of the tables or the one above it.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from cxrloc.datasets.observation_tables import observation_labels, read_table, table_rows
from cxrloc.findings import CHEXPERT14
from cxrloc.images.dicom_header import VIEW_POSITIONS
from cxrloc.types import CxrlocError, Label, Record, Sex, View

COLUMNS = ("Path", *CHEXPERT14)
"""Columns of every table; Sex, Age, Frontal/Lateral and AP/PA are not in that of the test set."""

TABLES = {"train": "train.csv", "validation": "valid.csv", "test": "test*.csv"}
"""Official parts, and the files that list them."""

_PATH = re.compile(r"(?P<patient>patient\d+)/(?P<study>study\d+)/(?P<image>[^/]+)\.\w+$")
_PREFIX = re.compile(r"^CheXpert-v[^/]*/")
_SEXES = {"Male": Sex.MALE, "Female": Sex.FEMALE}


def read_chexpert(path: Path) -> list[Record]:
    """One record per image of one table, or of all tables of a folder.

    Labels are CheXpert's 14 observations, blank cells absent; `Pleural Effusion` is Effusion, as
    in all data sets. An image is named as CheXlocalize names it
    (`patient00001_study1_view1_frontal`), a study `patient00001_study1`. `Open:` age 0, which a
    few rows have, is unknown: all are adults.

    Args:
        path: the folder that holds the tables, or one table.

    Raises:
        CxrlocError: there is no table, or a row (named) breaks its rule.
    """
    tables = [path] if path.is_file() else list(_tables(path).values())
    records = [record for table in tables for record in _records(table)]
    names: set[str] = set()
    for record in records:
        if record.image_id in names:
            raise CxrlocError(f"{path}: image {record.image_id} is listed twice")
        names.add(record.image_id)
    return records


def official_parts(folder: Path, records: Iterable[Record]) -> dict[str, str]:
    """The part of each image: "train", "validation" or "test", by the table that lists it.

    An image that no table lists is left out.

    Raises:
        CxrlocError: there is no table, or a path in it names no patient and study.
    """
    parts = {
        _names(table, row, cell)["image_id"]: part
        for part, table in _tables(folder).items()
        for row, cell in enumerate(read_table(table, ("Path",))["Path"])
    }
    return {r.image_id: parts[r.image_id] for r in records if r.image_id in parts}


def _tables(folder: Path) -> dict[str, Path]:
    found = {part: sorted(folder.glob(pattern)) for part, pattern in TABLES.items()}
    if not any(found.values()):
        raise CxrlocError(f"{folder} holds none of {', '.join(TABLES.values())} of CheXpert")
    if len(found["test"]) > 1:
        raise CxrlocError(f"{folder} holds {len(found['test'])} files test*.csv: keep one")
    return {part: paths[0] for part, paths in found.items() if paths}


def _records(table_path: Path) -> list[Record]:
    table = read_table(table_path, COLUMNS)
    rows = table_rows(table)
    return [
        _record(table_path, index, row, labels)
        for index, (row, labels) in enumerate(
            zip(rows, observation_labels(table_path, table), strict=True)
        )
    ]


def _record(table: Path, index: int, row: Mapping[str, str], labels: Mapping[str, Label]) -> Record:
    names = _names(table, index, row["Path"])
    age = row.get("Age", "")
    if age and not re.fullmatch(r"\d+(\.0)?", age):
        raise CxrlocError(f"{table}, row {index + 2}: Age {age!r} is not a number of years")
    return Record(
        image_id=names["image_id"],
        patient_id=names["patient_id"],
        study_id=names["study_id"],
        path=_file(table.parent, row["Path"]),
        view=_view(row, names["image_id"]),
        age_years=(float(age) or None) if age else None,
        sex=_SEXES.get(row.get("Sex", "")),
        labels=labels,
    )


def _names(table: Path, index: int, path: str) -> dict[str, str]:
    """Ids of image, patient and study, as fields of a record."""
    found = _PATH.search(path)
    if found is None:
        raise CxrlocError(
            f"{table}, row {index + 2}: Path {path!r} does not end in patient/study/image, such as "
            "patient00001/study1/view1_frontal.jpg"
        )
    study = f"{found['patient']}_{found['study']}"
    return {
        "image_id": f"{study}_{found['image']}",
        "patient_id": found["patient"],
        "study_id": study,
    }


def _view(row: Mapping[str, str], image_id: str) -> View | None:
    """AP/PA of a frontal image (a few rows say LL or RL: unknown); without columns, its name."""
    kind = row.get("Frontal/Lateral") or image_id.rsplit("_", 1)[-1].capitalize()
    if kind == "Lateral":
        return View.LATERAL
    view = VIEW_POSITIONS.get(row.get("AP/PA", ""))
    return view if view in (View.AP, View.PA) else None


def _file(folder: Path, path: str) -> Path | None:
    """Below the folder of the tables, without the release's own folder, or with it one up."""
    places = (folder / _PREFIX.sub("", path), folder.parent / path)
    return next((place for place in places if place.is_file()), None)
