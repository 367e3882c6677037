r"""Writes a data frame as LaTeX tables that fit into an article of two columns.

Each table is a float of its own with its notes below it: `table` if it fits into a column, else
`table*`. A table that is wider or longer than a page is split into parts. Widths are estimated from
the letters of Computer Modern at `\footnotesize`, on the safe side.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pandas as pd

from cxrloc.files.table_writer import in_words, numeric_columns
from cxrloc.text import for_latex

PACKAGES = r"% Needs \usepackage{booktabs}."
"""What a document needs, as the first line of a file of tables."""

_COLUMN_PT, _TEXT_PT = 229.0, 469.0  # of article, 10 pt, twocolumn
_GAP_PT = 6.0  # between two columns of a table: twice \tabcolsep
_MOST_CELL_PT = 130.0  # a wider cell is broken into lines
_MOST_ROWS = 36
_LETTER_PT = {
    **dict.fromkeys("ijl.,:;'|", 2.5),
    **dict.fromkeys("cefrstz()[]-/ ", 3.9),
    **dict.fromkeys("mwMW%+=<>@", 7.8),
}
_SMALL_PT, _CAPITAL_PT = 4.75, 6.6  # all other letters


def latex_tables(
    frame: pd.DataFrame, caption: str, notes: Sequence[str] = (), keys: int | None = None
) -> str:
    r"""The frame as one or more floats with the rules of the package booktabs; text is escaped.

    Underscores become spaces, and "0.1 to 0.2" is written with a dash.

    Args:
        frame: the table. Rows whose first cell is empty stay with the row above them.
        caption: one sentence.
        notes: sentences below the table; if it is divided into parts, below the last part.
        keys: the number of first columns that every part repeats; None: the first columns of text.

    >>> frame = pd.DataFrame({"finding": ["Mass & more"], "n": [3]})
    >>> print(latex_tables(frame, "Counts.", ["Few."]))
    \begin{table}
    \centering\footnotesize\setlength{\tabcolsep}{3pt}
    \caption{Counts.}
    \begin{tabular}{lr}
    \toprule
    finding & n \\
    \midrule
    Mass \& more & 3 \\
    \bottomrule
    \end{tabular}
    \par\smallskip\parbox{\linewidth}{\scriptsize Few.}
    \end{table}
    <BLANKLINE>
    """
    right = numeric_columns(frame)
    if keys is None:
        kinds = [pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
        keys = max(1, kinds.index(True) if True in kinds else 1)
    words = in_words(frame).map(_printed).rename(columns=_printed)
    cells = [max(map(_width, words.iloc[:, k]), default=0.0) for k in range(len(right))]
    heads = [_heading(name, cell) for name, cell in zip(words.columns, cells, strict=True)]
    widths = [
        min(max(cell, *map(_width, head)), max(_MOST_CELL_PT, *map(_width, head)))
        for cell, head in zip(cells, heads, strict=True)
    ]
    parts = [
        (rows, columns)
        for rows in _row_parts(words)
        for columns in _column_parts(widths, keys, _TEXT_PT)
    ]
    floats = []
    for number, (rows, columns) in enumerate(parts, 1):
        part = f" Part {number} of {len(parts)}." if len(parts) > 1 else ""
        wide = sum(widths[k] + _GAP_PT for k in columns) > _COLUMN_PT
        sides = [
            f"p{{{_MOST_CELL_PT:g}pt}}" if cells[k] > _MOST_CELL_PT else "lr"[right[k]]
            for k in columns
        ]
        body = _tabular(words.iloc[list(rows), columns], [heads[k] for k in columns], sides)
        sentences = " ".join(map(for_latex, notes)) if number == len(parts) else ""
        name = "table*" if wide else "table"
        lines = [
            f"\\begin{{{name}}}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            f"\\caption{{{for_latex(caption + part)}}}",
            *body,
            *(
                [f"\\par\\smallskip\\parbox{{\\linewidth}}{{\\scriptsize {sentences}}}"]
                if sentences
                else []
            ),
            f"\\end{{{name}}}",
        ]
        floats.append("\n".join([*lines, ""]))
    return "\n".join(floats)


def _tabular(words: pd.DataFrame, heads: list[list[str]], sides: list[str]) -> Iterator[str]:
    """The lines of a tabular; a small gap stands before each group of rows."""
    yield f"\\begin{{tabular}}{{{''.join(sides)}}}"
    yield r"\toprule"
    stacks = [_stacked(head, side) for head, side in zip(heads, sides, strict=True)]
    yield f"{' & '.join(stacks)} \\\\"
    yield r"\midrule"
    grouped = (words.iloc[:, 0] == "").any()
    for number, row in enumerate(words.itertuples(index=False)):
        if grouped and number and row[0]:
            yield r"\addlinespace[2pt]"
        yield f"{' & '.join(map(for_latex, row))} \\\\"
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _stacked(lines: list[str], side: str) -> str:
    """A heading in LaTeX; of several lines, the last one stands on the baseline."""
    if len(lines) == 1:
        return for_latex(lines[0])
    inside = r" \\ ".join(map(for_latex, lines))
    return (
        f"\\begin{{tabular}}[b]{{@{{}}{side[:1].replace('p', 'l')}@{{}}}}{inside}\\end{{tabular}}"
    )


def _heading(name: str, room: float) -> list[str]:
    """The lines of a heading, broken so that it is not wider than its column unless one word is."""
    room = max([room, *map(_width, name.split())])
    lines: list[str] = []
    for word in name.split():
        if lines and _width(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _row_parts(words: pd.DataFrame) -> list[range]:
    """The rows of each part; the parts are as equal as the groups of rows allow."""
    starts = [k for k, cell in enumerate(words.iloc[:, 0]) if cell or not k]
    count = -(-len(words) // _MOST_ROWS) or 1
    wished = [len(words) * k / count for k in range(1, count)]
    cuts = sorted({min(starts, key=lambda start: abs(start - wish)) for wish in wished})
    ends = [0, *(cut for cut in cuts if cut), len(words)]
    return [range(a, b) for a, b in pairwise(ends)]


def _column_parts(widths: list[float], keys: int, room: float) -> list[list[int]]:
    """The columns of each part: the key columns, and as many other columns as fit."""
    first = list(range(keys))
    parts = [list(first)]
    for column in range(keys, len(widths)):
        width = sum(widths[k] + _GAP_PT for k in parts[-1])
        if len(parts[-1]) > keys and width + widths[column] + _GAP_PT > room:
            parts.append(list(first))
        parts[-1].append(column)
    return parts


def _printed(cell: str) -> str:
    """A cell as it stands in print: without underscores, an interval of positive numbers short."""
    cell = cell.replace("_", " ")
    return cell if "-" in cell else re.sub(r"(?<=\d) to (?=\d)", "--", cell)


def _width(text: str) -> float:
    """An upper estimate of the width of a line of text, in points."""
    return sum(
        _LETTER_PT.get(letter, _CAPITAL_PT if letter.isupper() else _SMALL_PT) for letter in text
    )
