"""Finds the parts of a report that describe the current examination."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from cxrloc.reports.phrases import lower, read_phrases

KINDS = ("addendum", "diagnosis", "findings", "other")
"""Kinds of headings, the sections of `rules/headings.txt`."""


@cache
def _heading() -> re.Pattern[str]:
    """All headings of `rules/headings.txt`, a group for each of `KINDS`."""
    patterns: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for phrase in read_phrases("headings.txt", KINDS):
        patterns[phrase.section].append(phrase.pattern.replace(" ", r"[ \t]+"))
    kinds = (f"(?P<{kind}>{'|'.join(of_kind)})" for kind, of_kind in patterns.items())
    return re.compile(rf"\b(?=\w)(?:{'|'.join(kinds)})\b")


# In capitals, these are headings anywhere in a text of mixed case ("FINDINGS Clear lungs.").
_BARE = re.compile(
    r"(?:clinical )?(?:history|indications?|information)|findings?|impressions?|conclusions?|"
    r"comparisons?|techniques?|addendum|reason for (?:exam(?:ination)?|study)|recommendations?|"
    r"notifications?|admitting diagnosis|clinical (?:data|details)|end of impression|signed by",
    re.IGNORECASE,
)
# These are headings wherever a colon follows.
_MAIN = re.compile(
    r"(?!clinical).*(?:findings?|impressions?|conclusions?|interpretations?|opinion|addendum)",
    re.IGNORECASE,
)
_AFTER = re.compile(r"[ \t]*(?:\(s\))?[ \t]*(?P<mark>[:=\uff1a]|-+(?=\s)|$|(?=\n))[ \t]*")
_BULLET = re.compile(r"[ \t]*(?:[-*#>\u2022]+|\(?\d{1,2}[.)]|[ivx]+[.)])?[ \t]*")
_NATURAL_END = re.compile(r"\n[ \t]*\n|(?<=[.!?])[ \t]*\n|\n(?=[ \t]*[A-Z])")


class _Part(NamedTuple):
    """A heading's kind (one of `KINDS`) and the text below it."""

    kind: str
    start: int
    text: str


def relevant_text(report: str, headings: Sequence[str] = ()) -> str:
    r"""Findings, impression and addenda of a report; without these, all but its other sections.

    Source: *Wang et al. 2017, section 2.1*. A report with such a heading and nothing under it is
    empty, because its indication ("pneumonia?") says nothing about the image.

    Args:
        report: a text that `clean` has been through.
        headings: only the text under these headings is taken, in any language ("impression"). A
            report without any heading is taken as a whole.

    >>> relevant_text("INDICATION: pneumonia? FINDINGS: Clear lungs. IMPRESSION: Normal.")
    'Clear lungs. \nNormal.'
    >>> relevant_text("HISTORY: Mass.\n\nClear lungs.")
    'Clear lungs.'
    >>> relevant_text("FINDINGS: A nodule. IMPRESSION: Normal.", ["impression"])
    'Normal.'
    """
    if headings:
        return _under(report, headings).strip()
    text, addendum = relevant_parts(report)
    return "\n".join(part for part in (text, addendum) if part).strip()


def relevant_parts(report: str) -> tuple[str, str]:
    r"""Findings and impression of a report, and its addenda, which correct them.

    >>> relevant_parts("IMPRESSION: No mass.\nADDENDUM: There is a mass.")
    ('No mass.\n', 'There is a mass.')
    """
    parts = _parts(report)
    last_findings = max((part.start for part in parts if part.kind == "findings"), default=-1)
    texts = [
        part.text
        for part in parts
        if part.kind == "findings" or (part.kind == "diagnosis" and part.start > last_findings)
    ]
    addenda = [part.text for part in parts if part.kind == "addendum"]
    if not texts:
        texts = list(_unheaded(report, parts))
    return "\n".join(texts), "\n".join(addenda)


def _parts(report: str) -> list[_Part]:
    """The text under each heading, from left to right."""
    found = list(_headings(report))
    ends = [start for _, start, _ in found] + [len(report)]
    return [
        _Part(kind, start, report[after:end])
        for (kind, start, after), end in zip(found, ends[1:], strict=True)
    ]


def _headings(report: str) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of each heading.

    "Comparison: there is a nodule" also occurs inside findings, so a heading ends the findings only
    if it starts its line or stands in capitals.
    """
    for found in _heading().finditer(lower(report)):
        start, end = found.span()
        word, kind = report[start:end], found.lastgroup or "other"
        line = report.rfind("\n", 0, start) + 1
        first = _BULLET.fullmatch(report, line, start) is not None
        after = _AFTER.match(report, end)
        mark = after["mark"] if after else None
        capitals = word.isupper() and _BARE.fullmatch(word) is not None
        if mark in {":", "=", "\uff1a"}:
            is_heading = first or capitals or _MAIN.fullmatch(word) is not None
        elif mark == "":
            is_heading = first and word[0].isupper()
        else:
            is_heading = (mark is not None and first and word[0].isupper()) or (
                capitals and not _shouted(report, start, end)
            )
        if is_heading:
            yield kind, start, after.end() if after else end


def _shouted(report: str, start: int, end: int) -> bool:
    """Whether a word in capitals stands among others in capitals ("NO ACUTE FINDINGS")."""
    around = report[max(0, start - 500) : end + 500]
    if sum(map(str.islower, around)) < 0.3 * len(around):
        return True
    before = re.search(r"([\w'-]+)[ \t]*$", report[max(0, start - 40) : start])
    behind = re.match(r"[ \t]*([\w'-]+)", report[end : end + 40])
    return any(
        word is not None and len(word[1]) > 1 and word[1].isupper() for word in (before, behind)
    )


def _unheaded(report: str, parts: Sequence[_Part]) -> Iterator[str]:
    """The text under no heading: before the first heading, and after the end of a section.

    A section that is not to be read ends at an empty line, else at the end of a line that ends a
    sentence, else after its first sentence.
    """
    yield report[: parts[0].start] if parts else report
    for part in parts:
        if part.kind == "other":
            text = part.text.strip()
            end = _NATURAL_END.search(text) or re.search(r"[.!?]\s+", text)
            yield text[end.end() :] if end else ""


def _under(report: str, headings: Sequence[str]) -> str:
    """The text under some headings of any language, up to the next line that has a heading."""
    names = "|".join(map(re.escape, sorted(headings, key=len, reverse=True)))
    wanted = re.compile(
        rf"(?:^|\n|(?<=[.\u3002]))\s*(?:{names})\s*(?:[:\uff1a]|\n|-\s)", re.IGNORECASE
    )
    other = re.compile(
        r"(?:^|\n|(?<=[.\u3002]))\s*[^\W\d][^\n.:\uff1a\u3002,\uff0c]{0,40}[:\uff1a]"
    )
    found = list(wanted.finditer(report))
    starts = [match.start() for match in other.finditer(report)]
    starts += [start for _, start, _ in _headings(report)] if starts or found else []
    if not found:
        return "" if starts or any(_headings(report)) else report
    return "\n".join(
        report[one.end() : min((s for s in starts if s >= one.end()), default=len(report))]
        for one in found
    )
