"""Radiologists' readings of the units that a classifier is judged on.

A CSV with the columns `reader`, one of `image`, `study`, `patient` (the unit that is scored), and
one column per finding: 1 (calls it present), 0 (calls it absent) or blank (did not read it).

    reader,study,Edema,Atelectasis
    first,patient64741_study1,1,0
    second,patient64741_study1,0,
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from cxrloc.evaluation.classification.ranking import points_under_roc, reader_points, roc
from cxrloc.evaluation.classification.units import ScoredUnits
from cxrloc.types import CxrlocError

UNITS = ("image", "study", "patient")


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What readers called: 1 present, 0 absent, NaN not read.

    `unit` is "image", "study" or "patient"; the other names are those of the axes of `calls`.
    """

    unit: str
    readers: tuple[str, ...]
    unit_ids: tuple[str, ...]
    findings: tuple[str, ...]
    calls: Float[np.ndarray, "reader unit finding"]


@dataclass(frozen=True, slots=True)
class ReaderPoint:
    """A reader's operating point for one finding: a row of `readers.csv`.

    Attributes:
        reader: as in the file.
        finding: the finding.
        false_positive_rate: of the units that this reader read.
        sensitivity: likewise.
        under_curve: the point lies strictly below the classifier's ROC curve on those units.
        n: units read, whose truth is known.
        positives: those of them with the finding.
    """

    reader: str
    finding: str
    false_positive_rate: float
    sensitivity: float
    under_curve: bool
    n: int
    positives: int


def read_readings(path: Path) -> Readings:
    """Readings from a CSV.

    Raises:
        CxrlocError: a column is missing, a cell is not 1, 0 or blank, or a reader reads twice.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise CxrlocError(f"{path}: cannot be read as CSV ({error})") from error
    units = [name for name in UNITS if name in table.columns]
    findings = [str(name) for name in table.columns if name not in ("reader", *UNITS)]
    if "reader" not in table.columns or len(units) != 1 or not findings:
        raise CxrlocError(
            f"{path}: needs a column `reader`, one of {', '.join(UNITS)}, and one per finding"
        )
    calls = table[findings].replace({"": "nan", "1.0": "1", "0.0": "0"})
    if (wrong := ~calls.isin(["1", "0", "nan"])).to_numpy().any():
        row, column = np.argwhere(wrong.to_numpy())[0]
        raise CxrlocError(
            f"{path}, row {row + 2}: {findings[column]} is {table[findings].iat[row, column]!r}; "
            "it is 1, 0 or blank"
        )
    twice = table.duplicated(["reader", units[0]])
    if twice.any():
        raise CxrlocError(f"{path}, row {int(twice.argmax()) + 2}: read twice by one reader")
    readers, reader = np.unique(table["reader"], return_inverse=True)
    unit_ids, unit = np.unique(table[units[0]], return_inverse=True)
    placed = np.full((readers.size, unit_ids.size, len(findings)), np.nan)
    placed[reader, unit] = calls.to_numpy(dtype=float)
    return Readings(units[0], tuple(readers), tuple(unit_ids), tuple(findings), placed)


def score_readers(units: ScoredUnits, readings: Readings) -> list[ReaderPoint]:
    """Every reader's point for every finding, against the curve on the units that they read.

    Source: Pham et al. 2019, section 4.6. A finding whose units, as this reader read them, have
    one class only has no point.

    Raises:
        CxrlocError: the readings are of other units than the scores, or of none of them.
    """
    if readings.unit != units.unit:
        raise CxrlocError(
            f"the readings are by {readings.unit} and the scores by {units.unit}: use "
            f"--by {readings.unit}"
        )
    place = {unit_id: index for index, unit_id in enumerate(units.unit_ids)}
    kept = [index for index, unit_id in enumerate(readings.unit_ids) if unit_id in place]
    scored = np.array([place[readings.unit_ids[index]] for index in kept], dtype=int)
    points = [
        _point(units, (scored, finding), reader, readings.calls[index, kept, column])
        for finding in units.findings
        if finding in readings.findings
        for column in [readings.findings.index(finding)]
        for index, reader in enumerate(readings.readers)
    ]
    found = [point for point in points if point is not None]
    if not found:
        raise CxrlocError("none of the readings is of a finding and of units that are scored")
    return found


def _point(
    units: ScoredUnits,
    where: tuple[Int[np.ndarray, " row"], str],
    reader: str,
    calls: Float[np.ndarray, " row"],
) -> ReaderPoint | None:
    """A reader's point from calls on these rows of one finding; None with one class."""
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
        under_curve=below,
        n=truth.size,
        positives=int(truth.sum()),
    )


def readers_below(points: Sequence[ReaderPoint]) -> tuple[float, float]:
    """Readers below the curve, and readers, averaged over findings.

    Source: Pham et al. 2019, section 4.6 ("on average better than 2.6 out of 3").

    >>> edema = [ReaderPoint(r, "Edema", 0.1, 0.5, r == "a", 9, 4) for r in "ab"]
    >>> mass = [ReaderPoint(r, "Mass", 0.1, 0.5, True, 9, 4) for r in "ab"]
    >>> readers_below([*edema, *mass])
    (1.5, 2.0)
    """
    findings = len({point.finding for point in points})
    return sum(point.under_curve for point in points) / findings, len(points) / findings
