"""The outputs of two kinds of parsers become the graph that the rules use; no parser is needed."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.reports.dependency import (
    Edge,
)
from cxrloc.reports.parses import dependency_graph, spacy_parser
from tests.reports.test_dependency import starts, verdicts

FIGURE_3 = "clear of focal airspace disease , pneumothorax , or pleural effusion"


SPACY = {  # ClearNLP labels; members of a list hang on the one before
    "heads": [0, 0, 4, 4, 1, 4, 4, 6, 6, 10, 6],
    "labels": "ROOT prep amod compound pobj punct conj punct cc amod conj",
}


UNIVERSAL = {  # Universal Dependencies; members hang on the first, "of" on its noun
    "heads": [0, 4, 4, 4, 0, 6, 4, 10, 10, 10, 4],
    "labels": "root case amod compound obl punct conj punct cc amod conj",
}


@pytest.mark.parametrize("parse", [SPACY, UNIVERSAL])
def test_figure_3_gives_three_negations_from_either_kind_of_labels(parse: dict) -> None:
    words = FIGURE_3.split()
    found = dependency_graph(words, starts(words), parse["heads"], parse["labels"].split())
    named = {(found.words[e.head], e.label, found.words[e.dependent]) for e in found.edges}
    assert {("clear", "prep_of", word) for word in ("disease", "pneumothorax", "effusion")} <= named
    assert ("disease", "conj_or", "effusion") in named
    assert verdicts(found, "disease", "pneumothorax", "effusion") == ["negated"] * 3


@pytest.mark.parametrize(
    ("text", "heads", "labels", "disease", "expected"),
    [
        # spaCy, "no" by det: the negation of the first member reaches the last
        ("no mass or nodule", [1, 1, 1, 1], "det ROOT cc conj", "nodule", "negated"),
        ("no mass but nodule", [1, 1, 1, 1], "det ROOT cc conj", "nodule", "present"),
        # "can not" is "cannot", in spaCy's labels and in Universal ones
        ("we can not exclude mass", [3, 3, 3, 3, 3], "nsubj aux neg ROOT dobj", "mass",
         "uncertain"),
        ("we can not exclude mass", [3, 3, 3, 3, 3], "nsubj aux advmod root obj", "mass",
         "uncertain"),
        # "to" before a verb
        ("infiltrates difficult to exclude", [0, 0, 3, 1], "ROOT amod aux xcomp", "infiltrates",
         "uncertain"),
        ("infiltrates difficult to exclude", [0, 0, 3, 1], "root amod mark advcl", "infiltrates",
         "uncertain"),
        # "no" hung on an adjective; lists that are parsed as subjects, appositions, compounds
        ("no lobar pneumonia", [1, 2, 2], "neg amod ROOT", "pneumonia", "negated"),
        ("no opacity effusion identified", [1, 3, 3, 3], "det nsubjpass nsubjpass ROOT",
         "effusion", "negated"),
        ("is no opacity effusion", [0, 2, 0, 2], "ROOT det attr appos", "effusion", "negated"),
        ("no nodules masses", [2, 2, 2], "det compound ROOT", "nodules", "negated"),
        ("effusion opacity no mass", [1, 1, 3, 1], "compound ROOT det appos", "effusion",
         "present"),
        # "without" through "evidence", both ways
        ("changes without evidence of infiltrate", [0, 0, 1, 2, 3], "ROOT prep pobj prep pobj",
         "infiltrate", "negated"),
        ("changes without evidence of infiltrate", [0, 2, 0, 4, 2], "root case nmod case nmod",
         "infiltrate", "negated"),
        ("effusion is not seen", [3, 3, 3, 3], "nsubjpass auxpass neg ROOT", "effusion", "negated"),
        ("effusion is not seen", [3, 3, 3, 3], "nsubj:pass aux:pass advmod root", "effusion",
         "negated"),
    ],
)  # fmt: skip
def test_parses_of_both_kinds(
    text: str, heads: list[int], labels: str, disease: str, expected: str
) -> None:
    words = text.split()
    found = dependency_graph(words, starts(words), heads, labels.split())
    assert verdicts(found, disease) == [expected]


@pytest.mark.parametrize(
    ("labels", "message"), [((), "no parser"), (("nsubj", "pobj"), ""), (("nsubj", "case"), "")]
)
def test_a_spacy_pipeline_needs_a_parser_with_known_labels(
    monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...], message: str
) -> None:
    no = SimpleNamespace(text="No", idx=0, dep_="det")
    edema = SimpleNamespace(text="edema", idx=3, dep_="ROOT", i=1)
    edema.head = no.head = edema

    class Pipeline:
        @property
        def pipe_labels(self) -> dict[str, tuple[str, ...]]:
            return {"parser": labels} if labels else {}

        def __call__(self, text: str) -> list[SimpleNamespace]:
            return [no, edema]

    spacy = ModuleType("spacy")
    monkeypatch.setattr(spacy, "load", lambda name: Pipeline(), raising=False)
    monkeypatch.setitem(sys.modules, "spacy", spacy)
    if message:
        with pytest.raises(CxrlocError, match=message):
            spacy_parser("en")
    else:
        assert spacy_parser("en")("No edema").edges == (Edge(1, "neg", 0),)


def test_a_missing_spacy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(CxrlocError, match=r"pip install 'cxrloc\[reports\]'"):
        spacy_parser("en_core_web_sm")
