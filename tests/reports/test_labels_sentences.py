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
