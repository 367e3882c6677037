"""Rules on dependency graphs, and the converters that make the graphs. No parser is needed."""

import sys
from types import SimpleNamespace

import pytest

from cxrloc.reports.dependency import (
    Edge,
    Graph,
    dependency_engine,
    graph_verdicts,
    parse_rule,
    read_rules,
)
from cxrloc.reports.labels import label_report
from cxrloc.reports.mentions import Concept, Mention
from cxrloc.reports.parses import dependency_graph, spacy_parser
from cxrloc.reports.read import Report
from cxrloc.types import CxrlocError


def graph(*edges: str) -> Graph:
    """A graph out of "head label dependent"; words stand in the order in which they occur."""
    parts = [edge.split() for edge in edges]
    words = list(dict.fromkeys(word for head, _, dependent in parts for word in (head, dependent)))
    starts = [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]
    return Graph(
        tuple(words),
        tuple(starts),
        tuple(Edge(words.index(h), label, words.index(d)) for h, label, d in parts),
    )


def verdicts(found: Graph, *diseases: str) -> list[str]:
    mentions = [
        Mention(Concept(word, "", (None, None)), start, start + len(word))
        for word, start in zip(found.words, found.starts, strict=True)
        if word in diseases
    ]
    return [str(verdict.assertion) for verdict in graph_verdicts(found, mentions)]


@pytest.mark.parametrize(
    ("edges", "disease", "expected"),
    [
        # the examples of table 6, in its order
        (["disease neg no", "disease amod acute"], "disease", "negated"),
        (["changes prep_without disease"], "disease", "negated"),
        (["clear prep_of disease", "clear prep_of effusion"], "effusion", "negated"),
        (["changes prep_without evidence", "evidence prep_of infiltrate"], "infiltrate", "negated"),
        (["evidence neg no", "evidence prep_of disease"], "disease", "negated"),
        (["tortuous nsubj aorta", "tortuous conj_and exclude", "exclude md cannot",
          "exclude dobj aneurysm"], "aneurysm", "uncertain"),
        (["is expl there", "is nsubj concern", "concern prep_for pneumonia"], "pneumonia",
         "uncertain"),
        (["due nsubj which", "due md could", "due cop be", "due prep_to nodule"], "nodule",
         "uncertain"),
        (["infiltrates amod difficult", "difficult prep_to exclude"], "infiltrates", "uncertain"),
        (["represent md may", "represent dobj reaction", "represent dobj nodules"], "nodules",
         "uncertain"),
        (["nodules partmod suggesting", "suggesting dobj metastases"], "metastases", "uncertain"),
        # and where a rule must not reach
        (["nodules partmod suggesting", "suggesting dobj metastases"], "nodules", "present"),
        (["tortuous nsubj aorta", "tortuous conj_and exclude", "exclude md cannot",
          "exclude dobj aneurysm"], "aorta", "present"),
        (["evidence prep_of disease"], "disease", "present"),
        (["large prep_of disease"], "disease", "present"),
    ],
)  # fmt: skip
def test_table_6(edges: list[str], disease: str, expected: str) -> None:
    assert verdicts(graph(*edges), disease) == [expected]


# "clear of focal airspace disease, pneumothorax, or pleural effusion": figure 3.
FIGURE_3 = "clear of focal airspace disease , pneumothorax , or pleural effusion"
SPACY = {  # ClearNLP labels; members of a list hang on the one before
    "heads": [0, 0, 4, 4, 1, 4, 4, 6, 6, 10, 6],
    "labels": "ROOT prep amod compound pobj punct conj punct cc amod conj",
}
UNIVERSAL = {  # Universal Dependencies; members hang on the first, "of" on its noun
    "heads": [0, 4, 4, 4, 0, 6, 4, 10, 10, 10, 4],
    "labels": "root case amod compound obl punct conj punct cc amod conj",
}


def starts(words: list[str]) -> list[int]:
    return [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]


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


def test_the_engine_labels_reports() -> None:
    def parse(sentence: str) -> Graph:
        words = sentence.rstrip(".").split()
        return dependency_graph(words, starts(words), [1, 1, 1, 1], ["det", "ROOT", "cc", "conj"])

    report = Report("1", "No edema or pneumonia.")
    found = label_report(report, engine=dependency_engine(parse))
    assert found.labels == {"Edema": 0, "Pneumonia": 0, "No Finding": 1}
    assert found.evidence[0].rule == "no/not/nor/neither <- * <- DISEASE"


@pytest.mark.parametrize(
    "text", ["clear", "clear -> of", "clear -> prep_of <- DISEASE", "a = b = c"]
)
def test_a_rule_that_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(CxrlocError, match="rule"):
        parse_rule("negated", text)


def test_every_rule_of_the_file_is_read() -> None:
    assert len(read_rules()) >= 16


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
        def has_pipe(self, name: str) -> bool:
            return bool(labels)

        def get_pipe(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(labels=labels)

        def __call__(self, text: str) -> list[SimpleNamespace]:
            return [no, edema]

    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=lambda name: Pipeline()))
    if message:
        with pytest.raises(CxrlocError, match=message):
            spacy_parser("en")
    else:
        assert spacy_parser("en")("No edema").edges == (Edge(1, "neg", 0),)


def test_a_missing_spacy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(CxrlocError, match=r"pip install 'cxrloc\[reports\]'"):
        spacy_parser("en_core_web_sm")
