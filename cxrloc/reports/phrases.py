"""Reads the rule files and their pattern language, and searches a text for all patterns fast."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from cxrloc.errors import CxrlocError

_BLANK = r"(?:[\s/-]+(?:xxxx[\s/-]+)*)"
# A gap must not include these words: they would hide a negation or reach into another clause.
_STOP = r"(?:not|no|without|normal|within|and|but|with|or|than|by|unremarkable)\b"
_GAP = rf"(?:[\s/-]+(?!{_STOP})[\w'%.]+){{0,6}}?[\s/-]+"
_START = r"(?:\b(?=\w)|(?=[^\w\s]))"
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)} | {ord("\u2019"): "'"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """One pattern of a rule file.

    Attributes:
        section: the header above it, without brackets.
        pattern: as written in the file, without its `absent:` mark.
        absent: the wording denies the finding by itself ("heart size normal").
    """

    section: str
    pattern: str
    absent: bool = False


def lower(text: str) -> str:
    """The text with A to Z in lower case and straight apostrophes; characters keep their places.

    >>> lower("No İ Effusion")
    'no İ effusion'
    """
    return text.translate(_LOWER)


def expression(pattern: str) -> str:
    """The regular expression behind a pattern, without groups that capture.

    A blank in a pattern stands for blanks, hyphens, slashes and de-identification marks (XXXX);
    " ... " stands for up to six words of the same clause, none of which is a negation or a
    conjunction; a word after "~" may be misspelt.

    >>> bool(re.search(expression("pleural effusions?"), "pleural xxxx effusions"))
    True
    >>> bool(re.search(expression("heart ... enlarged"), "heart is not enlarged"))
    False
    >>> [bool(re.search(expression("~edema"), word)) for word in ("edmea", "eddema", "enema")]
    [True, True, False]
    """
    body = re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern).replace(" ... ", "\0").replace(" ", _BLANK)
    body = re.sub(r"~(\w+)", lambda word: _misspelt(word[1]), body)
    return rf"(?:{body})(?:(?!\w)|(?<=\?))".replace("\0", _GAP)


def _misspelt(word: str) -> str:
    """An expression for a word with at most one misspelling behind its first letter.

    A misspelling is a letter left out, doubled or swapped with the next one, or a wrong vowel.
    """
    rest = f"{word[-1]}?"
    for place in range(len(word) - 1, 0, -1):
        letter, after = word[place], word[place + 1 :]
        slips = [after, word[place - 1] + letter + after]
        slips += [after[0] + letter + after[1:]] if after else []
        slips += [f"[aeiouy]{after}"] if letter in "aeiouy" else []
        rest = f"(?:{'|'.join([letter + rest, *slips])})"
    return word[0] + rest


def read_phrases(name: str, sections: Sequence[str] | None = None) -> tuple[Phrase, ...]:
    """The phrases of a file of `rules/`, after a check that patterns match the examples above them.

    Args:
        name: file name.
        sections: the only headers allowed, None for any.

    Raises:
        CxrlocError: a line cannot be read, or a pattern does not match its example; the message
            names file and line. So a broken rule file stops the run before the first report.

    >>> read_phrases("scope.txt")[3].section
    'pseudo'
    """
    phrases = []
    section, example = "", ""
    text = (files("cxrloc.reports") / "rules" / name).read_text("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith(";"):
            continue
        if line.startswith("["):
            section, example = line.strip("[]"), ""
        elif line.startswith("# "):
            example = line[2:]
        else:
            phrase = Phrase(section, line.removeprefix("absent: "), line.startswith("absent: "))
            _check(phrase, example, f"{name}, line {number}")
            phrases.append(phrase)
        if sections is not None and section not in {"", *sections}:
            raise CxrlocError(f"{name}, line {number}: [{section}] is none of {sections}")
    return tuple(phrases)


def _check(phrase: Phrase, example: str, place: str) -> None:
    try:
        found = re.search(_START + expression(phrase.pattern), lower(example))
    except re.error as error:
        raise CxrlocError(f"{place}: pattern cannot be read ({error})") from error
    if not (phrase.section and example and found):
        raise CxrlocError(
            f"{place}: pattern {phrase.pattern!r} needs a section and a matching example above it, "
            f"got {example!r}"
        )


class PhraseFinder:
    """Finds all phrases of a list in one pass over a text.

    An empty group behind each pattern tells which one matched. A group around a pattern would cost
    time, because the engine of `re` skips an alternative by its first letter only if the letter
    comes first.
    """

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        self._phrases = tuple(phrases)
        patterns = "|".join(f"{expression(phrase.pattern)}()" for phrase in phrases)
        # A pattern begins at the start of a word or with a mark, so the ends of words are skipped.
        self._any = re.compile(f"{_START}(?:{patterns})")

    def __call__(self, text: str) -> Iterator[tuple[Phrase, int, int]]:
        """Phrase, start and end of each place in a text in lower case, left to right."""
        for place in self._any.finditer(text):
            assert place.lastindex is not None
            yield self._phrases[place.lastindex - 1], place.start(), place.end()
