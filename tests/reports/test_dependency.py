"""Rules on dependency graphs, and the converters that make the graphs. No parser is needed."""

import pytest

from cxrloc.errors import CxrlocError
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
from cxrloc.reports.parses import dependency_graph
from cxrloc.reports.read import Report


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


def starts(words: list[str]) -> list[int]:
    return [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]


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
