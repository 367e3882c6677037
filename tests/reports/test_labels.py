"""From reports to labels."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrloc.reports.label_file import read_labels, write_labels
from cxrloc.reports.labels import check_engine, label_report, label_reports
from cxrloc.reports.negation import Assertion, Verdict, scope_engine
from cxrloc.reports.read import Report, UnreadableReport, read_reports
from cxrloc.types import CxrlocError, Label


def test_a_positive_mention_outweighs_doubt_and_doubt_outweighs_denial() -> None:
    said = {
        "No effusion. Possible effusion. Small effusion.": Label.POSITIVE,
        "No effusion. Possible effusion.": Label.UNCERTAIN,
        "No effusion.": Label.NEGATIVE,
        "Clear lungs.": None,
    }
    assert {t: label_report(Report("1", t)).labels.get("Effusion") for t in said} == said


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Heart size normal. No effusion.", True),
        ("Heart size normal. Right lower lobe pneumonia.", False),  # the word "normal" is no excuse
        ("Clear lungs. Scoliosis.", False),  # any disease counts, not only the 14
        ("No scoliosis.", True),
        ("INDICATION: pneumonia? FINDINGS: IMPRESSION:", None),  # nothing was said of the image
    ],
)
def test_normal_is_the_absence_of_any_abnormality(text: str, normal: bool | None) -> None:
    assert label_report(Report("1", text)).normal is normal


def test_only_findings_and_impression_count() -> None:
    text = "INDICATION: pneumonia\nFINDINGS: Mass.\nCOMPARISON: edema\nIMPRESSION: Nodule."
    assert set(label_report(Report("1", text)).labels) == {"Mass", "Nodule"}


def test_the_four_reports_of_chexpert(shared: Path) -> None:
    folder = shared / "data" / "openi"
    with (folder / "labeled_reports.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [
        {name: int(float(cell)) for name, cell in row.items() if name != "Reports" and cell}
        for row in rows
    ]
    found = label_reports(read_reports(folder / "sample_reports.csv"), "chexpert")
    assert [
        report.labels for report in found if not isinstance(report, UnreadableReport)
    ] == expected


def test_the_engine_is_checked_before_the_first_report() -> None:
    def deaf(sentence: str, mentions: list) -> list[Verdict]:
        return [Verdict(Assertion.PRESENT) for _ in mentions]

    with pytest.raises(CxrlocError, match="self-check: 'No pneumothorax"):
        label_reports([], engine=deaf)
    check_engine(scope_engine)


def test_an_unknown_vocabulary_is_refused() -> None:
    with pytest.raises(CxrlocError, match="'mimic' is not one of chestxray14, chexpert"):
        label_reports([], "mimic")


@settings(max_examples=50)
@given(st.text())
def test_no_text_stops_the_labeler(text: str) -> None:
    found = label_report(Report("1", text))
    assert all(e.sentence[e.start : e.end] for e in found.evidence)


def test_a_label_file_returns_what_was_written(tmp_path: Path) -> None:
    reports = [
        Report("a", "No effusion. Possible mass. Edema."),
        UnreadableReport("b", "broken"),
        Report("c", "Clear lungs."),
        Report("d", "FINDINGS:"),
    ]
    path, why = tmp_path / "labels.csv", tmp_path / "why.csv"
    written = write_labels(label_reports(reports), path, explanations=why)
    assert (written.reports, written.failures) == (3, (UnreadableReport("b", "broken"),))
    assert read_labels(path) == {
        "a": {"Effusion": 0, "Mass": -1, "Edema": 1, "normal": 0},
        "c": {"No Finding": 1, "normal": 1},
        "d": {},
    }
    rows = list(csv.DictReader(why.read_text().splitlines()))
    assert [(r["finding"], r["label"], r["phrase"], r["rule"]) for r in rows] == [
        ("Effusion", "0", "effusion", "negated after: no"),
        ("Mass", "-1", "mass", "uncertain after: possible"),
        ("Edema", "1", "Edema", "mentioned"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,Mass\na,2\n", "row 2: label '2' is none of 1, 0, -1"),
        ("id,Mass\na,x\n", "row 2: label 'x' is none of"),
        ("id,Mass\na,1\na,0\n", "row 3: id 'a' occurs twice"),
        ("id,Mass\na\n", "row 2: 1 cells where the heading has 2 columns"),
        ("id,Mass\n", "no labels"),
        ("id,Mass\n,1\n", "row 2: no id of a report"),
    ],
)
def test_a_bad_label_file_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "gold.csv"
    path.write_text(text)
    with pytest.raises(CxrlocError, match=message):
        read_labels(path)


def test_a_label_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04" + bytes(99))
    for name, complaint in (
        ("missing.csv", "no such file"),
        ("book.csv", "is an Excel workbook"),
        (".", "not a regular file"),
    ):
        with pytest.raises(CxrlocError, match=complaint):
            read_labels(tmp_path / name)
