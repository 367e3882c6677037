"""Makes text from a file or a user's option safe for the place where it is shown.

A patient's file may hold any text: a line break, a control sequence that recolours or clears a
terminal, or a formula that a spreadsheet runs. Each kind of output has one function here.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

MESSAGE_CHARACTERS = 600

# Control characters (Cc) except tab and line feed, line and paragraph separators (Zl, Zp), and the
# characters that change the direction of writing, which can make a name look like another one.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    **{character: rf"\{character}" for character in "&%_#${}"},
}


def one_line(text: str, limit: int = MESSAGE_CHARACTERS) -> str:
    r"""The text as one line of at most `limit` characters, without control characters.

    >>> one_line("a name\nof two lines\x1b[2J"), one_line("long" * 9, limit=10)
    ('a name of two lines\\x1b[2J', 'longlon...')
    """
    line = " ".join(for_terminal(text[: 4 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def for_terminal(text: str) -> str:
    r"""The text with every control character but tab and line feed written as an escape.

    >>> for_terminal("Mass\x1b[31m\x07")
    'Mass\\x1b[31m\\x07'
    """
    if text.isascii() and text.isprintable():  # nearly always, and fast to tell
        return text
    return "".join(
        _escape(character)
        if unicodedata.category(character) in _HIDDEN and character not in "\t\n"
        else character
        for character in text
    )


def for_csv(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula: an apostrophe is put before it.

    A number keeps its sign. The rule is that of OWASP, "CSV Injection".

    >>> for_csv("=1+2"), for_csv("-0.5"), for_csv("Mass")
    ("'=1+2", '-0.5', 'Mass')
    """
    text = for_terminal(text)
    if text.startswith(("=", "+", "-", "@", "\t")) and not _is_number(text):
        return f"'{text}"
    return text


def from_csv(cell: str) -> str:
    """The original text of a cell that `for_csv` wrote.

    >>> from_csv("'=1+2"), from_csv("'quoted'")
    ('=1+2', "'quoted'")
    """
    return cell[1:] if cell[:1] == "'" and for_csv(cell[1:]) == cell else cell


def for_latex(text: str) -> str:
    r"""The text with everything escaped that LaTeX would read as a command.

    >>> print(for_latex("prior_mean 95 %"))
    prior\_mean 95 \%
    """
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def for_markdown(text: str) -> str:
    r"""The text as a cell of a Markdown table: no bar ends the cell, no tag or link begins.

    >>> print(for_markdown("a|b <i>"))
    a\|b &lt;i>
    """
    return re.sub(r"([\\`*|\[\]])", r"\\\1", one_line(text)).replace("<", "&lt;")


def _escape(character: str) -> str:
    r"""A character as an ASCII escape, such as `\x1b`."""
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def warnings_with_counts(warnings: Mapping[str, int]) -> list[str]:
    """Each warning with the number of images that it was given for.

    >>> warnings_with_counts({"inverted": 1, "cut": 2})
    ['inverted (1 image)', 'cut (2 images)']
    """
    return [f"{text} ({n} image{'s' * (n != 1)})" for text, n in warnings.items()]


def did_you_mean(name: str, known: Iterable[str], most: int = 3) -> str:
    """A hint for an error, in brackets: up to `most` names that are similar; empty if none is.

    >>> did_you_mean("resnet5", ["resnet50", "vgg16"])
    ' (did you mean resnet50?)'
    """
    similar = get_close_matches(name, list(known), n=most)
    return f" (did you mean {', '.join(similar)}?)" if similar else ""
