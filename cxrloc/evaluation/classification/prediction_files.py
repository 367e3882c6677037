"""`probabilities.csv`: one row per image, one column per finding."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from cxrloc.datasets.image_files import SeenNames, images_by_stem, named_or_new_id
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.populations import of_images
from cxrloc.evaluation.classification.units import are_probabilities
from cxrloc.files.part_tables import holds_parts, rows_of_parts
from cxrloc.files.table_writer import with_notes, write_csv
from cxrloc.files.tables import NOTE, Table, number_in, read_table, row_name
from cxrloc.findings import finding_columns, standard_finding
from cxrloc.text import from_csv
from cxrloc.types import Predictions, Record

IMAGE = "image"


class Matched(NamedTuple):
    """Predictions of the images of a data set, and notes on what was left out.

    Attributes:
        predictions: of the images that both the file and the data set have.
        notes: sentences for the reader about rows and images that were left out; empty if the file
            and the data set match.
    """

    predictions: Predictions
    notes: tuple[str, ...]


def write_predictions(predictions: Predictions, path: Path, notes: Sequence[str] = ()) -> None:
    """Write probabilities with nine digits, from which every float32 is read back exactly.

    Notes, such as that the radiographs are synthetic, stand in every row: other programs use the
    file without the run's card.
    """
    frame = pd.DataFrame(predictions.probabilities, columns=pd.Index(predictions.findings))
    frame.insert(0, IMAGE, predictions.image_ids)
    write_csv(with_notes(frame, notes), path, float_format="%.9g")


def write_probabilities(
    predictions: Predictions, raw: Predictions, out: Path, notes: Sequence[str] = ()
) -> None:
    """Write `probabilities.csv`, and `raw_probabilities.csv` if a calibration changed a value."""
    write_predictions(predictions, out / "probabilities.csv", notes)
    if not np.array_equal(predictions.probabilities, raw.probabilities, equal_nan=True):
        write_predictions(raw, out / "raw_probabilities.csv", notes)


def read_predictions(
    path: Path,
    declared: Collection[str] | None = None,
    images: Mapping[str, Path | None] | None = None,
) -> Predictions:
    """Probabilities from a CSV of any tool: column `image`, then one column per finding.

    The results of `cxrloc archive` are read too, of which the raw probabilities are taken. Images
    may be named with their suffix, as in the data set's own tables.

    Args:
        path: the CSV file.
        declared: findings that count beside those of the vocabularies; columns of other names
            (an index, a patient's id) are left out. None for a file of this package: all columns
            are findings.
        images: the images that are known, by id, with their files; the folders in the table's names
            then decide between files of the same name.

    Equal rows count once.

    Raises:
        CxrlocError: a column or a number is missing, no column is a finding, two columns are of
            one finding, or two rows of one image differ; the message names file, row and column.
    """
    if holds_parts(path):
        return _predictions_of_archive(path, images or {})
    hint = "probabilities have a column `image` and one column per finding"
    table = read_table(path, (IMAGE,), hint=hint)
    names = [name for name in table.columns if name not in (IMAGE, NOTE)]
    if declared is None:
        kept = {name: standard_finding(name) for name in names}
    else:
        kept, _ = finding_columns(names, declared)
    if not kept:
        raise CxrlocError(
            f"{path}: none of its columns {_some(names)} is a finding of the data set; name the "
            "columns by their findings, such as Effusion, or declare them with --finding"
        )
    if twice := [finding for finding, n in Counter(kept.values()).items() if n > 1]:
        raise CxrlocError(f"{path}: two columns are of {twice[0]}: keep one")
    for index, cell in enumerate(table.columns[IMAGE]):
        if not cell:
            raise CxrlocError(f"{row_name(table, index)}: it names no image")
    scores = [_numbers(table, name) for name in kept]
    image_ids = _image_ids(table, images or {})
    rows = np.array(scores).T.reshape(-1, len(kept))
    first: dict[str, int] = {}
    for index, image_id in enumerate(image_ids):
        if not np.array_equal(rows[first.setdefault(image_id, index)], rows[index]):
            raise CxrlocError(
                f"{row_name(table, index)}: image {image_id} is there twice, with other numbers "
                f"than in row {table.numbers[first[image_id]]}; keep one row"
            )
    return Predictions(tuple(first), tuple(kept.values()), rows[[*first.values()]])


def _predictions_of_archive(path: Path, images: Mapping[str, Path | None]) -> Predictions:
    rows: dict[str, dict[str, float]] = {}
    known, seen = images_by_stem(images), SeenNames()
    columns = ("uri", "finding", "raw_probability")
    for _, _, (uri, finding, probability) in rows_of_parts(path, "findings", columns):
        image_id = named_or_new_id(str(path), uri, known)
        seen.check(str(path), uri, image_id)
        rows.setdefault(image_id, {})[finding] = probability
    if not rows:
        raise CxrlocError(f"{path}: has no findings of any image")
    findings = tuple(next(iter(rows.values())))
    table = [[row[finding] for finding in findings] for row in rows.values()]
    return Predictions(tuple(rows), findings, np.array(table))


def match_predictions(
    path: Path, records: Sequence[Record], data_name: str, declared: Iterable[str] = ()
) -> Matched:
    """Probabilities from a CSV of any tool, for the images and findings of a data set.

    Args:
        path: the CSV file.
        records: the data set.
        data_name: how messages call the data set.
        declared: findings that count beside those of the vocabularies and of the data set.

    Raises:
        CxrlocError: as `read_predictions`, or the file holds none of the images.
    """
    known = {*declared, *(finding for record in records for finding in record.labels)}
    from_file = read_predictions(path, known, {record.image_id: record.path for record in records})
    names = {record.image_id for record in records}
    predictions = of_images(from_file, names)
    if not predictions.image_ids:
        raise CxrlocError(
            f"{path}: none of its {len(from_file.image_ids)} images is in {data_name}; images are "
            f"named {_some(from_file.image_ids, 1)} there and {_some(sorted(names), 1)} here"
        )
    columns = []
    if not holds_parts(path):
        columns = [name for name in read_table(path, (IMAGE,)).columns if name not in (IMAGE, NOTE)]
    notes = []
    if ignored := finding_columns(columns, known)[1]:
        notes.append(f"{path.name}: left out, because they are no findings: {_some(ignored, 20)}")
    foreign, absent = (
        sorted({*from_file.image_ids} - names),
        sorted(names - {*predictions.image_ids}),
    )
    if foreign or absent:
        shared, every = len({*predictions.image_ids}), len({*from_file.image_ids})
        note = f"{path.name}: {shared} of its {every} images are in the data set, "
        note += f"which has {len(names)}"
        note += f"; only in the file: {_some(foreign, 1)}" if foreign else ""
        notes.append(note + (f"; only in the data set: {_some(absent, 1)}" if absent else ""))
    notes += _no_probabilities(path, predictions)
    return Matched(predictions, tuple(notes))


def _no_probabilities(path: Path, predictions: Predictions) -> list[str]:
    """A note if a score is outside [0, 1], and what is then computed."""
    scores = predictions.probabilities
    if are_probabilities(scores):
        return []
    column = int(np.argmax(np.maximum(scores.max(axis=0) - 1, -scores.min(axis=0))))
    low, high = scores[:, column].min(), scores[:, column].max()
    hint = "; divide percentages by 100" if scores.min() >= 0 and high <= 100 else ""
    return [
        f"{path.name}: {predictions.findings[column]} is from {low:g} to {high:g}, so these scores "
        "are not probabilities: calibration and reliability are left out, and AUC, ranks and "
        f"thresholds are those of the scores{hint}"
    ]


def _image_ids(table: Table, images: Mapping[str, Path | None]) -> list[str]:
    """The image of each row."""
    known, seen = images_by_stem(images), SeenNames()
    image_ids = []
    for index, cell in enumerate(table.columns[IMAGE]):
        where, name = row_name(table, index), from_csv(cell)
        image_ids.append(named_or_new_id(where, name, known))
        seen.check(f"row {table.numbers[index]}", name, image_ids[-1])
    return image_ids


def _numbers(table: Table, column: str) -> Float[np.ndarray, " row"]:
    cells = table.columns[column]
    try:
        numbers = np.array([np.nan if "_" in cell else cell for cell in cells], dtype=float)
    except ValueError:
        numbers = np.full(len(cells), np.nan)
    if np.isfinite(numbers).all():
        return numbers
    # One cell at a time, so that the message names the row.
    return np.array([number_in(row_name(table, i), column, cell) for i, cell in enumerate(cells)])


def _some(names: Sequence[str], most: int = 6) -> str:
    """The first `most` names, quoted."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (", ..." if 1 < most < len(names) else "")
