"""Removes markup from the text of reports, and splits the text into sentences."""

import html
import re

_ABBREVIATION = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|vs|approx|e\.g|i\.e|rt|lt|pl|fig|st)|\b[A-Za-z]|\d)\.$", re.IGNORECASE
)
MAX_CHARACTERS = 1000
"""A longer text is not a real sentence and would only cost time, so it is cut at a blank."""

_PIECE = re.compile(rf"\S.{{0,{MAX_CHARACTERS}}}(?=\s|$)|\S.{{0,{MAX_CHARACTERS}}}")
# A question mark behind a blank belongs to the next word ("? pneumonia"). Here and below, a look at
# the next character comes first: it is cheap, and most characters begin none of the alternatives.
_END = re.compile(
    r"(?=[\s;A-Z])(?:(?<=[.!])\s+|(?<=[^\s?]\?)\s+|\s*[;\n]\s*(?=\S)"
    r"|(?<=[a-z]{2}\.)(?=[A-Z])|(?<=\d\.)(?=[A-Z]))"
)

_ANSWER = (
    r"(?:none|no|nil|not|negative|neg|absent|normal|yes|present|positive|[ny])"
    r"(?: (?:seen|present|identified|evident|detected|noted))?"
)
_SIDE = r"(?:left|right|bilateral|both sides)"
# An answer is a size or a side without a noun: "Pneumonia? Small effusion" is no answer.
_SIZE = (
    rf"(?:(?:trace|tiny|small|minimal|mild|moderate|large|severe|unchanged|stable)(?:,? {_SIDE})?"
    rf"|{_SIDE})"
)
# "Effusion ..... none", "Effusion? No.", "Effusion? Small on the right."
_LEADER = re.compile(
    r"\s*(?=[.\u2026_?\t-])(?:\.{2,}|\u2026|_{2,}|-{2,}|\?(?=\s)|\t+)\s*"
    rf"(?={_ANSWER}\s*(?:[.,;]|$)|{_SIZE}(?:\s*[.,;]|\s*$|\s+(?:on|in|at)\b))",
    re.IGNORECASE | re.MULTILINE,
)
# Line breaks that a program wrote as two characters, but not the strokes of "mass\nodule" and
# "left\right".
_WRITTEN_BREAK = re.compile(r"\\r\\n|\\n(?!odul|odes?\b)|\\r(?!ight\b)")
_UNMARKED = re.compile(r"\b(is|are|was|were|does|did|has|have|could)nt\b")
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")
_OFF = r"\[ ?\]|\( ?\)|[\u2610\u25a1\u25a2]"
_ON = r"\[ ?[xXvV\u2713\u2714] ?\]|\( ?[xX\u2713\u2714] ?\)|[\u2611\u2612\u2713\u2714\u25a0]"
_BOX = re.compile(rf"(?=[^\w\s])(?:(?P<on>{_ON})|(?P<off>{_OFF}))")
_YES_NO = re.compile(
    rf"(?:(?P<on>{_ON})|{_OFF})[ \t]*(?P<answer>yes|no|absent|present|none|negative|positive)\b",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    r"""Text without markup, and with its short forms spelled out.

    The function replaces HTML entities and tags, kinds of line breaks, Markdown, contracted
    negations ("can't", "w/o"), dot leaders ("Effusion ... none"), answered questions and check
    boxes.

    >>> clean("right &amp; left<BR>small&nbsp;effusion can\u2019t be excluded")
    'right & left small effusion cannot be excluded'
    >>> clean("Pneumothorax ..... none\n[x] Edema [ ] Mass")
    'Pneumothorax: none\nEdema; no Mass;'
    >>> clean(r"FINDINGS:\nNo mass\nodule.")
    'FINDINGS:\nNo mass\\nodule.'
    """
    text = _WRITTEN_BREAK.sub("\n", text)
    text = re.sub(r"<[a-zA-Z/][^<>]{0,40}>", " ", html.unescape(text))
    text = _LEADER.sub(": ", text.translate(_DASHES))
    text = re.sub(r"[^\S\n]+", " ", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = re.sub(r"\n[ \n]*\n", "\n\n", text)
    if "'" in text or "\u2019" in text:
        text = text.replace("\u2019", "'")
        text = re.sub(r"\b(ca|wo)n't\b", r"\1nnot", text, flags=re.IGNORECASE)
        text = re.sub(r"\bwonnot\b", "will not", text, flags=re.IGNORECASE)
        text = re.sub(r"(?<=[a-z])n't\b", " not", text, flags=re.IGNORECASE)
    text = _UNMARKED.sub(lambda word: f"{word[1]} not", text.replace(" cant ", " cannot "))
    if "/" in text:
        text = re.sub(r"\bw/o\b", "without", text, flags=re.IGNORECASE)
    if "*" in text or "#" in text or "__" in text:
        text = re.sub(r"^[ \t]*#{1,6}[ \t]*", "", text, flags=re.MULTILINE)
        text = re.sub(r"\*\*|(?:\*|__)(?=\w)|(?<=[\w:])(?:\*|__)", "", text)
    return "\n".join(map(_unboxed, text.split("\n"))) if _BOX.search(text) else text


def _unboxed(line: str) -> str:
    """A line of a form in words; a box that is not ticked denies the words beside the box."""
    line = _YES_NO.sub(lambda box: box["answer"] if box["on"] else "", line)
    boxes = list(_BOX.finditer(line))
    if not boxes:
        return line
    leading = not line[: boxes[0].start()].strip(" \t-*\u2022")
    edges = [0, *(place for box in boxes for place in box.span()), len(line)]
    spans = zip(edges[::2], edges[1::2], strict=True)
    texts = [line[begin:end].strip(" ,;|\t") for begin, end in spans]
    pairs = zip(boxes, texts[1:] if leading else texts[:-1], strict=True)
    if leading:
        items = [text if box["on"] else f"no {text}" for box, text in pairs]
    else:
        items = [f"{text}: {'yes' if box['on'] else 'no'}" for box, text in pairs]
    return "; ".join(items) + ";"


def sentences(text: str) -> list[str]:
    r"""The sentences of a text; an empty line or a semicolon ends one, a wrapped line does not.

    >>> sentences("1. Small effusion, 1.5 cm.  2. Dr. Who was\ncalled; no mass.")
    ['1. Small effusion, 1.5 cm.', '2. Dr. Who was called', 'no mass.']
    """
    # A short line before a capital is an item of a list, not a wrapped line.
    text = re.sub(r"^(.{1,45}[^.:;,!?\s])\n(?=[A-Z])", r"\1\n\n", text, flags=re.MULTILINE)
    joined = re.sub(r"(?<![.:;!?\n])\n(?!\s*(?:\n|[-*•\d]))", " ", text)
    found: list[str] = []
    for part in _END.split(joined.strip()):
        if found and len(found[-1]) < MAX_CHARACTERS and _ABBREVIATION.search(found[-1][-12:]):
            found[-1] = f"{found[-1]} {part.strip()}"
        else:
            found += (piece.strip() for piece in _PIECE.findall(part))
    return [sentence for sentence in found if sentence]
