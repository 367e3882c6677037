"""Rows of printed tables, in Markdown and in LaTeX."""

from collections.abc import Sequence


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table.

    >>> markdown_row(["Mass", "0.5"])
    '| Mass | 0.5 |'
    """
    return f"| {' | '.join(cells)} |"


def latex_row(cells: Sequence[str]) -> str:
    r"""A row of a LaTeX tabular; what LaTeX would read as a command is escaped.

    >>> print(latex_row(["prior_mean", "95 %"]))
    prior\_mean & 95 \% \\
    """
    escaped = list(cells)
    for character in "&%_#$":
        escaped = [cell.replace(character, rf"\{character}") for cell in escaped]
    return " & ".join(escaped) + r" \\"
