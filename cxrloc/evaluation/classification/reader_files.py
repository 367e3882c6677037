"""Files with radiologists' readings of the units on which a classifier is scored.

A CSV with the columns `reader`, one of `image`, `study`, `patient` (the unit that is scored), and
one column per finding: 1 (calls it present), 0 (calls it absent) or blank (did not read it).

    reader,study,Edema,Atelectasis
    first,patient64741_study1,1,0
    second,patient64741_study1,0,
"""

from collections import Counter
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from cxrloc.datasets.image_files import image_id_of, joined_among
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.classification.ranking import points_under_roc, reader_points, roc
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.files.tables import is_blank, read_table, row_name
from cxrloc.findings import finding_columns

UNITS = ("image", "study", "patient")
_CALLS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """The findings that readers called, row by row of the file.

    Attributes:
        unit: "image", "study" or "patient".
        rows: file and row of each row, for messages.
        readers: the reader of each row.
        unit_ids: the unit of each row, as the file names it.
        findings: columns of `calls`.
        calls: 1 present, 0 absent, NaN not read.
        left_out: columns of the file that are no findings.
    """

    unit: str
    rows: tuple[str, ...]
    readers: tuple[str, ...]
    unit_ids: tuple[str, ...]
    findings: tuple[str, ...]
    calls: Float[np.ndarray, "row finding"]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReaderPoint:
    """A reader's operating point for one finding: a row of `readers.csv`.

    Attributes:
        reader: as in the file.
        finding: the finding.
        false_positive_rate: on the units that this reader read.
        sensitivity: on the same units.
        auc: area under the curve through this one point, (1 + sensitivity - false positive rate) /
            2: the area under the two straight lines that join it to the corners of the ROC plot.
        under_curve: the point lies strictly below the classifier's ROC curve on those units.
        n: units read, whose truth is known.
        positives: those of them with the finding.
    """

    reader: str
    finding: str
    false_positive_rate: float
    sensitivity: float
    auc: float
    under_curve: bool
    n: int
    positives: int


def read_readings(path: Path, declared: Collection[str] = ()) -> Readings:
    """Readings from a CSV.

    Args:
        path: the file.
        declared: findings beside the known ones.

    Raises:
        CxrlocError: a column is missing, two columns are of one finding, a cell is not 1, 0 or
            blank, or one reader reads a unit twice.
    """
    hint = f"it needs a column `reader`, one of {', '.join(UNITS)}, and one column per finding"
    table = read_table(path, ("reader",), UNITS, hint)
    units = [name for name in UNITS if name in table.columns]
    names = [name for name in table.columns if name not in ("reader", *UNITS)]
    kept, others = finding_columns(names, declared)
    if len(units) != 1 or not kept:
        raise CxrlocError(f"{path}: {hint}")
    if twice := [finding for finding, n in Counter(kept.values()).items() if n > 1]:
        raise CxrlocError(f"{path}: two columns are of {twice[0]}: keep one")
    readers, unit_ids = tuple(table.columns["reader"]), tuple(table.columns[units[0]])
    calls = np.full((len(readers), len(kept)), np.nan)
    for column, name in enumerate(kept):
        for index, cell in enumerate(table.columns[name]):
            if is_blank(cell):
                continue
            if cell not in _CALLS:
                raise CxrlocError(
                    f"{row_name(table, index)}: {name} is {cell!r}; it is 1, 0 or blank"
                )
            calls[index, column] = _CALLS[cell]
    rows = tuple(row_name(table, index) for index in range(len(readers)))
    findings = tuple(kept.values())
    readings = Readings(units[0], rows, readers, unit_ids, findings, calls, tuple(others))
    _refuse_read_twice(readings, unit_ids)
    return readings


def _refuse_read_twice(readings: Readings, unit_ids: Sequence[str]) -> None:
    """Raise an error if one reader has two rows of a unit; `unit_ids` are the units of the rows."""
    first: dict[tuple[str, str], int] = {}
    for index, pair in enumerate(zip(readings.readers, unit_ids, strict=True)):
        if (before := first.setdefault(pair, index)) != index:
            raise CxrlocError(
                f"{readings.rows[index]}: {readings.unit_ids[index]} is read twice by {pair[0]}: "
                f"it is {readings.unit_ids[before]} in {readings.rows[before]}"
            )


def readings_notes(readings: Readings | None) -> list[str]:
    """A note that names the columns of the file that were left out, if there are any."""
    if readings is None or not readings.left_out:
        return []
    return [f"readings: left out, because they are no findings: {', '.join(readings.left_out)}"]


def score_readers(units: ScoredUnits, readings: Readings) -> list[ReaderPoint]:
    """Every reader's point for every finding, compared with the ROC curve on the same units.

    Source: Pham et al. 2019, section 4.6. A reader has no point for a finding if the units that the
    reader read have only one class.

    Raises:
        CxrlocError: the readings are of other units than the scores, or of none of them, or one
            reader reads a unit twice, under two names.
    """
    if readings.unit != units.unit:
        raise CxrlocError(
            f"the readings are by {readings.unit} and the scores by {units.unit}: use "
            f"--by {readings.unit}"
        )
    place = {unit_id: index for index, unit_id in enumerate(units.unit_ids)}
    unit_ids = [_scored_id(name, place) or name for name in readings.unit_ids]
    _refuse_read_twice(readings, unit_ids)
    rows_of: dict[str, list[int]] = {reader: [] for reader in sorted(readings.readers)}
    for row, (reader, unit_id) in enumerate(zip(readings.readers, unit_ids, strict=True)):
        if unit_id in place:
            rows_of[reader].append(row)
    points = [
        _point(units, (scored, finding), reader, readings.calls[rows, column])
        for finding in units.findings
        if finding in readings.findings
        for column in [readings.findings.index(finding)]
        for reader, rows in rows_of.items()
        for scored in [np.array([place[unit_ids[row]] for row in rows], dtype=int)]
    ]
    found = [point for point in points if point is not None]
    if not found:
        raise CxrlocError("none of the readings is of a finding and of units that are scored")
    return found


def _scored_id(name: str, scored: Container[str]) -> str | None:
    """The scored unit that a file names by its id, its file name or its path; None without one."""
    exact = next((each for each in (name, image_id_of(name)) if each in scored), None)
    return exact or joined_among(name, scored)


def _point(
    units: ScoredUnits,
    where: tuple[Int[np.ndarray, " row"], str],
    reader: str,
    calls: Float[np.ndarray, " row"],
) -> ReaderPoint | None:
    """A reader's point from the calls on these rows of one finding; None with one class only."""
    rows, finding = where
    column = units.findings.index(finding)
    read = units.known[rows, column] & ~np.isnan(calls)
    truth, scores = units.truth[rows[read], column], units.scores[rows[read], column]
    if (curve := roc(truth, scores)) is None:
        return None
    away, sensitivity = reader_points(truth, calls[None, read] == 1)
    (below,) = points_under_roc(curve, away, sensitivity).tolist()
    return ReaderPoint(
        reader=reader,
        finding=finding,
        false_positive_rate=away.item(),
        sensitivity=sensitivity.item(),
        auc=(1 + sensitivity.item() - away.item()) / 2,
        under_curve=below,
        n=truth.size,
        positives=int(truth.sum()),
    )


def readers_below(points: Sequence[ReaderPoint]) -> tuple[float, float]:
    """The number of readers below the curve and the number of readers, averaged over findings.

    Source: Pham et al. 2019, section 4.6 ("on average better than 2.6 out of 3").

    >>> edema = [ReaderPoint(r, "Edema", 0.1, 0.5, 0.7, r == "a", 9, 4) for r in "ab"]
    >>> mass = [ReaderPoint(r, "Mass", 0.1, 0.5, 0.7, True, 9, 4) for r in "ab"]
    >>> readers_below([*edema, *mass])
    (1.5, 2.0)
    """
    findings = len({point.finding for point in points})
    return sum(point.under_curve for point in points) / findings, len(points) / findings


def describe_readers(points: Sequence[ReaderPoint]) -> dict[str, float] | None:
    """The readers' part of a run card; None without readers."""
    if not points:
        return None
    below, readers = readers_below(points)
    areas = [point.auc for point in points]
    return {
        "mean_under_curve": below,
        "mean_readers": readers,
        "mean_auc": sum(areas) / len(areas),
    }
