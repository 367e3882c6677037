"""Decides whether a mention is asserted, denied or left open, by scope rules without a parser.

Source: the family of NegEx and ConText (Harkema et al. 2009), here with lists ("no A, B or C").
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from cxrloc.reports.mentions import Mention
from cxrloc.reports.phrases import PhraseFinder, read_phrases

SECTIONS = (
    "pseudo",
    "end",
    "end unless listed",
    "end of negation",
    *(f"{what} {where}" for what in ("negated", "uncertain") for where in ("after", "before")),
    "negated near after",
    "present before",
    "present after",
    "seen before",
    "uncertain either",
    "alternative either",
)
"""Sections of `rules/scope.txt`."""


class Assertion(StrEnum):
    """What a sentence says about a mention; an alternative is one of several stated causes."""

    PRESENT = "present"
    ABSENT = "negated"
    UNCERTAIN = "uncertain"
    ALTERNATIVE = "alternative"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An assertion, and the rule that gave it ("negated after: no"); empty if no trigger did."""

    assertion: Assertion
    rule: str = ""


Engine = Callable[[str, Sequence[Mention]], Sequence[Verdict]]
"""A function from a sentence in lower case and its mentions to one verdict per mention."""


@dataclass(frozen=True, slots=True)
class _Trigger:
    """Words of a sentence that decide on mentions near them; `kind` is one of `SECTIONS`."""

    kind: str
    wording: str
    start: int
    end: int

    def verdict(self) -> Verdict:
        return Verdict(Assertion(self.kind.split()[0]), f"{self.kind}: {self.wording}")


@cache
def _finder() -> PhraseFinder:
    return PhraseFinder(read_phrases("scope.txt", SECTIONS))


# Commas, conjunctions and a few adjectives stand between two members of one list; commas alone
# also separate clauses ("stable cardiomegaly, the effusion has resolved").
_LIST_GLUE = re.compile(
    r"\s*(?:|,|(?P<joining>/|,?\s*(?:or|and|nor|and/or)))\s*(?:(?!(?:or|and|nor|the|with\w*)\b)[\w-]+\s+){0,3}"
)


def _triggers(sentence: str) -> list[_Trigger]:
    return [
        _Trigger(phrase.section, sentence[start:end], start, end)
        for phrase, start, end in _finder()(sentence)
    ]


def denial_goes_on(clause: str, following: str) -> bool:
    """Whether a denial in a clause also holds behind the comma; both parts are in lower case.

    >>> denial_goes_on("no mass", "effusion or edema"), denial_goes_on("no mass", "small effusion")
    (True, False)
    """
    comma, denied = len(clause), False
    listed = _JOINED.search(following) is not None
    ends = ("end", "present", "negated after", "uncertain after", *(() if listed else ("seen",)))
    for trigger in _triggers(f"{clause}, {following}"):
        if trigger.start >= comma:
            if trigger.kind.startswith(ends):
                return False
        elif trigger.kind == "negated after":
            denied = True
        elif trigger.kind.startswith(("end", "present", "uncertain")):
            denied = False
    return denied


def scope_engine(sentence: str, mentions: Sequence[Mention]) -> list[Verdict]:
    """One verdict per mention, by trigger words, their direction and the limits of their scope.

    First, the nearest forward trigger before a mention decides, unless a word that ends the
    trigger's scope stands between them. Then a backward trigger behind the mention decides; its
    scope is the nearest mention and those joined to it as a list. Denial wins over doubt. "A versus
    B" concerns the nearest mention on each side.

    >>> from cxrloc.reports.mentions import find_mentions
    >>> text = "no effusion, edema or mass, but small nodule"
    >>> [str(verdict.assertion) for verdict in scope_engine(text, find_mentions(text))]
    ['negated', 'negated', 'negated', 'present']
    """
    triggers = _triggers(sentence)
    return [
        Verdict(Assertion.ABSENT, "absent by wording")
        if mention.absent
        else _verdict(sentence, mention, mentions, triggers)
        for mention in mentions
    ]


# How a list goes on: "no effusion, large mass or nodule".
_LIST = re.compile(
    r"(?:(?!\b(?:and|but|with|is|are|was|were|has|have|no)\b)[\w\s,-])*?(?:\bn?or\b|/)"
)
_JOINED = re.compile(r"\bn?or\b")
_CLAUSE_START = re.compile(r",|\(|\band\b(?!\s*/?\s*or)")


def _verdict(
    sentence: str, mention: Mention, mentions: Sequence[Mention], triggers: Sequence[_Trigger]
) -> Verdict:
    found = (
        _forward(sentence, mention, triggers),
        _backward(sentence, mention, mentions, triggers),
    )
    candidates = [trigger.verdict() for trigger in found if trigger is not None]
    candidates += [
        trigger.verdict()
        for trigger in triggers
        if _inside(mention, trigger) or _beside(sentence, mention, mentions, trigger)
    ]
    order = (Assertion.ABSENT, Assertion.UNCERTAIN, Assertion.ALTERNATIVE, Assertion.PRESENT)
    candidates.sort(key=lambda verdict: order.index(verdict.assertion))
    return candidates[0] if candidates else Verdict(Assertion.PRESENT)


def _forward(sentence: str, mention: Mention, triggers: Sequence[_Trigger]) -> _Trigger | None:
    """The nearest trigger before the mention that reaches it."""
    negation_ended = False
    for trigger in reversed(triggers):
        if trigger.start < mention.start:
            if trigger.kind in {"end", "present before", "seen before"}:
                return None
            if trigger.kind in {"uncertain after", "uncertain either", "present after"}:
                return trigger
            negation_ended |= trigger.kind == "end of negation" or (
                trigger.kind == "end unless listed" and not _LIST.match(sentence, trigger.end)
            )
            if trigger.kind == "negated after":
                ended = negation_ended or _stated(sentence, trigger, mention, triggers)
                return None if ended else trigger
            comma = "," in sentence[trigger.end : mention.start]
            near = trigger.kind == "negated near after" and not (negation_ended or comma)
            if near and not _goes_on(mention, triggers):
                return trigger
    return None


def _goes_on(mention: Mention, triggers: Sequence[_Trigger]) -> bool:
    """Whether a clause after the mention says that it is still present.

    "Chemotherapy for a mass, which is larger".
    """
    behind = [trigger for trigger in triggers if trigger.start >= mention.end][:2]
    return [(t.kind, t.wording == "which") for t in behind] == [
        ("end", True),
        ("present before", False),
    ]


def _stated(
    sentence: str, denial: _Trigger, mention: Mention, triggers: Sequence[_Trigger]
) -> bool:
    """Whether the mention begins its own clause, outside the scope of a denial before it.

    "No mass, cardiomegaly is unchanged", "no mass (cardiomegaly persists)"; but "no mass, effusion
    or edema is seen" is one list.
    """
    behind = next((trigger for trigger in triggers if trigger.start >= mention.end), None)
    *_, last = (None, *_CLAUSE_START.finditer(sentence, denial.end, mention.start))
    if behind is None or last is None or _JOINED.search(sentence, last.end(), mention.start):
        return False
    if re.search(r",|\b(?:or|and|nor)\b", sentence[mention.end : behind.start]):
        return False
    if behind.kind == "present before":
        return True
    # A denied list may also end with "is seen", so only one comma is allowed before the mention.
    once = sentence.count(",", denial.end, mention.start) < 2
    return behind.kind == "seen before" and last[0] != "and" and once


def _backward(
    sentence: str, mention: Mention, mentions: Sequence[Mention], triggers: Sequence[_Trigger]
) -> _Trigger | None:
    """The nearest backward trigger behind the mention whose scope has the mention or its list."""
    for trigger in triggers:
        if trigger.start >= mention.end:
            if trigger.kind in {"end", "end unless listed"}:
                return None
            if trigger.kind in {"negated before", "uncertain before", "uncertain either"}:
                joined = _joined(sentence, mention, mentions, trigger.start)
                return trigger if joined else None
    return None


def _joined(sentence: str, mention: Mention, mentions: Sequence[Mention], limit: int) -> bool:
    """Whether only members of the mention's list stand between it and the limit."""
    end, joined, comma = mention.end, False, False
    for other in sorted(mentions, key=lambda m: m.start):
        if end <= other.start < other.end <= limit:
            glue = _LIST_GLUE.fullmatch(sentence, end, other.start)
            if glue is None:
                return False
            joined |= glue["joining"] is not None
            comma |= "," in glue[0]
            end = other.end
    return joined or not comma


def _inside(mention: Mention, trigger: _Trigger) -> bool:
    """Whether the mention's words enclose a trigger of doubt ("heart may be enlarged")."""
    within = mention.start <= trigger.start and trigger.end <= mention.end
    return within and trigger.kind.startswith("uncertain")


def _beside(
    sentence: str, mention: Mention, mentions: Sequence[Mention], trigger: _Trigger
) -> bool:
    """Whether the mention is the nearest one on either side of "versus" or "or"."""
    if trigger.kind != "alternative either":
        return False
    between = sorted((mention.end, trigger.start, trigger.end, mention.start))[1:3]
    return not any(
        between[0] <= other.start and other.end <= between[1] for other in mentions
    ) and not re.search(r"[,:]", sentence[between[0] : between[1]])
