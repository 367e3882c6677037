"""The part of a report that speaks of this examination, and its sentences."""

import html
import re
from collections.abc import Iterator

_WANTED = r"findings?|impressions?|conclusions?|opinion|interpretation"
_OTHER = (
    r"comparisons?|indications?|(?:clinical )?(?:history|information|indication)|technique|date|"
    r"reason for(?: \w+)?(?: exam(?:ination)?| study)?|exam(?:ination)?(?: date| type)?|views?|"
    r"procedures?|recommendations?|notification|signed by|end of impression"
)
_HEADING = re.compile(
    rf"(?:(?P<first>^[ \t]*)|\b)(?:(?P<wanted>{_WANTED})|{_OTHER})[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST = 60
"""Characters before a colon in which a heading is looked for; none is longer."""

_ABBREVIATION = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|vs|approx|e\.g|i\.e|rt|lt|pl|fig|st)|\b[A-Za-z]|\d)\.$", re.IGNORECASE
)
MAX_CHARACTERS = 1000
"""A longer sentence is cut at a blank: it is no sentence, and would cost time for nothing."""

_PIECE = re.compile(rf"\S.{{0,{MAX_CHARACTERS}}}(?=\s|$)|\S.{{0,{MAX_CHARACTERS}}}")
# A question mark behind a blank belongs to what follows ("? pneumonia").
_END = re.compile(
    r"(?<=[.!])\s+|(?<=[^\s?]\?)\s+|\s*[;\n]\s*(?=\S)|(?<=[a-z]{2}\.)(?=[A-Z])|(?<=\d\.)(?=[A-Z])"
)


def clean(text: str) -> str:
    """Text with HTML entities and tags resolved and line breaks of one kind.

    >>> clean("right &amp; left<BR>small&nbsp;effusion")
    'right & left small effusion'
    """
    text = re.sub(r"<[a-zA-Z/][^<>]{0,40}>", " ", html.unescape(text))
    text = re.sub(r"[^\S\n]+", " ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return re.sub(r"\n[ \n]*\n", "\n\n", text)


def relevant_text(report: str) -> str:
    r"""Findings and Impression of a report; the whole report if it has neither heading.

    Source: *Wang et al. 2017, section 2.1*. A report with such a heading and nothing under it is
    empty: its indication ("pneumonia?") says nothing of the image.

    >>> relevant_text("INDICATION: pneumonia? FINDINGS: Clear lungs. IMPRESSION: Normal.")
    ' Clear lungs. \n Normal.'
    >>> relevant_text("Clear lungs.")
    'Clear lungs.'
    """
    headings = [
        heading
        for heading in _headings(report)
        # "Comparison: there is a nodule" also occurs inside findings, so a heading that ends them
        # starts its line or stands in capitals.
        if heading["wanted"] or heading["first"] is not None or heading[0].isupper()
    ]
    if not any(heading["wanted"] for heading in headings):
        return report
    ends = [heading.start() for heading in headings[1:]] + [len(report)]
    return "\n".join(
        report[heading.end() : end]
        for heading, end in zip(headings, ends, strict=True)
        if heading["wanted"]
    )


def _headings(report: str) -> Iterator[re.Match[str]]:
    """Headings from left to right, each found by its colon: most words never meet the patterns."""
    after = 0
    while (colon := report.find(":", after)) >= 0:
        start = max(after, colon - _LONGEST)
        if heading := _HEADING.search(report, start, colon + 1):
            yield heading
        after = colon + 1


def sentences(text: str) -> list[str]:
    r"""The sentences of a text; a wrapped line goes on, an empty line or a semicolon ends one.

    >>> sentences("1. Small effusion, 1.5 cm.  2. Dr. Who was\ncalled; no mass.")
    ['1. Small effusion, 1.5 cm.', '2. Dr. Who was called', 'no mass.']
    """
    joined = re.sub(r"(?<![.:;!?\n])\n(?!\s*(?:\n|[-*•\d]))", " ", text)
    found: list[str] = []
    for part in _END.split(joined.strip()):
        if found and len(found[-1]) < MAX_CHARACTERS and _ABBREVIATION.search(found[-1][-12:]):
            found[-1] = f"{found[-1]} {part.strip()}"
        else:
            found += (piece.strip() for piece in _PIECE.findall(part))
    return [sentence for sentence in found if sentence]
