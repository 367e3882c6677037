"""The column of the reports, in tables that have several columns of text."""

from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.reports.read import Report, read_reports


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("id,report,diagnosis\n7,Clear lungs.,J18\n", {"7": "Clear lungs."}),
        ("id,findings,Narrative\n7,Mass.,Old.\n", {"7": "findings: Mass."}),
        ("id,Diagnosis\n7,Mass.\n", {"7": "Mass."}),
        ("id,text,report\n7,,Mass.\n8,nan,\n", {"7": "Mass.", "8": ""}),
        ("id,text,report\n7,,\n", {"7": ""}),
        ("id,note,Note,text\n7,a,b,Mass.\n", {"7": "Mass."}),
    ],
)
def test_a_column_beside_the_reports_does_not_hide_them(
    tmp_path: Path, content: str, expected: dict[str, str]
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(content)
    found = [one for one in read_reports(path) if isinstance(one, Report)]
    assert {one.report_id: one.text for one in found} == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,report,text\n1,,\n2,Mass.,\n3,,Edema.\n", "report and text may both hold the rep"),
        ("id,diagnosis,narrative\n1,Mass.,Effusion.\n", "may both hold the reports"),
        ("id,Report,report\n1,Mass.,\n", "columns Report and report have the same name"),
        ("id,ID,text\n1,2,Mass.\n", "columns id and ID have the same name"),
    ],
)
def test_columns_that_leave_open_where_the_reports_are_are_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(content)
    with pytest.raises(CxrlocError, match=message):
        list(read_reports(path))
