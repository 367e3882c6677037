"""From reports to labels."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrloc.errors import CxrlocError
from cxrloc.reports.labels import check_engine, label_report, label_reports
from cxrloc.reports.negation import Assertion, Verdict, scope_engine
from cxrloc.reports.read import Report, UnreadableReport, read_reports
from cxrloc.types import Label


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
