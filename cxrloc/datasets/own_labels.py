"""A user's own table of labels, joined to a folder of images."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cxrloc.datasets.image_files import (
    ImagesByStem,
    SeenNames,
    image_id_of,
    image_named,
    images_by_stem,
    joined_among,
)
from cxrloc.datasets.label_cells import finding_labels
from cxrloc.datasets.records import NO_PATIENT
from cxrloc.errors import CxrlocError
from cxrloc.files.tables import NOTE, Table, is_blank, key_of, number_in, read_table, rows_of
from cxrloc.findings import NO_FINDING, OTHER_OUTPUTS, finding_columns, spelled_as
from cxrloc.types import Label, Record, Sex, View

_ROLES = {
    "patient": (
        *("patientid", "patient", "patientnumber", "patientno", "patientnr", "patid", "mrn"),
        *("subjectid", "subject", "subjectnumber"),
    ),
    "study": ("studyid", "study", "accession"),
    "view": ("viewposition", "view", "ap/pa", "projection"),
    "age": ("age", "patientage", "ageyears"),
    "sex": ("sex", "gender", "patientsex", "patientgender"),
    "labels": ("findinglabels", "labels", "label", "findings", "finding", "diagnosis", "class"),
}
"""Kinds of columns, and the usual names of each, in lower case without blanks."""

BESIDE_NO_FINDING = ("Support Devices", *OTHER_OUTPUTS)
"""What an image without a finding may have: devices (Irvin et al. 2019), a view and a sex."""

_LABELS = {
    **dict.fromkeys(("1", "true", "yes", "positive"), Label.POSITIVE),
    **dict.fromkeys(("0", "false", "no", "negative"), Label.NEGATIVE),
    **dict.fromkeys(("-1", "uncertain"), Label.UNCERTAIN),
}
_VIEWS = {"PA": View.PA, "AP": View.AP, "LATERAL": View.LATERAL, "LL": View.LATERAL}
_SEXES = {"F": Sex.FEMALE, "M": Sex.MALE}


def by_stem(images: Mapping[str, Record]) -> ImagesByStem:
    """The images, to be found by the names that a table gives them."""
    return images_by_stem({name: record.path for name, record in images.items()})


def labelled_images(
    path: Path,
    images: Mapping[str, Record],
    id_column: str = "",
    columns: Sequence[str] = (),
    declared: Collection[str] = (),
) -> tuple[dict[str, Record], list[str]]:
    """The images with the cells of their row; those without a row are not labelled.

    A row whose cells of findings are all blank labels nothing. Columns judge their findings alone;
    a list judges every finding, so that those that it does not name are absent.

    Args:
        path: the table, with a row per image.
        images: by id.
        id_column: column that names the image; if empty, it is found by its cells.
        columns: those that hold findings; if empty, they are found by their names.
        declared: findings beside the known ones.

    Returns:
        The records by image id, and sentences on how columns and ids were interpreted.

    Raises:
        CxrlocError: no row is of an image, no column is a finding, two columns are of one finding,
            or a row (named) is not valid or contradicts another.
    """
    table = read_table(path, [*filter(None, (id_column,)), *columns])
    id_column = id_column or _id_column(table, images)
    roles = _roles(table, id_column)
    notes: list[str] = []
    findings = {name: spelled_as(name, declared) for name in columns}
    if not findings:
        left = [name for name in table.columns if name not in (id_column, NOTE, *roles.values())]
        findings, others = finding_columns(left, declared)
        if others:
            notes.append(
                f"{path.name}: left out, because they are no findings: {', '.join(others[:20])}"
            )
    if not findings and "labels" not in roles:
        raise CxrlocError(
            f"{path}, row 1: no column is a known finding ({', '.join(list(table.columns)[:20])}); "
            "name them with --finding-columns"
        )
    _refuse_twice(path, findings)
    if findings:
        roles.pop("labels", None)
    columns_used = ", ".join(f"{role} from {name}" for role, name in roles.items())
    notes.append(
        f"{path.name}: images by {id_column}{', ' if columns_used else ''}{columns_used}"
        + (f", findings from {', '.join(findings)}" if findings else "")
    )
    if "patient" not in roles:
        notes.append(
            f"{path.name}: no column patient_id, so that each image counts as a patient of its own"
        )
    found: dict[str, Record] = {}
    foreign: list[str] = []
    known, seen = by_stem(images), SeenNames()
    for where, cells in rows_of(table):
        image_id = image_named(where, cells[id_column], known)
        if image_id is not None:
            seen.check(where.removeprefix(f"{path}, "), cells[id_column], image_id)
        if image_id is None:
            foreign.append(cells[id_column])
            continue
        record = _record(where, images[image_id], cells, roles, findings, declared)
        if found.setdefault(image_id, record) != record:
            raise CxrlocError(f"{where}: {image_id} is there twice, with other cells; keep one")
    if "labels" in roles:
        # A list names only the findings that are present. A finding that other rows name, and this
        # row does not, is therefore negative here.
        named = dict.fromkeys(name for record in found.values() for name in record.labels)
        absent = dict.fromkeys(named, Label.NEGATIVE)
        judged = {*named, *OTHER_OUTPUTS, NO_FINDING}
        if lacking := [name for name in declared if name not in judged]:
            notes.append(
                f"{path.name}: no list names {', '.join(lacking)}, so no labelled image has it"
            )
        found = {
            name: replace(record, labels=absent | dict(record.labels))
            if record.labelled
            else record
            for name, record in found.items()
        }
    return _joined_rows(path, images, found, foreign, notes), notes


def _refuse_twice(path: Path, findings: dict[str, str]) -> None:
    """Raise an error if two columns hold the same finding; drop `normal` beside No Finding.

    `cxrloc label` writes both columns: `normal` means that there is no abnormality of any kind.
    """
    if "normal" in findings and list(findings.values()).count(NO_FINDING) > 1:
        del findings["normal"]
    for column, finding in findings.items():
        others = [name for name, other in findings.items() if other == finding and name != column]
        if others:
            raise CxrlocError(
                f"{path}, row 1: the columns {column} and {others[0]} both mean {finding}; keep one"
            )


def _joined_rows(
    path: Path,
    images: Mapping[str, Record],
    found: dict[str, Record],
    foreign: Sequence[str],
    notes: list[str],
) -> dict[str, Record]:
    """All images; those without a row are unlabelled. Adds a note on how many rows matched."""
    absent = [name for name in images if name not in found]
    if not found:
        raise CxrlocError(
            f"{path}: none of its rows is of an image that is there; rows are as "
            f"{next(iter(foreign), 'none')!r}, images as {next(iter(images))!r}; name the column "
            "of ids with --id"
        )
    if absent or foreign:
        only = f"; only in the table: {foreign[0]!r}" if foreign else ""
        only += f"; only on the disk: {absent[0]!r}" if absent else ""
        notes.append(
            f"{path.name}: {len(found)} of its {len(found) + len(foreign)} rows are of the "
            f"{len(images)} images{only}"
        )
    return found | {name: replace(images[name], labelled=False) for name in absent}


def _id_column(table: Table, images: Mapping[str, Record]) -> str:
    """The column whose cells name most of the images.

    Raises:
        CxrlocError: no cell names one.
    """
    known = by_stem(images)
    counts = {
        name: sum(image_id_of(c) in known or joined_among(c, known) is not None for c in cells)
        for name, cells in table.columns.items()
    }
    best = max(counts, key=lambda name: counts[name], default="")
    if not best or not counts[best]:
        rows = next(rows_of(table), ("", {}))[1]
        raise CxrlocError(
            f"{table.path}: no cell names an image, which are as {next(iter(images))!r}; its first "
            f"row is {', '.join(list(rows.values())[:6])[:120]!r}"
        )
    return best


def _roles(table: Table, id_column: str) -> dict[str, str]:
    """Columns that have a usual name, by the kind of their content."""
    by_key = {key_of(name): name for name in table.columns if name != id_column}
    found = {
        role: next((by_key[key] for key in keys if key in by_key), "")
        for role, keys in _ROLES.items()
    }
    return {role: name for role, name in found.items() if name}


def _record(
    where: str,
    image: Record,
    cells: Mapping[str, str],
    roles: Mapping[str, str],
    findings: Mapping[str, str],
    declared: Collection[str],
) -> Record:
    cell = {role: "" if is_blank(cells[name]) else cells[name] for role, name in roles.items()}
    labels: dict[str, Label] = {}
    for column, finding in findings.items():
        if not is_blank(text := cells[column].lower()):
            if (label := _LABELS.get(text.removesuffix(".0"))) is None:
                raise CxrlocError(f"{where}: {column} is {text[:40]!r}; it is 1, 0, -1 or blank")
            labels[finding] = label
    _check_no_finding(where, labels, findings)
    listed = finding_labels(where, cell["labels"], declared) if "labels" in cell else ()
    labels |= dict.fromkeys(listed or (), Label.POSITIVE)
    return replace(
        image,
        patient_id=cell.get("patient") or image.patient_id,
        study_id=cell.get("study") or image.study_id,
        view=_VIEWS.get(cell.get("view", "").upper()),
        age_years=_age(where, roles["age"], cell["age"]) if cell.get("age") else None,
        sex=_SEXES.get(cell.get("sex", "")[:1].upper()),
        labels=labels,
        labelled=bool(labels) if findings else listed is not None,
        vocabulary=frozenset(findings.values()) if findings else None,
        warnings=(NO_PATIENT,) if "patient" in cell and not cell["patient"] else (),
    )


def _check_no_finding(where: str, labels: Mapping[str, Label], findings: Mapping[str, str]) -> None:
    """Raise an error if a row has No Finding and a finding; columns have the table's own names."""
    if labels.get(NO_FINDING) is not Label.POSITIVE:
        return
    without = next(column for column, finding in findings.items() if finding == NO_FINDING)
    for column, finding in findings.items():
        if finding in (NO_FINDING, *BESIDE_NO_FINDING):
            continue
        if labels.get(finding) is Label.POSITIVE:
            raise CxrlocError(
                f"{where}: {without} is 1 and so is {column}; an image without finding has no "
                "other one"
            )


def _age(where: str, column: str, text: str) -> float:
    """Age in years, with or without the unit: "58" or "058Y"."""
    return number_in(where, column, text.upper().removesuffix("Y"))
