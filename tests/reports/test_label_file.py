"""Label files return what was written, and bad ones name their row."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.files.whole import DiskError
from cxrloc.reports.label_file import columns_of, read_labels, write_labels
from cxrloc.reports.labels import ReportLabels, label_report, label_reports
from cxrloc.reports.read import Report, UnreadableReport
from cxrloc.types import Label


def test_a_label_file_returns_what_was_written(tmp_path: Path) -> None:
    reports = [
        Report("a", "No effusion. Possible mass. Edema."),
        UnreadableReport("b", "broken"),
        Report("c", "Clear lungs."),
        Report("d", "FINDINGS:"),
    ]
    path, why = tmp_path / "labels.csv", tmp_path / "why.csv"
    written = write_labels(label_reports(reports), path, explanations=why)
    assert (written.reports, written.without_text) == (2, 1)
    assert written.failures == (UnreadableReport("b", "broken"),)
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
        ("id,Mass\na,0_1\n", "row 2: label '0_1' is none of"),
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


def test_equal_rows_count_once_and_other_columns_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,Mass,coin lesion,split,0\na,1,,train,7\na,1,,train,7\nb,,1,test,8\n")
    declared = ["Coin lesion"]
    assert read_labels(path, declared) == {
        "a": {"Mass": Label.POSITIVE},
        "b": {"Coin lesion": Label.POSITIVE},
    }
    assert columns_of(path, declared)[1] == ["split", "0"]
    path.write_text("id,0,split\na,1,train\n")
    with pytest.raises(CxrlocError, match="none of its columns 0, split is a finding"):
        read_labels(path, [])


def test_cells_that_a_spreadsheet_would_run_are_marked_and_ids_come_back(
    tmp_path: Path,
) -> None:
    path, why = tmp_path / "labels.csv", tmp_path / "why.csv"
    reports = [Report("=a", "- No mass."), Report("-b", "@ mass")]
    write_labels(label_reports(reports), path, explanations=why)
    assert set(read_labels(path)) == {"=a", "-b"}
    rows = list(csv.DictReader(why.read_text().splitlines()))
    assert [row["report_id"][:2] + row["sentence"][:2] for row in rows] == ["'='-", "'-'@"]


def test_a_label_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def cut_short() -> Iterator[ReportLabels]:
        yield label_report(Report("a", "Mass."))
        raise KeyboardInterrupt

    path = tmp_path / "labels.csv"
    path.write_text("older")
    with pytest.raises(KeyboardInterrupt):
        write_labels(cut_short(), path, explanations=tmp_path / "why.csv")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_on_a_full_disk_the_labels_are_named_and_not_the_explanations(tmp_path: Path) -> None:
    reports = (label_report(Report("0" * 1000, "Mass.")) for _ in range(100))
    with pytest.raises(DiskError, match=r"^/dev/full: cannot be written"):
        write_labels(reports, Path("/dev/full"), explanations=tmp_path / "why.csv")
    assert list(tmp_path.iterdir()) == []
