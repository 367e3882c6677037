"""Writes a data frame as CSV, Markdown, or a table for the terminal; `latex.py` as LaTeX.

CSV holds the numbers in full, for other programs. The others are for readers: a number has four
significant digits, and a missing value is an empty cell.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cxrloc.files.whole import whole_file
from cxrloc.text import for_csv, for_markdown, for_terminal

if TYPE_CHECKING:
    from rich.table import Table


def write_csv(frame: pd.DataFrame, path: Path, float_format: str | None = "%.6g") -> None:
    """Write a frame as a whole CSV file without its index.

    Args:
        frame: the table.
        path: the file.
        float_format: how numbers with a fraction are written; None writes every digit.
    """
    safe = frame.rename(columns=lambda name: for_csv(str(name)))
    for position, kind in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            column = frame.iloc[:, position]
            safe.isetitem(position, [for_csv(c) if isinstance(c, str) else c for c in column])
    text = io.StringIO()
    safe.to_csv(text, index=False, float_format=float_format, lineterminator="\n")
    with whole_file(path) as part:
        part.write_text(text.getvalue(), encoding="utf-8", newline="")


def with_notes(frame: pd.DataFrame, notes: Sequence[str]) -> pd.DataFrame:
    """The frame with these sentences in the column `note` of every row, before an existing note.

    A table is often copied without the page that explains it, so a note about all of its
    numbers is written into every row. Without notes the frame stays as it is.

    >>> with_notes(pd.DataFrame({"finding": ["Mass"], "note": ["few"]}), ["synthetic"])["note"][0]
    'synthetic; few'
    """
    if not notes:
        return frame
    row_notes = frame["note"] if "note" in frame.columns else [""] * len(frame)
    joined = [
        "; ".join([*notes, *([note] if isinstance(note, str) and note else [])])
        for note in row_notes
    ]
    return frame.assign(note=joined)


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every cell as a reader sees it: four significant digits, missing is empty.

    >>> in_words(pd.DataFrame({"auc": [0.71239, None]}))["auc"].tolist()
    ['0.7124', '']
    """
    cells = [[_in_words(value) for value in row] for row in frame.itertuples(index=False)]
    names = pd.Index([str(name) for name in frame.columns])
    return pd.DataFrame(cells, columns=names, dtype=object)


def markdown_table(frame: pd.DataFrame) -> str:
    """The frame as a Markdown table; numbers stand to the right.

    >>> print(markdown_table(pd.DataFrame({"finding": ["Mass"], "n": [3]})))
    | finding   |   n |
    |:----------|----:|
    | Mass      |   3 |
    <BLANKLINE>
    """
    words = in_words(frame).map(for_markdown).rename(columns=for_markdown)
    sides = ["right" if right else "left" for right in numeric_columns(frame)]
    # Without `disable_numparse`, the package tabulate would format the numbers again.
    return f"{words.to_markdown(index=False, disable_numparse=True, colalign=sides)}\n"


def terminal_table(frame: pd.DataFrame) -> "Table":
    """The frame as a table that `rich` prints; numbers stand to the right."""
    from rich import box as lines
    from rich.table import Table
    from rich.text import Text

    words = in_words(frame)
    table = Table(box=lines.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for position, (name, right) in enumerate(
        zip(words.columns, numeric_columns(frame), strict=True)
    ):
        table.add_column(
            Text(for_terminal(name)),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=not position,
        )
    for row in words.itertuples(index=False):
        # `Text` keeps rich from reading brackets in a cell as markup.
        table.add_row(*(Text(for_terminal(cell)) for cell in row))
    return table


def _in_words(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def numeric_columns(frame: pd.DataFrame) -> list[bool]:
    """Whether each column is aligned to the right: all but the first, if it holds text."""
    return [
        position > 0 or pd.api.types.is_numeric_dtype(kind)
        for position, kind in enumerate(frame.dtypes)
    ]
