"""CheXpert (Irvin et al. 2019) in its published layout: `train.csv`, `valid.csv`, `test*.csv`.

Patient and study are named only in the column Path:
`CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg`. `image_folders` lists the
folders in which images are looked for. The tables of MIMIC-CXR have the same columns of
observations.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cxrloc.datasets.identifiers import checked_id
from cxrloc.datasets.image_files import is_file
from cxrloc.errors import CxrlocError
from cxrloc.files.tables import is_blank, read_table, rows_of
from cxrloc.findings import CHEXPERT14, standard_finding
from cxrloc.images.dicom_header import VIEW_POSITIONS
from cxrloc.types import Label, Record, Sex, View

COLUMNS = ("Path", *CHEXPERT14)
"""Columns of every table; the test set's has no Sex, Age, Frontal/Lateral and AP/PA."""

OBSERVATIONS = {name: standard_finding(name) for name in CHEXPERT14}
"""The finding of each column of observations."""

VOCABULARY = frozenset(OBSERVATIONS.values())
"""The findings that a table with these columns judges."""

_MORE_COLUMNS = ("Sex", "Age", "Frontal/Lateral", "AP/PA")

TABLES = {"train": "train.csv", "validation": "valid.csv", "test": "test*.csv"}
"""Official parts, and the files that list them."""

_RELEASE = "[Cc]he[Xx]pert*/"
"""Folders of a release, such as "CheXpert-v1.0-small" and "chexpertchestxrays-u20210408"."""

_PATH = re.compile(r"(?P<patient>patient\d+)/(?P<study>study\d+)/(?P<image>[^/]+)\.\w+$")
_LABELS = {"1": Label.POSITIVE, "0": Label.NEGATIVE, "-1": Label.UNCERTAIN}
_SEXES = {"Male": Sex.MALE, "Female": Sex.FEMALE}


def read_chexpert(path: Path) -> list[Record]:
    """One record per image of one table, or of all tables of a folder.

    Labels are CheXpert's 14 observations; a blank cell gives no label. `Pleural Effusion` is called
    Effusion, as in all data sets. An image has the name that CheXlocalize gives it
    (`patient00001_study1_view1_frontal`), and a study is named `patient00001_study1`. `Open:` age
    0, which a few rows have, is unknown: all are adults.

    Args:
        path: the folder that holds the tables, or one table.

    Raises:
        CxrlocError: there is no table, or a row (named) is not valid.
    """
    tables = [path] if path.is_file() else list(_tables(path).values())
    return [record for table in tables for record in _records(table)]


def observation_labels(where: str, cells: Mapping[str, str]) -> dict[str, Label]:
    """Labels of a row: 1, 0, -1 (uncertain); a blank cell is "not mentioned" and has no label.

    Findings are named as in all data sets: `Pleural Effusion` is Effusion.

    Args:
        where: the file and the row, for error messages.
        cells: by the names of `CHEXPERT14`; other columns are ignored.

    Raises:
        CxrlocError: a cell has another value.

    >>> observation_labels("row 2", {"Edema": "1.0", "Fracture": "-1", "Pneumonia": ""})
    {'Edema': <Label.POSITIVE: 1>, 'Fracture': <Label.UNCERTAIN: -1>}
    """
    labels = {}
    for name, finding in OBSERVATIONS.items():
        if (cell := cells.get(name, "")) and not is_blank(cell):
            label = _LABELS.get(cell.removesuffix(".0"))
            if label is None:
                raise CxrlocError(f"{where}: {name} is {cell[:40]!r}; it is 1, 0, -1 or blank")
            labels[finding] = label
    return labels


def official_parts(folder: Path, records: Iterable[Record]) -> dict[str, str]:
    """The part of each image: "train", "validation" or "test", by the table that lists it.

    An image that no table lists is left out.

    Raises:
        CxrlocError: there is no table, or a path in it does not name a patient and a study.
    """
    parts = {
        _names(where, cells["Path"])["image_id"]: part
        for part, table in _tables(folder).items()
        for where, cells in rows_of(read_table(table, ("Path",)))
    }
    return {r.image_id: parts[r.image_id] for r in records if r.image_id in parts}


def _tables(folder: Path) -> dict[str, Path]:
    found = {part: sorted(folder.glob(pattern)) for part, pattern in TABLES.items()}
    if not any(found.values()):
        raise CxrlocError(f"{folder} holds none of {', '.join(TABLES.values())} of CheXpert")
    if len(found["test"]) > 1:
        raise CxrlocError(f"{folder} holds {len(found['test'])} files test*.csv: keep one")
    return {part: paths[0] for part, paths in found.items() if paths}


def image_folders(folder: Path) -> list[Path]:
    """The folders that contain folders of patients, given the folder of the tables.

    The release's own folder may hold the tables or lie beside them. It may be nested in a folder of
    the same name, or divided into several: "CheXpert-v1.0 batch 2 (train 1)". The folders of
    patients lie in it or in its `train`, `valid` and `test`.
    """
    releases = [folder]
    for above in (folder, folder.parent):
        releases += sorted(above.glob(_RELEASE))
    releases += [below for release in releases[1:] for below in sorted(release.glob(_RELEASE))]
    places = [r / part for r in dict.fromkeys(releases) for part in ("", "train", "valid", "test")]
    return [place for place in places if next(place.glob("patient*/"), None) is not None]


def _records(table_path: Path) -> list[Record]:
    places = image_folders(table_path.parent)
    hint = f"the published file has {', '.join(COLUMNS)}"
    table = read_table(table_path, COLUMNS, _MORE_COLUMNS, hint)
    records: dict[str, Record] = {}
    for where, cells in rows_of(table):
        record = _record(where, cells, places)
        if records.setdefault(record.image_id, record) != record:
            raise CxrlocError(
                f"{where}: {cells['Path']} is there twice, with other cells; keep one"
            )
    if any(record.path for record in records.values()):
        return list(records.values())
    looked = ", ".join(map(str, places)) or f"{table_path.parent} and folders CheXpert* near it"
    warning = f"its image is not on this disk; looked for patients in {looked}"
    return [replace(record, warnings=(warning,)) for record in records.values()]


def _record(where: str, cells: Mapping[str, str], places: Sequence[Path]) -> Record:
    names = _names(where, cells["Path"])
    age = "" if is_blank(age := cells.get("Age", "")) else age
    if age and not re.fullmatch(r"\d+(\.0)?", age):
        raise CxrlocError(f"{where}: Age {age[:40]!r} is not a number of years")
    return Record(
        image_id=names["image_id"],
        patient_id=names["patient_id"],
        study_id=names["study_id"],
        path=_file(places, cells["Path"]),
        view=_view(cells, names["image_id"]),
        age_years=(float(age) or None) if age else None,
        sex=_SEXES.get(cells.get("Sex", "").capitalize()),
        labels=observation_labels(where, cells),
        vocabulary=VOCABULARY,
    )


def _names(where: str, path: str) -> dict[str, str]:
    """Ids of image, patient and study, as fields of a record."""
    found = _PATH.search(path.replace("\\", "/"))
    if found is None:
        raise CxrlocError(
            f"{where}: Path {path[:80]!r} does not end in patient/study/image, such as "
            "patient00001/study1/view1_frontal.jpg"
        )
    study = f"{found['patient']}_{found['study']}"
    return {
        "image_id": checked_id(where, f"{study}_{found['image']}"),
        "patient_id": found["patient"],
        "study_id": study,
    }


def _view(cells: Mapping[str, str], image_id: str) -> View | None:
    """PA, AP or lateral; FRONTAL if the table has no column AP/PA, as in the test set.

    A few frontal rows have LL or RL in this column: their view is unknown.
    """
    kind = cells.get("Frontal/Lateral") or image_id.rsplit("_", 1)[-1]
    if kind.capitalize() == "Lateral":
        return View.LATERAL
    position = cells.get("AP/PA", "")
    if kind.capitalize() == "Frontal" and not position:
        return View.FRONTAL
    view = VIEW_POSITIONS.get(position)
    return view if view in (View.AP, View.PA) else None


def _file(places: Sequence[Path], path: str) -> Path | None:
    """The path of an image in the first of the folders that has it."""
    tail = "/".join(path.replace("\\", "/").split("/")[-3:])
    return next((place / tail for place in places if is_file(place / tail)), None)
