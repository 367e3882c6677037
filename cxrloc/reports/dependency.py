"""Negation and uncertainty on a dependency graph: the rules of Wang et al. 2017, table 6.

Any parser can make the graph; `dependency_graph` converts the parser's labels to those of the
rules. cxrloc has no parser of its own. `benchmarks/accuracy_labeler.md` has the scores of this
engine with a parser that pip can install; `negation.scope_engine` is better and faster.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from cxrloc.errors import CxrlocError
from cxrloc.reports.mentions import Mention
from cxrloc.reports.negation import Assertion, Engine, Verdict

DISEASE = "DISEASE"
# A word with one of these labels modifies its governor ("infiltrates difficult to exclude").
_MODIFIER = {"amod", "acl", "acl:relcl", "relcl", "rcmod", "partmod", "vmod", "appos"}


class Edge(NamedTuple):
    """The word `dependent` depends on the word `head` by `label`; both are positions of words."""

    head: int
    label: str
    dependent: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Words of a sentence in lower case, where they start, and how they depend on each other."""

    words: tuple[str, ...]
    starts: tuple[int, ...]
    edges: tuple[Edge, ...]


class Step(NamedTuple):
    """One step of a path: along a label, up to the governor or down to a dependent, to a word."""

    upwards: bool
    labels: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of `rules/dependency.txt`: a path from its first word on, and its assertion."""

    assertion: Assertion
    text: str
    first: tuple[str, ...]
    steps: tuple[Step, ...]


def parse_rule(assertion: str, text: str) -> Rule:
    """Reads a rule of the pattern language.

    Raises:
        CxrlocError: the text is not a path of words and labels joined by pairs of equal arrows.

    >>> rule = parse_rule("negated", "no <- neg <- evidence -> prep_of -> DISEASE")
    >>> rule.steps[0]
    Step(upwards=True, labels=('neg',), words=('evidence',))
    """
    parts = text.split()
    steps = []
    for position in range(1, len(parts), 4):
        piece = parts[position : position + 4]
        if len(piece) < 4 or piece[0] != piece[2] or piece[0] not in {"<-", "->"}:
            raise CxrlocError(
                f"dependency.txt: rule {text!r} is not of the form word -> label -> word"
            )
        steps.append(Step(piece[0] == "<-", tuple(piece[1].split("/")), tuple(piece[3].split("/"))))
    if not steps:
        raise CxrlocError(f"dependency.txt: rule {text!r} has no label")
    return Rule(Assertion(assertion), text, tuple(parts[0].split("/")), tuple(steps))


@cache
def read_rules() -> tuple[Rule, ...]:
    """The rules of `rules/dependency.txt`."""
    rules, section = [], ""
    text = (files("cxrloc.reports") / "rules" / "dependency.txt").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith((";", "#")):
            rules.append(parse_rule(section, line))
    return tuple(rules)


def dependency_engine(parse: Callable[[str], Graph]) -> Engine:
    """An engine for `label_reports`; `parse` makes the graph of a sentence in lower case.

    Source: *Wang et al. 2017, section 2.1, A.2 and table 6*.
    """

    def engine(sentence: str, mentions: Sequence[Mention]) -> list[Verdict]:
        return graph_verdicts(parse(sentence), mentions)

    return engine


def graph_verdicts(graph: Graph, mentions: Sequence[Mention]) -> list[Verdict]:
    """One verdict per mention: the first rule that holds, denials before doubts."""
    return [_verdict(graph, mention) for mention in mentions]


def _verdict(graph: Graph, mention: Mention) -> Verdict:
    if mention.absent:
        return Verdict(Assertion.ABSENT, "absent by wording")
    fired = fired_rule(graph, words_between(graph, mention.start, mention.end))
    return Verdict(fired[0].assertion, fired[0].text) if fired else Verdict(Assertion.PRESENT)


def words_between(graph: Graph, start: int, end: int) -> set[int]:
    """Positions of the words that share a character with this part of the sentence."""
    return {
        i
        for i, (word, first) in enumerate(zip(graph.words, graph.starts, strict=True))
        if first < end and start < first + len(word)
    }


def fired_rule(graph: Graph, disease: set[int]) -> tuple[Rule, tuple[int, ...]] | None:
    """The first rule that holds of a mention's words, and its path; None where none holds.

    >>> edge = Edge(head=0, label="prep_of", dependent=2)
    >>> graph = Graph(("clear", "of", "effusion"), (0, 6, 9), (edge,))
    >>> rule, path = fired_rule(graph, {2})
    >>> rule.assertion.value, path
    ('negated', (0, 2))
    """
    for rule in sorted(read_rules(), key=lambda rule: rule.assertion is not Assertion.ABSENT):
        for path in _whole_paths(graph, rule, disease):
            if DISEASE in rule.text or disease & _reach(graph, rule, path):
                return rule, path
    return None


def _whole_paths(graph: Graph, rule: Rule, disease: set[int]) -> Iterator[tuple[int, ...]]:
    for start in range(len(graph.words)):
        if _is_word(graph, start, rule.first, disease):
            yield from _paths(graph, rule.steps, (start,), disease)


def _is_word(graph: Graph, word: int, allowed: Sequence[str], disease: set[int]) -> bool:
    if DISEASE in allowed:
        return word in disease
    return any(fnmatchcase(graph.words[word], one) for one in allowed)


def _paths(
    graph: Graph, steps: Sequence[Step], path: tuple[int, ...], disease: set[int]
) -> Iterator[tuple[int, ...]]:
    if not steps:
        yield path
        return
    step = steps[0]
    for edge in graph.edges:
        here, there = (edge.dependent, edge.head) if step.upwards else (edge.head, edge.dependent)
        if (
            here == path[-1]
            and any(fnmatchcase(edge.label, label) for label in step.labels)
            and _is_word(graph, there, step.words, disease)
        ):
            yield from _paths(graph, steps[1:], (*path, there), disease)


def _reach(graph: Graph, rule: Rule, path: Sequence[int]) -> set[int]:
    """Words below the topmost word of a path, and the noun that this word modifies."""
    height = [0]
    for step in rule.steps:
        height.append(height[-1] + (1 if step.upwards else -1))
    top = path[height.index(max(height))]
    tops = {top} | {e.head for e in graph.edges if e.dependent == top and e.label in _MODIFIER}
    # A clause that a conjunction joins to the topmost word is not governed by this word.
    reached, queue = (
        set(tops),
        [e.dependent for e in graph.edges if e.head in tops and not e.label.startswith("conj")],
    )
    while queue:
        word = queue.pop()
        if word not in reached:
            reached.add(word)
            queue += [edge.dependent for edge in graph.edges if edge.head == word]
    return reached
