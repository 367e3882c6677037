"""A table of invented sentences with the labels that a reader would give them."""

import csv
from pathlib import Path

import pytest

from cxrloc.findings import NO_FINDING
from cxrloc.reports.labels import label_report
from cxrloc.reports.read import Report
from cxrloc.types import Label

COLUMNS = {"present": Label.POSITIVE, "denied": Label.NEGATIVE, "open": Label.UNCERTAIN}

with Path(__file__).with_name("sentences.csv").open(newline="") as table:
    ROWS = list(csv.DictReader(table))


@pytest.mark.parametrize("row", ROWS, ids=[row["sentence"] for row in ROWS])
def test_a_sentence_is_labelled_as_read(row: dict[str, str]) -> None:
    text = row["sentence"].replace("\\n", "\n").replace("\\t", "\t")
    found = dict(label_report(Report("1", text)).labels)
    found.pop(NO_FINDING, None)
    assert found == {
        finding: label for column, label in COLUMNS.items() for finding in row[column].split()
    }


def test_the_fifth_set_of_sentences_keeps_its_scores() -> None:
    """Right, wrong and missed findings of sentences that no rule was written for."""
    with Path(__file__).with_name("fifth_sentences.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    true: set[tuple[str, str]] = set()
    found: set[tuple[str, str]] = set()
    for row in rows:
        sentence, text = row.pop("report_id"), row.pop("text")
        labels = label_report(Report(sentence, text)).labels
        true |= {(sentence, finding) for finding, value in row.items() if value == "1"}
        found |= {(sentence, finding) for finding in row if labels.get(finding) is Label.POSITIVE}
    assert (len(found & true), len(found - true), len(true - found)) == (20, 1, 2)
