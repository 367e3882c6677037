"""Finds the places where a sentence names a finding."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from cxrloc.errors import CxrlocError
from cxrloc.reports.phrases import Phrase, PhraseFinder, read_phrases

VOCABULARIES = ("chestxray14", "chexpert")
"""Which findings become columns of a label file."""

NOT_A_FINDING = "not a finding"
"""Section of wordings that only look like a finding ("mass effect")."""


@dataclass(frozen=True, slots=True)
class Concept:
    """The concept that a section of `findings.txt` or `abnormal.txt` stands for.

    Attributes:
        name: name in words.
        cui: concept of the UMLS (Wang et al. 2017, table 5), empty if none is given.
        findings: its finding in ChestX-ray14 and in CheXpert, None where a vocabulary has none.
    """

    name: str
    cui: str
    findings: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Mention:
    """A concept named in a sentence, from character `start` to before `end`.

    Attributes:
        concept: the concept that is named.
        start: position of the first character.
        end: position after the last character.
        absent: the wording denies the concept by itself ("heart size normal").
    """

    concept: Concept
    start: int
    end: int
    absent: bool = False


def _concept(section: str) -> Concept:
    parts = [part.strip() for part in section.split("|")]
    if len(parts) != 4:
        raise CxrlocError(f"rules: [{section}] needs four parts between |: name, CUI, two findings")
    name, cui, chestxray14, chexpert = ("" if part == "-" else part for part in parts)
    return Concept(name, cui, (chestxray14 or None, chexpert or None))


@cache
def _finders() -> tuple[tuple[PhraseFinder, dict[Phrase, Concept]], ...]:
    found = []
    for name in ("findings.txt", "abnormal.txt"):
        phrases = read_phrases(name)
        of_phrase = {phrase: _concept(phrase.section) for phrase in phrases}
        found.append((PhraseFinder(phrases), of_phrase))
    return tuple(found)


def concepts() -> tuple[Concept, ...]:
    """All concepts of the rule files, in their order."""
    return tuple(dict.fromkeys(c for _, of_phrase in _finders() for c in of_phrase.values()))


def find_mentions(sentence: str) -> Sequence[Mention]:
    """All findings and other abnormalities that a sentence in lower case names.

    The two rule files are searched separately, so that an abnormality never hides a finding
    ("chronic emphysematous change" is both).

    >>> [(m.concept.name, m.start, m.end) for m in find_mentions("no pleural effusion")]
    [('pleural effusion', 3, 19)]
    >>> find_mentions("no mass effect")
    []
    """
    return [
        Mention(of_phrase[phrase], start, end, phrase.absent)
        for finder, of_phrase in _finders()
        for phrase, start, end in finder(sentence)
        if of_phrase[phrase].name != NOT_A_FINDING
    ]
