"""Converts tables to data frames; in a module of its own, because pandas takes long to import."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxrloc.files.tables import Table


def frame_of(table: Table, text: Sequence[str] = ()) -> pd.DataFrame:
    """The table as a frame, with numbers where all cells of a column are numbers or blank.

    Args:
        table: from `read_table`.
        text: columns that stay text, such as ids.
    """
    data = {
        name: list(cells) if name in text else _typed(cells)
        for name, cells in table.columns.items()
    }
    return pd.DataFrame(data, columns=pd.Index(list(table.columns)))


def _typed(cells: Sequence[str]) -> Any:
    """Whole numbers, numbers, truth values, or text with NaN for blank cells."""
    if cells and all(cell in ("True", "False") for cell in cells):
        return np.array([cell == "True" for cell in cells])
    for kind in (int, float):
        try:
            return np.array([kind(cell) if cell or kind is int else math.nan for cell in cells])
        except (ValueError, OverflowError):
            continue
    return [cell or math.nan for cell in cells]
