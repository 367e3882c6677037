"""Tables of CheXpert's 14 observations, as CheXpert and MIMIC-CXR publish them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cxrloc.findings import CHEXPERT14, standard_finding
from cxrloc.types import CxrlocError, Label

_LABELS = {"1": Label.POSITIVE, "0": Label.NEGATIVE, "-1": Label.UNCERTAIN, "": None}
_LABELS |= {f"{number}.0": label for number, label in _LABELS.items() if number}


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """All cells as text, empty where blank; `.gz` is unpacked while reading.

    Raises:
        CxrlocError: the file cannot be read, or lacks one of the columns.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (OSError, ValueError, EOFError) as error:
        raise CxrlocError(f"{path} cannot be read as CSV: {error}") from error
    if missing := [name for name in columns if name not in table.columns]:
        raise CxrlocError(
            f"{path}, row 1: no column {', '.join(missing)}; the published file has "
            f"{', '.join(columns)}"
        )
    return table


def observation_labels(path: Path, table: pd.DataFrame) -> list[dict[str, Label]]:
    """Labels per row: 1, 0, -1 (uncertain); a blank cell is "not mentioned" and has no label.

    Findings are named as in all data sets: `Pleural Effusion` is Effusion.

    Args:
        path: of the table, for errors.
        table: columns named as `CHEXPERT14`; those that are missing have no label.

    Raises:
        CxrlocError: another value (row and column named).

    >>> table = pd.DataFrame({"Edema": ["1.0", ""], "Fracture": ["-1.0", "0"]})
    >>> observation_labels(Path("train.csv"), table)
    [{'Edema': <Label.POSITIVE: 1>, 'Fracture': <Label.UNCERTAIN: -1>},
     {'Fracture': <Label.NEGATIVE: 0>}]
    """
    labels: list[dict[str, Label]] = [{} for _ in range(len(table))]
    for finding in (name for name in CHEXPERT14 if name in table.columns):
        for row, cell in enumerate(table[finding].tolist()):
            if cell not in _LABELS:
                raise CxrlocError(
                    f"{path}, row {row + 2}: {finding} is {cell!r}; it is 1, 0, -1 or blank"
                )
            if (label := _LABELS[cell]) is not None:
                labels[row][standard_finding(finding)] = label
    return labels


def table_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """The rows of `read_table`, cells by column name."""
    names = [str(name) for name in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.itertuples(index=False, name=None)]
