"""Report text in which the mined keywords stand out, in lines that are measured to fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.patches import Rectangle as Frame

from cxrloc.panels.lettering import SMALL, line_mm, text_mm, wrapped
from cxrloc.panels.plots import GREY
from cxrloc.panels.sheet import Sheet, write
from cxrloc.types import Label


class Keyword(NamedTuple):
    """A keyword: its characters from `start` up to, not with, `end`, and its label."""

    start: int
    end: int
    label: Label


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and its keywords."""

    text: str
    keywords: tuple[Keyword, ...] = ()


MARKS: dict[Label, tuple[str, dict[str, Any]]] = {
    Label.POSITIVE: ("present", {"facecolor": "C4", "alpha": 0.45, "linewidth": 0}),
    Label.NEGATIVE: ("denied", {"fill": False, "edgecolor": GREY, "linewidth": 0.6}),
    Label.UNCERTAIN: (
        "uncertain",
        {"fill": False, "edgecolor": "C1", "linewidth": 0.7, "linestyle": (0, (2, 1.2))},
    ),
}
"""For each label its name in the key, and how the background of its keywords looks."""


def marked_text(text: str, mentions: pd.DataFrame | None) -> Marked:
    """A report with its mentions marked; without a report, the sentences of the mentions.

    Args:
        text: of the report; empty: only the mined sentences are known.
        mentions: rows of `cxrloc label --explain`; None: nothing was mined.

    >>> rows = pd.DataFrame(
    ...     {"sentence": ["No mass."], "start": [3], "end": [7], "label": [0], "phrase": ["mass"]}
    ... )
    >>> marked_text("Stable. No mass.", rows).keywords[0][:2]
    (11, 15)
    """
    if mentions is None or mentions.empty:
        return Marked(text)
    if not text:
        text = " ".join(dict.fromkeys(mentions["sentence"]))
    plain = " ".join(text.split())
    keywords = set()
    for row in mentions.itertuples():
        sentence = " ".join(str(row.sentence).split())
        at = plain.lower().find(sentence.lower())
        start = int(str(row.start)) + max(at, 0)
        if at < 0:  # the labeler replaces some characters, so its sentence may not be in the text
            start = plain.lower().find(str(row.phrase).lower())
        if start >= 0:
            length = int(str(row.end)) - int(str(row.start))
            keywords.add(Keyword(start, start + length, Label(int(str(row.label)))))
    return Marked(plain, tuple(sorted(keywords)))


def text_height(marked: Marked, width_mm: float) -> float:
    """Height of what `write_marked` writes."""
    return len(wrapped(marked.text, width_mm)) * line_mm() * 1.12


def write_marked(sheet: Sheet, at: tuple[float, float], marked: Marked, width_mm: float) -> None:
    """Write text in lines of this width, from an upper left corner, with marked keywords."""
    x, y = at
    place = 0
    for number, line in enumerate(wrapped(marked.text, width_mm)):
        foot = y + (number * 1.12 + 0.8) * line_mm()
        start = marked.text.index(line, place)
        place = start + len(line)
        for keyword in marked.keywords:
            first, last = max(keyword.start, start), min(keyword.end, place)
            if first < last:
                left = x + text_mm(line[: first - start])
                width = text_mm(line[: last - start]) - text_mm(line[: first - start])
                _mark(sheet, (left, foot), width, keyword.label)
        write(sheet, (x, foot), line, va="baseline")


def write_mark_key(sheet: Sheet, at: tuple[float, float], labels: Sequence[Label]) -> None:
    """Write what the marks mean, in one line with its baseline at y."""
    x, foot = at
    for label in labels:
        words = MARKS[label][0]
        _mark(sheet, (x, foot), text_mm(words), label)
        write(sheet, (x, foot), words, SMALL, va="baseline")
        x += text_mm(words) + 3


def _mark(sheet: Sheet, at: tuple[float, float], width: float, label: Label) -> None:
    x, foot = at
    corner = (x - 0.25, foot - 0.82 * line_mm())
    sheet.canvas.add_patch(Frame(corner, width + 0.5, 1.08 * line_mm(), **MARKS[label][1]))
